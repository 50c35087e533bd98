"""Evaluates folders of predictions and references, and returns the tables of one evaluation."""

import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.outcomes import Outcome, map_cases
from evaluation.inputs.folders import Folders, Volumes
from evaluation.inputs.thresholds import Threshold, Thresholds
from evaluation.metrics.froc_steps import FrocSteps, froc_steps
from evaluation.metrics.lesions import Objects
from evaluation.metrics.voxels import reaches
from evaluation.patient import Rules, evaluate_patient
from evaluation.tables import summaries
from evaluation.tables.froc import LOWEST, froc
from evaluation.tables.results import Evaluation

Pictures = tuple[Any, ...]
"""The pictures that ``draw`` returns for a patient; this module only passes them on."""

DEFAULT_THRESHOLD = 0.5
NOTICED_AT_0 = 0.001
"""A larger share of lesion voxels with probability 0 causes a warning; the AUC may lose half as much."""


@dataclass(frozen=True)
class CaseResult:
    """The results of a patient that are kept until all patients are done.

    n_voxels, n_voxels_at_0: of the lesions, and those of them whose probability is 0; none where there are label maps.
    """

    measures: dict[str, str | float]
    lesions: pd.DataFrame
    n_one_to_one: int
    sensitivities: NDArray[np.float64] | None
    froc: FrocSteps | None
    mosaic: Pictures
    warning: str
    threshold_of: str | None
    n_voxels: int
    n_voxels_at_0: int


def evaluate_folders(
    folders: Folders,
    *,
    name: str,
    thresholds: Thresholds | None = None,
    min_volumes_mm3: Sequence[float] = (10.0,),
    draw: Callable[[str, Volumes], Pictures] | None = None,
    n_workers: int | None = 1,
) -> tuple[Evaluation, dict[str, Pictures]]:
    """Evaluates every patient who has a reference; the evaluation, and what ``draw`` made of each patient.

    thresholds: None takes 0.5. Label maps without probabilities need none. A patient who cannot be used is left out and
    named in the summary. Raises Fault where none can be used.
    """
    cases = folders.cases()
    if thresholds is None:
        thresholds = Thresholds(str(folders.target), "default", {"": Threshold(DEFAULT_THRESHOLD)})
    rules = Rules(min_volumes_mm3=min_volumes_mm3)

    def evaluate_case(case: str) -> CaseResult:
        return _evaluate_case(case, folders, thresholds, rules, draw)

    outcomes, results = map_cases(cases, evaluate_case, doing="Evaluating", n_workers=n_workers)
    if not results:
        problem = next(iter(outcomes.values()))
        raise Fault(f"no patient can be evaluated; the first: {problem.problem}", remedy=problem.remedy)
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
        **_summary(tables["cases"], tables["lesions"], results.values()),
        "cases": {case: asdict(outcome) for case, outcome in outcomes.items()},
    }
    evaluation = Evaluation(**tables, summary=summary)
    return evaluation, {case: result.mosaic for case, result in results.items() if result.mosaic}


def _evaluate_case(
    case: str,
    folders: Folders,
    thresholds: Thresholds,
    rules: Rules,
    draw: Callable[[str, Volumes], Pictures] | None,
) -> CaseResult:
    volumes = folders.read(case)
    owner, threshold = None, thresholds.by_pattern.get("")
    if volumes.probability is not None:
        owner, threshold = thresholds.for_pattern(volumes.pattern, channel_names=folders.channel_names)
    rules = replace(rules, threshold=threshold.value if threshold else DEFAULT_THRESHOLD)
    result = evaluate_patient(
        volumes.reference,
        probability=volumes.probability,
        predicted=volumes.predicted,
        mask=volumes.mask,
        grid=volumes.grid,
        rules=rules,
    )
    picture, warning = _mosaic(case, volumes, rules, draw)
    return CaseResult(
        measures={"case": case, "pattern": volumes.pattern, **result.measures},
        lesions=result.lesions.assign(case=case),
        n_one_to_one=result.n_one_to_one,
        sensitivities=None if result.roc is None else result.roc.sensitivity_at(summaries.FALSE_POSITIVE_RATES),
        froc=None if volumes.probability is None else _froc(result.reference, volumes, rules),
        mosaic=picture,
        warning=warning,
        threshold_of=owner,
        n_voxels=0 if result.roc is None else result.roc.n_lesion,
        n_voxels_at_0=0 if result.roc is None else int(result.roc.lesion[result.roc.values == 0].sum()),
    )


def _froc(lesions: Objects, volumes: Volumes, rules: Rules) -> FrocSteps:
    """Down to LOWEST, and to the threshold that is applied where it lies below."""
    probability = np.asarray(volumes.inside_mask().probability)
    return froc_steps(lesions, probability, lowest=min(LOWEST, rules.threshold) or LOWEST)


def _tables(results: Collection[CaseResult], applied: Sequence[float]) -> dict[str, pd.DataFrame]:
    """The four tables of an ``Evaluation``. Curves are of the patients with probabilities alone. applied: the
    cohort's thresholds."""
    lesions = pd.concat([result.lesions for result in results], ignore_index=True)
    lesions.insert(0, "case", lesions.pop("case"))
    return {
        "cases": pd.DataFrame([result.measures for result in results]),
        "lesions": lesions,
        "roc": summaries.mean_roc([result.sensitivities for result in results if result.sensitivities is not None]),
        "froc": froc([result.froc for result in results if result.froc is not None], applied=applied),
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
        "warnings": _warnings(cases, results),
    }


def _mosaic(
    case: str, volumes: Volumes, rules: Rules, draw: Callable[[str, Volumes], Pictures] | None
) -> tuple[Pictures, str]:
    """The patient's pictures; where there can be none, none and why: the numbers do not depend on them."""
    if draw is None:
        return (), ""
    if volumes.probability is not None:
        volumes = replace(volumes, predicted=reaches(volumes.probability, rules.threshold))
    try:
        return draw(case, volumes.inside_mask()), ""
    except Fault as fault:
        return (), f"{case} has no pictures: {fault}"


def _threshold(thresholds: Thresholds, results: Mapping[str, CaseResult]) -> dict[str, object]:
    """Where the threshold comes from, in a sentence, and which patients took that of another pattern."""
    if all(result.sensitivities is None for result in results.values()):
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


def _warnings(cases: pd.DataFrame, results: Collection[CaseResult]) -> list[str]:
    return [*_without_lesions(cases), *_at_0(results), *(result.warning for result in results if result.warning)]


def _without_lesions(cases: pd.DataFrame) -> list[str]:
    if cases["n_lesions"].sum() == 0:
        return ["No patient has a lesion: sensitivity, recall and ROC are undefined."]
    without = cases.loc[cases["n_lesions"] == 0, "case"]
    if not len(without):
        return []
    count = "1 patient has" if len(without) == 1 else f"{len(without)} patients have"
    return [f"{count} no lesion: {', '.join(without)}."]


def _at_0(results: Collection[CaseResult]) -> list[str]:
    """Lesion voxels at 0 tie with nearly all of the background, which draws the AUC towards 1/2."""
    n_voxels = sum(result.n_voxels for result in results)
    n_at_0 = sum(result.n_voxels_at_0 for result in results)
    if n_at_0 <= NOTICED_AT_0 * n_voxels:
        return []
    share = f"{100 * n_at_0 / n_voxels:.1f} %"
    return [
        f"{share} of the lesion voxels have the probability 0, as the background has: the AUC is too low, and no "
        "threshold reaches them. If that is rounding, predict again with --save_probabilities float32."
    ]


def versions() -> dict[str, str]:
    """The versions of the packages that the numbers depend on."""
    packages = ("nnunetv2", "numpy", "scipy", "pandas", "SimpleITK")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
