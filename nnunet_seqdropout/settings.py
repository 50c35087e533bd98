"""Checks the values of our trainers' settings."""

from collections.abc import Collection


def require_one_of(setting: str, value: object, known: Collection[str]) -> None:
    """Raises ValueError where a setting has a value that it cannot have."""
    if value not in known:
        raise ValueError(f"{setting} is {value!r}: choose one of {', '.join(known)}.")


def require_not_negative(setting: str, value: int) -> None:
    """Raises ValueError where a number of epochs is below 0."""
    if value < 0:
        raise ValueError(f"{setting} is {value}: give a number of epochs, 0 for none.")
