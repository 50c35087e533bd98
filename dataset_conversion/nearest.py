"""Finds the name that a misspelt one was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

_ALIKE = 0.75
"""How alike two names are, of 1, so that one is taken for the other misspelt."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name most like it, else the only one that begins with it; empty where there is none.

    Case does not count, nor do ``_``, ``-`` and blanks.
    """
    # of two that differ in these only, the first
    plain = {_plain(each): each for each in reversed([*known]) if each != name}
    alike = get_close_matches(_plain(name), plain, n=1, cutoff=_ALIKE)
    longer = [each for each in plain if len(_plain(name)) > 2 and each.startswith(_plain(name))]
    found = alike or (longer if len(longer) == 1 else [])
    return plain[found[0]] if found else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``Did you mean flair? ``, to stand before a remedy; empty where nothing is near."""
    meant = nearest(name, known)
    return f"Did you mean {meant}? " if meant else ""


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
