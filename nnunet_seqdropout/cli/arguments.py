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
    """A number from 0 up that is finite."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(f"{text} is no volume")
    return value


def mapping(text: str) -> dict[int, int]:
    """``255=1,4=3`` -> {255: 1, 4: 3}."""
    return {int(value): int(label) for value, label in (pair.split("=") for pair in text.split(","))}


def processes(text: str) -> int:
    """``4`` -> 4. Raises ValueError, of which argparse makes its message, for less than 1."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def add_min_volume(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-volume-mm3", type=numbers(volume), default=(10.0,), metavar="V,W", help="limits for false positives (10)"
    )


def add_trust_geometry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust-geometry", action="store_true", help="images of one size lie on one grid, whatever their headers say"
    )
