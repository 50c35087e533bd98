"""How lists and mappings are written on the command line."""

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
