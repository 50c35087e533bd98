"""Declares training and validation splits in which no patient is on both sides."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

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


def shared_between_splits(manifest: Mapping[str, Mapping]) -> list[tuple[str, str]]:
    """Pairs of the manifest's cases that are in different splits and have an image in common, by its SHA-256."""
    owners: dict[str, set[str]] = defaultdict(set)
    for case, entry in manifest.items():
        for sequence in entry["sequences"].values():
            if "sha256" in sequence:
                owners[sequence["sha256"]].add(case)
    pairs = {pair for cases in owners.values() for pair in combinations(sorted(cases), 2)}
    return sorted((one, other) for one, other in pairs if manifest[one]["split"] != manifest[other]["split"])
