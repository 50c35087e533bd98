"""Calibrates thresholds on validation patients by Youden's index over pooled voxels, or a budget of false positives."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.outcomes import Outcome, each_case, map_cases
from evaluation.inputs.folders import Folders, Volumes
from evaluation.inputs.thresholds import Threshold, Thresholds
from evaluation.metrics.froc import froc_counts
from evaluation.metrics.ranks import background_counts
from evaluation.metrics.roc import Roc

BUDGET_GRID = tuple(round(step / 100, 2) for step in range(1, 100))


def calibrate(
    folders: Folders, *, fp_budget: float | None = None, n_workers: int | None = 1
) -> tuple[Thresholds, dict[str, Outcome]]:
    """A threshold for every availability pattern of the validation patients, and what became of each patient.

    The validation patients are those who were predicted; references of others may lie beside theirs.
    Youden: the voxels of a pattern's patients are pooled, as if of one image; of several thresholds that are as good,
    the highest. fp_budget: the lowest of BUDGET_GRID from which on there are at most so many false positives (of any
    size) per patient on the average. Memory holds one patient per worker and, of all, the lesion voxels' values: the
    files are read twice.
    The patients of a pattern without any lesion have failed. Raises Fault where no patient can be used.
    """
    if fp_budget is not None and not fp_budget >= 0:
        raise Fault(f"the budget of false positives is {fp_budget:g}", remedy="Give a number of at least 0.")
    cases = [case for case in folders.cases() if folders.is_predicted(case)]
    outcomes, patterns = map_cases(cases, lambda case: _pattern(folders, case), doing="Validation", n_workers=1)
    by_pattern = {}
    for pattern, group in groupby(sorted(patterns, key=lambda case: (patterns[case], case)), patterns.__getitem__):
        if fp_budget is None:
            threshold, became = _youden(folders, list(group), n_workers)
        else:
            threshold, became = _within_budget(folders, list(group), fp_budget, n_workers)
        outcomes.update(became)
        if threshold is not None:
            by_pattern[pattern] = threshold
    if not by_pattern:
        first = next(
            (o for o in outcomes.values() if o.status == "failed"), Outcome("failed", "no patient has a prediction")
        )
        raise Fault(
            f"no validation patient can be used; the first: {first.problem}",
            remedy=first.remedy or "Predict them first.",
        )
    settings = {"gt": str(folders.reference), "p": str(folders.predictions)}
    if fp_budget is None:
        return Thresholds(str(folders.target), "youden_pooled", by_pattern, settings), outcomes
    return Thresholds(str(folders.target), "fp_budget", by_pattern, {**settings, "fp_budget": fp_budget}), outcomes


def _pattern(folders: Folders, case: str) -> str:
    if not folders.has_probabilities(case):
        remedy = "Predict it with --save_probabilities."
        raise Fault(f"no probabilities of a validation patient in {folders.predictions}", remedy=remedy)
    return folders.pattern(case)


def _youden(folders: Folders, cases: list[str], n_workers: int | None) -> tuple[Threshold | None, dict[str, Outcome]]:
    outcomes, lesions = map_cases(cases, lambda c: _lesion_values(folders, c), doing="Lesions", n_workers=n_workers)
    values = np.unique(np.concatenate([v for v, _ in lesions.values()])) if lesions else np.zeros(0)
    if not values.size:
        fault = Outcome("failed", "no patient of this pattern has a lesion", "Add validation patients with lesions.")
        return None, {**outcomes, **dict.fromkeys(lesions, fault)}
    lesion = np.zeros(len(values), np.int64)
    for own, counts in lesions.values():
        lesion[np.searchsorted(values, own)] += counts
    above, at_or_above, n = np.zeros_like(lesion), np.zeros_like(lesion), 0
    for case, outcome, background in each_case(
        lesions, lambda c: _background(folders, c, values), doing="Background", n_workers=n_workers
    ):
        outcomes[case] = outcome
        if outcome.status != "failed":
            above += background.above
            at_or_above += background.at_or_above
            n += background.n
    value, youden = Roc(values, lesion, above, at_or_above, n).youden()
    return Threshold(value, len(lesions), youden), outcomes


@dataclass(frozen=True)
class _Background:
    above: NDArray[np.int64]
    at_or_above: NDArray[np.int64]
    n: int


def _inside(volumes: Volumes) -> tuple[NDArray[np.bool_], NDArray[np.floating]]:
    probability = np.asarray(volumes.probability)
    if volumes.mask is None:
        return volumes.reference, probability
    return volumes.reference[volumes.mask], probability[volumes.mask]


def _lesion_values(folders: Folders, case: str) -> tuple[NDArray, NDArray]:
    reference, probability = _inside(folders.read(case))
    return np.unique(probability[reference].astype(np.float64), return_counts=True)


def _background(folders: Folders, case: str, values: NDArray[np.float64]) -> _Background:
    reference, probability = _inside(folders.read(case))
    counts = background_counts(probability[reference], probability.ravel(), values, n_voxels=probability.size)
    return _Background(*counts, n=int(np.count_nonzero(~reference)))


def _within_budget(
    folders: Folders, cases: list[str], fp_budget: float, n_workers: int | None
) -> tuple[Threshold | None, dict[str, Outcome]]:
    outcomes, counts = map_cases(cases, lambda c: _froc(folders, c), doing="Validation", n_workers=n_workers)
    if not counts:
        return None, outcomes
    return Threshold(lowest_within_budget(counts, fp_budget), len(counts)), outcomes


def _froc(folders: Folders, case: str) -> NDArray[np.int64]:
    volumes = folders.read(case).inside_mask()
    return froc_counts(volumes.reference, np.asarray(volumes.probability), BUDGET_GRID)


def lowest_within_budget(counts: Mapping[str, NDArray[np.int64]], fp_budget: float) -> float:
    """Of BUDGET_GRID the lowest threshold from which on the average of false positives keeps to the budget.

    Raises Fault where even the highest does not.
    """
    average = np.mean([patient[:, 1] for patient in counts.values()], axis=0)
    exceeding = np.flatnonzero(average > fp_budget)
    first = int(exceeding[-1]) + 1 if exceeding.size else 0
    if first == len(BUDGET_GRID):
        problem = f"{average[-1]:g} false positives per patient even at {BUDGET_GRID[-1]}"
        raise Fault(problem, remedy="Allow more false positives, or train longer.")
    return BUDGET_GRID[first]
