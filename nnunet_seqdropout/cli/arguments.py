"""Parses arguments that several commands share: lists, mappings, the number of processes, trust in headers."""

import argparse
import math
from collections.abc import Callable


def numbers(kind: Callable[[str], float]) -> Callable[[str], tuple[float, ...]]:
    """``1,3`` -> (1, 3)."""

    def list_of_numbers(text: str) -> tuple[float, ...]:
        return tuple(kind(word) for word in text.split(","))

    return list_of_numbers


def volume(text: str) -> float:
    """A finite number of at least 0."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(f"{text} is not a volume: give a finite number of at least 0")
    return value


def mapping(text: str) -> dict[int, int]:
    """``255=1,4=3`` -> {255: 1, 4: 3}."""
    return {int(value): int(label) for value, label in (pair.split("=") for pair in text.split(","))}


def processes(text: str) -> int:
    """``4`` -> 4. Raises ValueError, which argparse reports, for less than 1."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def add_min_volume(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-volume-mm3",
        type=numbers(volume),
        default=(10.0,),
        metavar="V,W",
        help="volumes in mm3: also report results for predicted objects of at least this volume. Default: 10",
    )


def add_trust_geometry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust-geometry",
        action="store_true",
        help="treat images of the same size as aligned, even if their headers differ",
    )
