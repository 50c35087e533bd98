"""Counts things in words: ``1 patient``, ``2 patients``."""


def n_of(n: float, noun: str) -> str:
    """The number and the noun."""
    return f"{counted(n)} {plural(n, noun)}"


def plural(n: float, noun: str) -> str:
    """The noun as it stands behind the number; its plural ends in s."""
    return noun if n == 1 else f"{noun}s"


def all_are(n: int, noun: str) -> str:
    """``all 2 patients are``, ``the only patient is``."""
    return f"the only {noun} is" if n == 1 else f"all {n_of(n, noun)} are"


def counted(n: float) -> str:
    """A count; a mean of counts with one decimal if it is not whole."""
    return f"{n:,.0f}" if float(n).is_integer() else f"{n:,.1f}"
