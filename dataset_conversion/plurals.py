"""Counts things in words: ``1 patient``, ``2 patients``."""


def n_of(n: float, noun: str) -> str:
    """The number, a mean with one decimal, and the noun, in the plural unless there is one."""
    number = f"{n:,.0f}" if float(n).is_integer() else f"{n:,.1f}"
    return f"{number} {plural(n, noun)}"


def plural(n: float, noun: str) -> str:
    return noun if n == 1 else f"{noun}s"
