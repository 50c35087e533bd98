"""Tells from a case's name whose case it is, and whether it may be the name of a human being."""

import re
from collections.abc import Iterable

from dataset_conversion.faults import listed

_TIME_POINTS = (
    # BraTS-GLI-00001-000, BraTS-PED-..., BraTS-MEN-RT-0001-1
    re.compile(r"(BraTS(?:-[A-Z]+)+-\d+)[-_]\d+", re.IGNORECASE),
    # Brats17_, Brats18_, BraTS19_: Brats18_CBICA_AAB_1, Brats18_2013_0_1; not BraTS20_Training_001
    re.compile(r"(BraTS1\d_[A-Z0-9]+_[A-Z0-9]+)_\d+", re.IGNORECASE),
    # UCSF-PDGM-0429_FU003d
    re.compile(r"(UCSF-PDGM-\d+)_FU\w+", re.IGNORECASE),
)
"""The names that public data sets give to time points; the group is the person."""

_WORDS = re.compile(r"[^\W\d_]{2,}(?:[-_.'][^\W\d_]{2,})+")


def person_of(case: str) -> str:
    """The person whose time point has this name; the name itself where no public data set names time points so."""
    match = next((found for pattern in _TIME_POINTS if (found := pattern.fullmatch(case))), None)
    return match[1] if match else case


def may_be_a_name(case: str) -> bool:
    """Whether the id has a blank, comma or caret in it, or is two words without a number: Doe^Jane, Doe_Jane."""
    return re.search(r"[\s,^]", case) is not None or _WORDS.fullmatch(case) is not None


def names_note(cases: Iterable[str]) -> tuple[str, str] | None:
    """What to know and what to do where ids may be names of human beings; else None."""
    names = sorted(filter(may_be_a_name, cases))
    if not names:
        return None
    problem = f"ids that may be names, and travel into file names and reports: {listed(names)}"
    return problem, "Give pseudonyms: convert --key FILE."
