"""Evaluates folders of predictions and references, and returns the tables of one evaluation."""

import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version

import numpy as np
import pandas as pd

from dataset_conversion.faults import Fault
from dataset_conversion.outcomes import Outcome, map_cases
from dataset_conversion.plurals import n_of
from evaluation.inputs.folders import Folders
from evaluation.inputs.label_maps import LABELS_WITHOUT_DATASET_JSON
from evaluation.inputs.thresholds import Threshold, Thresholds
from evaluation.tables import summaries
from evaluation.tables.case_results import DEFAULT_THRESHOLD, CaseResult, CaseTask, Draw, Pictures
from evaluation.tables.froc import froc
from evaluation.tables.protocols import protocol_averages
from evaluation.tables.reliability import confidence, reliability
from evaluation.tables.results import Evaluation

NOTICED_AT_0 = 0.001
"""A larger share of lesion voxels with probability 0 causes a warning; the AUC may lose half as much."""


def evaluate_folders(
    folders: Folders,
    *,
    name: str,
    thresholds: Thresholds | None = None,
    beside: Sequence[Thresholds] = (),
    min_volumes_mm3: Sequence[float] = (10.0,),
    draw: Draw | None = None,
    n_workers: int | None = 1,
) -> tuple[Evaluation, dict[str, Pictures]]:
    """Evaluates every patient who has a reference; the evaluation, and what ``draw`` made of each patient.

    thresholds: None takes 0.5. Label maps without probabilities need none. beside: thresholds by other methods, whose
    figures stand beside those of the former in ``protocols``. A patient who cannot be used is left out and named in the
    summary. Raises Fault where none can be used.
    """
    cases = folders.cases()
    folders.require_target()
    if thresholds is None:
        thresholds = Thresholds(str(folders.target), "default", {"": Threshold(DEFAULT_THRESHOLD)})
    task = CaseTask(folders, thresholds, beside, min_volumes_mm3, draw)
    outcomes, results = map_cases(cases, task.evaluate, doing="Evaluating", n_workers=n_workers)
    if not results:
        problem = next(iter(outcomes.values()))
        raise Fault(f"no patient can be evaluated; the first: {problem.problem}", remedy=problem.remedy)
    _require_occurring(folders, results.values())
    for case in folders.without_reference():
        remedy = "Add the reference if there is one."
        outcomes[case] = Outcome("skipped", "predicted, but there is no reference", remedy)
    tables = _tables(results.values(), [threshold.value for threshold in thresholds.by_pattern.values()])
    summary = {
        "command": "evaluate",
        "version": version("nnunet_seqdropout"),
        "versions": versions(),
        "name": name,
        "synthetic": folders.synthetic,
        "settings": {
            **folders.settings(),
            "min_volumes_mm3": list(min_volumes_mm3),
            "froc_from": float(tables["froc"]["threshold"].min()),
        },
        "threshold": _threshold(thresholds, results),
        "protocols": protocol_averages(tables["protocols"]),
        **_summary(tables["cases"], tables["lesions"], results.values()),
        "warnings": [*_too_low(thresholds), *_ignoring(folders), *_warnings(tables["cases"], results.values())],
        "cases": {case: asdict(outcome) for case, outcome in outcomes.items()},
    }
    evaluation = Evaluation(**tables, summary=summary)
    return evaluation, {case: result.mosaic for case, result in results.items() if result.mosaic}


def _require_occurring(folders: Folders, results: Collection[CaseResult]) -> None:
    """An unusual label that no ``dataset.json`` declares, and that occurs nowhere, is taken for a mistake."""
    usual = folders.description.labels or LABELS_WITHOUT_DATASET_JSON.issuperset(folders.target.labels)
    if not usual and not any(len(result.lesions) for result in results):
        remedy = "Give a --label or --region that the references have."
        raise Fault(f"label {folders.target} occurs in no reference and in no prediction", remedy=remedy)


def _tables(results: Collection[CaseResult], applied: Sequence[float]) -> dict[str, pd.DataFrame]:
    """The tables of an ``Evaluation``. Curves are of the patients with probabilities alone. applied: the cohort's
    thresholds."""
    lesions = pd.concat([result.lesions for result in results], ignore_index=True)
    lesions.insert(0, "case", lesions.pop("case"))
    curves = [result.curves for result in results if result.curves is not None]
    by_pattern: dict[str, np.ndarray] = {}
    for result in results:
        if result.curves is not None:
            pattern = str(result.measures["pattern"])
            by_pattern[pattern] = by_pattern.get(pattern, 0) + result.curves.reliability
    return {
        "cases": pd.DataFrame([result.measures for result in results]),
        "lesions": lesions,
        "roc": summaries.mean_roc([curve.sensitivities for curve in curves]),
        "froc": froc([curve.froc for curve in curves], applied=applied),
        "protocols": pd.DataFrame([row for curve in curves for row in curve.protocols]),
        "reliability": reliability(by_pattern),
        "confidence": confidence(lesions),
    }


def _summary(cases: pd.DataFrame, lesions: pd.DataFrame, results: Collection[CaseResult]) -> dict[str, object]:
    """The numbers of the cohort."""
    return {
        "metrics": summaries.averages(cases),
        "totals": summaries.totals(cases),
        "strata": summaries.strata(cases),
        "sensitivity_by_size": summaries.sensitivity_by_size(lesions),
        "one_to_one": {
            "n_matched": sum(result.n_one_to_one for result in results),
            "note": "each lesion and each object in one pair at most: most pairs, then most shared voxels",
        },
    }


def _threshold(thresholds: Thresholds, results: Mapping[str, CaseResult]) -> dict[str, object]:
    """Where the threshold comes from, in a sentence, and which patients took that of another pattern."""
    if all(result.curves is None for result in results.values()):
        return {"method": "label_map", "source": "None: the predictions are label maps.", "values": {}}
    source = thresholds.source()
    borrowed = {
        result.measures["pattern"]: result.threshold_of
        for result in results.values()
        if result.threshold_of and result.measures["pattern"] not in ("", result.threshold_of)
    }
    for pattern, owner in borrowed.items():
        source += f"; {pattern} was never calibrated and takes that of {owner}"
    values = {pattern: asdict(threshold) for pattern, threshold in thresholds.by_pattern.items()}
    return {"method": thresholds.method, "source": f"{source}.", "values": values}


def _too_low(thresholds: Thresholds) -> list[str]:
    low = thresholds.too_low()
    return [f"{low[0].upper()}{low[1:]}."] if low else []


def _ignoring(folders: Folders) -> list[str]:
    label = folders.description.ignore_label
    return (
        [] if label is None else [f"Voxels that a reference marks to be ignored (label {label}) count on neither side."]
    )


def _warnings(cases: pd.DataFrame, results: Collection[CaseResult]) -> list[str]:
    return [*_without_lesions(cases), *_at_0(results), *(result.warning for result in results if result.warning)]


def _without_lesions(cases: pd.DataFrame) -> list[str]:
    if cases["n_lesions"].sum() == 0:
        return ["No patient has a lesion: sensitivity, recall and ROC are undefined."]
    without = cases.loc[cases["n_lesions"] == 0, "case"]
    if not len(without):
        return []
    have = "has" if len(without) == 1 else "have"
    return [f"{n_of(len(without), 'patient')} {have} no lesion: {', '.join(without)}."]


def _at_0(results: Collection[CaseResult]) -> list[str]:
    """Lesion voxels at 0 tie with nearly all of the background, which draws the AUC towards 1/2."""
    curves = [result.curves for result in results if result.curves is not None]
    n_voxels, n_at_0 = sum(each.n_voxels for each in curves), sum(each.n_voxels_at_0 for each in curves)
    if n_at_0 <= NOTICED_AT_0 * n_voxels:
        return []
    share = f"{100 * n_at_0 / n_voxels:.1f} %"
    return [
        f"{share} of the lesion voxels have the probability 0, as most of the background usually has: the AUC may be "
        "too low, and no threshold above 0 reaches them. If that is rounding, predict again with "
        "--save_probabilities float32."
    ]


def versions() -> dict[str, str]:
    """The versions of the packages that the numbers depend on."""
    packages = ("nnunetv2", "numpy", "scipy", "pandas", "SimpleITK")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
