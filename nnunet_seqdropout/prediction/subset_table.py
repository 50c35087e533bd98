"""Predicts the same cases with every subset of their sequences and measures each against the reference."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from dataset_conversion.faults import Fault
from dataset_conversion.outcomes import Outcome, attempt, is_quiet
from dataset_conversion.sequences import Pattern
from evaluation.inputs.folders import Folders
from evaluation.inputs.target import Target
from evaluation.inputs.thresholds import Thresholds
from evaluation.tables.evaluate import versions
from evaluation.tables.subsets import SubsetResults
from nnunet_seqdropout.prediction.case import CaseInput
from nnunet_seqdropout.prediction.model import Model
from nnunet_seqdropout.prediction.subsets_of_case import SubsetsOfCase

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measurement:
    """What every subset is measured against, and how. references: a folder of ``<case>.nii.gz``.

    thresholds: None takes the most probable label. threshold_source: where they come from, in words.
    """

    references: Path
    target: Target = field(default_factory=Target)
    thresholds: Thresholds | None = None
    threshold_source: str = "argmax"
    min_volumes_mm3: Sequence[float] = (10.0,)


def measure_subsets(
    model: Model,
    cases: Mapping[str, CaseInput],
    patterns: Sequence[Sequence[bool]],
    how: Measurement,
    *,
    known_faulty: Mapping[str, Outcome] | None = None,
) -> SubsetResults:
    """Predicts and measures every case with every pattern of sequences that it has; each image is read once.

    A sequence left out is as if it had never been acquired: cropping and normalisation are those of the subset.
    Raises Fault where no case can be used or a pattern has no threshold.
    """
    folders = Folders(how.references, how.references, how.target)
    thresholds = threshold_of_each(how.thresholds, patterns, model.channel_names)
    task = SubsetsOfCase(model, folders, patterns, thresholds, how.min_volumes_mm3)
    for pattern in task.never_trained:
        log.warning("The model was never trained on %s: what it makes of it may be anything.", pattern)
    rows: list[dict] = []
    outcomes = dict(known_faulty or {})
    with logging_redirect_tqdm(), ThreadPoolExecutor(1) as measuring:
        for case in tqdm(
            [case for case in cases if case not in outcomes], desc="Subsets", unit="case", disable=is_quiet()
        ):
            outcomes[case], measured = attempt(case, lambda each: task.rows(each, cases[each], measuring))
            if outcomes[case].status == "failed":
                log.error("%s: %s. %s", case, outcomes[case].problem, outcomes[case].remedy)
            rows += measured or []
    if not rows:
        first = next(iter(outcomes.values()))
        raise Fault(f"no case can be used; the first: {first.problem}", remedy=first.remedy)
    table = pd.DataFrame(rows)
    order = {str(Pattern.of(present, model.channel_names)): i for i, present in enumerate(patterns)}
    table = table.sort_values(["n_present", "pattern"], key=lambda c: -c if c.name == "n_present" else c.map(order))
    summary = {
        **_summary(task),
        "threshold": _threshold(how.thresholds, how.threshold_source, task),
        "cases": {case: asdict(outcomes[case]) for case in cases},
    }
    return SubsetResults(table.reset_index(drop=True), summary)


def threshold_of_each(
    thresholds: Thresholds | None, patterns: Sequence[Sequence[bool]], channel_names: Sequence[str]
) -> dict[str, tuple[str, float]]:
    """For every pattern the one whose threshold it takes, and its value. Raises Fault where one has none."""
    if thresholds is None:
        return {}
    shown = [str(Pattern.of(present, channel_names)) for present in patterns]
    found = {each: thresholds.for_pattern(each, channel_names=channel_names) for each in shown}
    return {each: (owner, threshold.value) for each, (owner, threshold) in found.items()}


def _threshold(thresholds: Thresholds | None, source: str, task: SubsetsOfCase) -> dict[str, object]:
    """Where the threshold comes from, in words, and that of each pattern, with the pattern that lent it."""
    values = {shown: {"value": value, "of": owner or shown} for shown, (owner, value) in task.thresholds.items()}
    if thresholds is None:
        return {"method": "argmax", "source": "None: the most probable label.", "values": values}
    file = source.removeprefix(f"{thresholds.method} of ")
    said = thresholds.source() if thresholds.method == "fixed" else f"{thresholds.source()} ({file})"
    return {"method": thresholds.method, "source": f"{said}.", "values": values}


def _summary(task: SubsetsOfCase) -> dict[str, Any]:
    model, folders = task.model, task.folders
    return {
        "command": "subsets",
        "version": version("nnunet_seqdropout"),
        "versions": {**versions(), "torch": version("torch")},
        "name": model.folder.resolve().name,
        "synthetic": folders.synthetic,
        "channel_names": list(model.channel_names),
        "never_trained": task.never_trained,
        "settings": {
            "model": str(model.folder),
            **model.settings,
            "gt": str(folders.reference),
            "target": str(folders.target),
            "target_name": replace(folders, predictions=model.folder).target_name,
            "min_volumes_mm3": list(task.min_volumes_mm3),
        },
    }
