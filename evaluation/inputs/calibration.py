"""Calibrates thresholds on validation patients: by mean Dice, the paper's Youden index, a budget of false positives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.outcomes import Outcome, map_cases
from dataset_conversion.plurals import plural
from evaluation.inputs.folders import Folders
from evaluation.inputs.pooled import Pooled, pool
from evaluation.inputs.thresholds import Method, Threshold, Thresholds
from evaluation.metrics.lesion.froc import froc_counts
from evaluation.metrics.lesion.lesions import find_objects
from evaluation.metrics.statistics.intervals import average
from evaluation.metrics.voxel.voxels import overlap, reaches

Result = TypeVar("Result")

BUDGET_GRID = tuple(round(step / 100, 2) for step in range(1, 100))
FLAT_WITHIN = 0.01
"""How much mean Dice may be lost in the range of thresholds that is named beside the best one."""


def calibrate(
    folders: Folders, *, fp_budget: float | None = None, n_workers: int | None = 1
) -> tuple[dict[Method, Thresholds], dict[str, Outcome]]:
    """Thresholds for every availability pattern of the validation patients by each method, and what became of each
    patient.

    The validation patients are those who were predicted; references of others may lie beside theirs.
    dice: the highest mean Dice over the patients, of all values that a voxel has. youden_pooled: the paper's, the
    voxels of a pattern's patients are pooled as if of one image. Of several thresholds that are as good, the highest.
    fp_budget, if given: the lowest of BUDGET_GRID from which on there are at most so many false positives (of any size)
    per patient on the average.
    The patients of a pattern without any lesion have failed, unless a budget is given, which needs none. Raises Fault
    where no patient can be used.
    """
    if fp_budget is not None and not 0 <= fp_budget < np.inf:
        raise Fault(f"the budget of false positives is {fp_budget:g}", remedy="Give a finite number of at least 0.")
    folders.require_target()
    cases = [case for case in folders.cases() if folders.is_predicted(case)]
    outcomes, patterns = map_cases(cases, lambda case: _pattern(folders, case), doing="Validation", n_workers=1)
    found: dict[Method, dict[str, Threshold]] = {}
    for pattern, group in groupby(sorted(patterns, key=lambda case: (patterns[case], case)), patterns.__getitem__):
        thresholds, became = _of_pattern(folders, list(group), fp_budget, n_workers)
        outcomes.update(became)
        for method, threshold in thresholds.items():
            found.setdefault(method, {})[pattern] = threshold
    if not found:
        no_prediction = Outcome("failed", "no patient has a prediction")
        first = next((outcome for outcome in outcomes.values() if outcome.status == "failed"), no_prediction)
        remedy = first.remedy or "Predict them first."
        raise Fault(f"no validation patient can be used; the first: {first.problem}", remedy=remedy)
    settings = {"gt": str(folders.reference), "p": str(folders.predictions)}
    budget = {"fp_budget": {"fp_budget": fp_budget}}
    return {
        method: Thresholds(str(folders.target), method, by_pattern, {**settings, **budget.get(method, {})})
        for method, by_pattern in found.items()
    }, outcomes


def _pattern(folders: Folders, case: str) -> str:
    if not folders.has_probabilities(case):
        remedy = "Predict it with --save_probabilities."
        raise Fault(f"no probabilities of a validation patient in {folders.predictions}", remedy=remedy)
    return folders.pattern(case)


def _of_pattern(
    folders: Folders, cases: list[str], fp_budget: float | None, n_workers: int | None
) -> tuple[dict[Method, Threshold], dict[str, Outcome]]:
    """The threshold of each method for patients with the same sequences, and what became of each of them."""
    pooled, outcomes = pool(folders, cases, n_workers=n_workers)
    chosen = {} if pooled is None else _chosen(pooled)

    def of_usable(work: Callable[[str], Result], *, doing: str) -> list[Result]:
        usable = [case for case, outcome in outcomes.items() if outcome.status != "failed"]
        became, results = map_cases(usable, work, doing=doing, n_workers=n_workers)
        outcomes.update(became)
        return list(results.values())

    if fp_budget is not None and (counts := of_usable(lambda case: _froc(folders, case), doing="False positives")):
        chosen["fp_budget"] = Threshold(lowest_within_budget(counts, fp_budget))
    if not chosen:
        fault = Outcome("failed", "no patient of this pattern has a lesion", "Add validation patients with lesions.")
        return {}, {case: o if o.status == "failed" else fault for case, o in outcomes.items()}
    values = [threshold.value for threshold in chosen.values()]
    effects = of_usable(lambda case: _effects(folders, case, values), doing="Effects")
    return {
        method: replace(threshold, **_summed([of_case[place] for of_case in effects]))
        for place, (method, threshold) in enumerate(chosen.items())
    }, outcomes


def _chosen(pooled: Pooled) -> dict[Method, Threshold]:
    low, high = pooled.flat(within=FLAT_WITHIN)
    value, youden = pooled.roc.youden()
    return {
        "dice": Threshold(float(pooled.values[pooled.best_dice()]), flat_from=low, flat_to=high),
        "youden_pooled": Threshold(value, youden=youden),
    }


def _froc(folders: Folders, case: str) -> NDArray[np.int64]:
    volumes = folders.read(case).inside_mask()
    return froc_counts(volumes.reference, np.asarray(volumes.probability), BUDGET_GRID)


def lowest_within_budget(counts: Sequence[NDArray[np.int64]], fp_budget: float) -> float:
    """Of BUDGET_GRID the lowest threshold from which on the average of false positives keeps to the budget.

    counts: of each patient, as ``froc_counts`` gives them. Raises Fault where even the highest does not.
    """
    average = np.mean([patient[:, 1] for patient in counts], axis=0)
    exceeding = np.flatnonzero(average > fp_budget)
    first = int(exceeding[-1]) + 1 if exceeding.size else 0
    if first == len(BUDGET_GRID):
        problem = f"{average[-1]:g} {plural(average[-1], 'false positive')} per patient even at {BUDGET_GRID[-1]}"
        raise Fault(problem, remedy="Allow more false positives, or train longer.")
    return BUDGET_GRID[first]


@dataclass(frozen=True)
class _Effect:
    """What a threshold does to one patient."""

    dice: float
    n_lesions: int
    n_found: int
    n_false_positives: int


def _effects(folders: Folders, case: str, thresholds: Sequence[float]) -> list[_Effect]:
    volumes = folders.read(case).inside_mask()
    probability = np.asarray(volumes.probability)
    n_lesions = find_objects(volumes.reference).count
    counts = froc_counts(volumes.reference, probability, thresholds)
    dice = [overlap(volumes.reference, reaches(probability, threshold)).dice for threshold in thresholds]
    return [_Effect(each, n_lesions, *row) for each, row in zip(dice, counts.tolist(), strict=True)]


def _summed(effects: Sequence[_Effect]) -> dict[str, Any]:
    """The fields of a ``Threshold`` that say what it does to all these patients."""
    dice = average([effect.dice for effect in effects]).mean
    return {
        "n_patients": len(effects),
        "dice": None if np.isnan(dice) else dice,  # nobody has a lesion, and nothing is predicted
        "n_lesions": sum(effect.n_lesions for effect in effects),
        "n_found": sum(effect.n_found for effect in effects),
        "fp_per_patient": sum(effect.n_false_positives for effect in effects) / len(effects),
    }
