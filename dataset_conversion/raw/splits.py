"""Declares training and validation splits in which no patient is on both sides."""

import random
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

from dataset_conversion.files.texts.manifest_json import CaseEntry, FoldCases

N_FOLDS = 5
"""Number of folds, as in nnU-Net; fewer if there are fewer patients."""


def declared_splits(in_split: Mapping[str, Sequence[str]], person_of: Mapping[str, str]) -> list[dict]:
    """The one split that validation patients declare; else, where a patient has several time points, five by patient.

    nnU-Net's own five folds would part the time points of a patient. Empty where it may make its own, and where there
    is one patient only, so that none is left for validation.
    """
    if in_split["val"]:
        return [dict(in_split)]
    training = in_split["train"]
    persons = sorted({person_of[case] for case in training})
    if len(persons) == len(training) or len(persons) < 2:
        return []
    random.Random(0).shuffle(persons)
    n_folds = min(N_FOLDS, len(persons))
    folds = [set(persons[fold::n_folds]) for fold in range(n_folds)]
    return [
        {
            "train": [case for case in training if person_of[case] not in fold],
            "val": [case for case in training if person_of[case] in fold],
        }
        for fold in folds
    ]


def folds_note(n_training: int, declared: Sequence[FoldCases]) -> tuple[str, str] | None:
    """What to know, and what to do, where nnU-Net cannot make its five folds of the training cases; else None."""
    remedy = "Add patients, name some for validation (convert --val), or train on all (-f all)."
    if 1 < len(declared) < N_FOLDS:
        return f"{len(declared)} folds in place of nnU-Net's {N_FOLDS}: there are no more training patients", remedy
    if not declared and 0 < n_training < N_FOLDS:
        return f"too few training cases for nnU-Net's {N_FOLDS} folds: {n_training}", remedy
    return None


def with_an_image_in_common(images: Mapping[str, Collection[str]]) -> list[tuple[str, str]]:
    """Pairs of cases, given the fingerprints of each one's images."""
    owners: dict[str, set[str]] = defaultdict(set)
    for case, fingerprints in images.items():
        for fingerprint in fingerprints:
            owners[fingerprint].add(case)
    return sorted({pair for cases in owners.values() for pair in combinations(sorted(cases), 2)})


def sources_of(entry: CaseEntry) -> set[str]:
    """The SHA-256 of each image that the manifest says a case was made of."""
    return {sequence["sha256"] for sequence in entry["sequences"].values() if "sha256" in sequence}
