"""Predicts the same cases with every subset of their sequences and measures each against the reference."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from dataset_conversion.faults import Fault
from dataset_conversion.outcomes import Outcome, attempt, is_quiet
from dataset_conversion.sequences import Pattern
from evaluation.inputs.folders import Folders
from evaluation.inputs.target import Target
from evaluation.inputs.thresholds import Thresholds
from evaluation.patient import Grid, Rules, evaluate_patient
from evaluation.tables.evaluate import versions
from evaluation.tables.subsets import SubsetResults
from nnunet_seqdropout.prediction.case import CaseInput
from nnunet_seqdropout.prediction.model import Model, Preprocessed

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
    task = _Task(model, folders, patterns, thresholds, how.min_volumes_mm3)
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


@dataclass(frozen=True)
class _Task:
    """thresholds: for every pattern, whose it is and its value; empty takes the most probable label."""

    model: Model
    folders: Folders
    patterns: Sequence[Sequence[bool]]
    thresholds: Mapping[str, tuple[str, float]]
    min_volumes_mm3: Sequence[float]

    @property
    def never_trained(self) -> list[str]:
        """The patterns that training could not draw."""
        names = self.model.channel_names
        return [str(Pattern.of(p, names)) for p in self.patterns if not self.model.pattern_trained(p)]

    def rows(self, case: str, found: CaseInput, measuring: ThreadPoolExecutor) -> list[dict]:
        """A row per pattern that the case has; while one pattern is measured the next is predicted."""
        images = found.read().by_channel
        first = next(iter(images.values()))
        against = _Against(*self.folders.reference_on(first, case), Grid.of(first))
        rows: list[dict] = []
        ahead: Future | None = None
        for present, prepared in self._prepared(images):
            logits = self.model.logits(prepared)
            if ahead is not None:
                rows.append(ahead.result())
            shown = str(Pattern.of(present, self.model.channel_names))
            known = {"case": case, "pattern": shown, "n_present": sum(present)}
            ahead = measuring.submit(self._row, known, prepared, logits, against)
        if ahead is None:
            raise Fault(
                "the case lacks a sequence of every pattern", remedy="Give a pattern whose sequences the case has."
            )
        return [*rows, ahead.result()]

    def _prepared(self, images: Mapping[int, sitk.Image]) -> Iterator[tuple[Sequence[bool], Preprocessed]]:
        complete = self.model.preprocess(images)
        for present in self.patterns:
            kept = [channel for channel, there in enumerate(present) if there]
            if set(kept) <= images.keys():
                yield present, _without(self.model, complete, images, kept)

    def _row(self, known: dict, prepared: Preprocessed, logits: torch.Tensor, against: "_Against") -> dict[str, Any]:
        segmentation = self.model.segmentation(logits, prepared)
        labels = self.folders.target.labels
        probability = self.model.probability(segmentation, labels)
        value, predicted = np.nan, None
        if self.thresholds:
            value = self.thresholds[known["pattern"]][1]
        else:
            predicted = np.isin(segmentation.labels, labels)
        result = evaluate_patient(
            against.reference,
            probability=probability,
            predicted=predicted,
            mask=against.mask,
            grid=against.grid,
            rules=Rules(value, self.min_volumes_mm3),
        )
        return {**known, "threshold": value, **result.measures}


@dataclass(frozen=True)
class _Against:
    """What the predictions of a case are compared with. mask: the voxels that count, None where all do."""

    reference: NDArray[np.bool_]
    mask: NDArray[np.bool_] | None
    grid: Grid


def threshold_of_each(
    thresholds: Thresholds | None, patterns: Sequence[Sequence[bool]], channel_names: Sequence[str]
) -> dict[str, tuple[str, float]]:
    """For every pattern the one whose threshold it takes, and its value. Raises Fault where one has none."""
    if thresholds is None:
        return {}
    shown = [str(Pattern.of(present, channel_names)) for present in patterns]
    found = {each: thresholds.for_pattern(each, channel_names=channel_names) for each in shown}
    return {each: (owner, threshold.value) for each, (owner, threshold) in found.items()}


def _threshold(thresholds: Thresholds | None, source: str, task: _Task) -> dict[str, object]:
    """Where the threshold comes from, in words, and that of each pattern, with the pattern that lent it."""
    values = {shown: {"value": value, "of": owner or shown} for shown, (owner, value) in task.thresholds.items()}
    if thresholds is None:
        return {"method": "argmax", "source": "None: the most probable label.", "values": values}
    file = source.removeprefix(f"{thresholds.method} of ")
    said = thresholds.source() if thresholds.method == "fixed" else f"{thresholds.source()} ({file})"
    return {"method": thresholds.method, "source": f"{said}.", "values": values}


def _summary(task: _Task) -> dict[str, Any]:
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


def _without(
    model: Model, complete: Preprocessed, images: Mapping[int, sitk.Image], kept: Sequence[int]
) -> Preprocessed:
    """The case with only these sequences.

    Where the same voxels are not zero in the subset as in all images, nnU-Net crops both alike and normalises and
    resamples every channel for itself: the others are zeroed. Otherwise the subset is preprocessed anew.
    """
    present = tuple(channel in kept for channel in range(len(model.channel_names)))
    if present == complete.present:
        return complete
    if np.array_equal(_nonzero(images, kept), _nonzero(images, list(images))):
        data = torch.where(torch.tensor(present).view(-1, 1, 1, 1), complete.data, 0)
        return Preprocessed(data, complete.properties, present)
    return model.preprocess({channel: images[channel] for channel in kept})


def _nonzero(images: Mapping[int, sitk.Image], channels: Sequence[int]) -> NDArray[np.bool_]:
    return np.any([sitk.GetArrayViewFromImage(images[channel]) != 0 for channel in channels], axis=0)
