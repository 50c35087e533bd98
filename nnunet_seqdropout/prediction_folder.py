"""Predictions of many cases to a folder: label map, record, lesions, probabilities; whole or not there, resumable."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from dataset_conversion.abandoned import remove_abandoned
from dataset_conversion.faults import Fault
from dataset_conversion.images import read_image, require_same_grid, staged, write_image
from dataset_conversion.nifti import write_probability
from dataset_conversion.outcomes import Outcome, attempt, map_cases, write_json, write_summary
from dataset_conversion.sequences import pattern
from evaluation.inputs import Target
from evaluation.lesions import find_objects
from evaluation.patient import Grid, object_table
from evaluation.thresholds import Thresholds
from evaluation.voxels import reaches
from nnunet_seqdropout import __version__
from nnunet_seqdropout.prediction import Model, Preprocessed, Segmentation
from nnunet_seqdropout.prediction_inputs import CaseInput

log = logging.getLogger(__name__)

_RECORD_BYTES = 2**20
"""Of a case's record and its table of lesions."""


@dataclass(frozen=True)
class Choices:
    """What is written of a case. thresholds: None takes the most probable label. target: the label or region that the
    lesion table, the probability map and the thresholds speak of."""

    target: Target = field(default_factory=Target)
    thresholds: Thresholds | None = None
    threshold_source: str = "argmax"
    save_probabilities: bool = False
    resume: bool = False


@dataclass(frozen=True)
class Preflight:
    """faulty: the cases that cannot be predicted, and why. n_voxels: of each of the others, the size of its images."""

    faulty: dict[str, Outcome]
    n_voxels: dict[str, int]


def preflight(
    cases: Mapping[str, CaseInput], *, thresholds: Thresholds | None = None, channel_names: Sequence[str] = ()
) -> Preflight:
    """Reads every case before a model is loaded, and looks up its threshold. Raises Fault if none can be predicted."""

    def look_at(case: str) -> int:
        images = cases[case].read()
        for note in cases[case].notes:
            log.warning("%s: %s", case, note)
        if thresholds is not None:
            present = [channel in images for channel in range(len(channel_names))]
            thresholds.for_pattern(pattern(present, channel_names), channel_names=channel_names)
        return next(iter(images.values())).GetNumberOfPixels()

    outcomes, n_voxels = map_cases(cases, look_at, doing="Checking")
    faulty = {case: outcome for case, outcome in outcomes.items() if outcome.status == "failed"}
    if cases and len(faulty) == len(cases):
        first = next(iter(faulty.values()))
        raise Fault(f"none of {len(cases)} cases can be predicted; the first: {first.problem}", remedy=first.remedy)
    return Preflight(faulty, n_voxels)


def bytes_needed(target: Path, found: Preflight, choices: Choices, file_ending: str) -> int:
    """The most that the outputs can take: as if nothing could be compressed. On resuming, of those not there yet."""
    of_voxel = 1 + 2 * choices.save_probabilities
    return sum(
        n_voxels * of_voxel + _RECORD_BYTES
        for case, n_voxels in found.n_voxels.items()
        if not (choices.resume and (target / f"{case}{file_ending}").is_file())
    )


def predict_folder(
    model: Model,
    cases: Mapping[str, CaseInput],
    target: Path,
    choices: Choices | None = None,
    *,
    known_faulty: Mapping[str, Outcome] | None = None,
    summary: str = "summary.json",
) -> dict[str, Outcome]:
    """Predicts every case into ``target`` but those known to be faulty; a bad one is reported and the others go on.

    While one case is predicted the next is read and preprocessed, and the one before is written. summary: what the
    file with the outcomes is called, where several processes share the folder.
    """
    choices = choices or Choices()
    target.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target)
    writer = _Writer(model, target, choices)
    outcomes = dict(known_faulty or {})
    for case, found in cases.items():
        if choices.resume and case not in outcomes and writer.is_done(case, found):
            outcomes[case] = Outcome("skipped", "predicted before")
    todo = [case for case in cases if case not in outcomes]
    being_written: list[tuple[str, Future]] = []

    def finish(case: str, outcome: Outcome) -> None:
        outcomes[case] = outcome
        if outcome.status == "failed":
            log.error("%s: %s. %s", case, outcome.problem, outcome.remedy)

    with logging_redirect_tqdm(), ThreadPoolExecutor(1) as readers, ThreadPoolExecutor(1) as writers:
        for case, (outcome, ready) in tqdm(_one_ahead(model, cases, todo, readers), total=len(todo), desc="Predicting"):
            if outcome.status == "failed":
                finish(case, outcome)
                continue
            warnings: list[str] = []
            logits = model.logits(ready.preprocessed, warn=warnings.append)
            for warning in warnings:
                log.warning("%s: %s", case, warning)
            predicted = replace(ready, warnings=(*ready.warnings, *warnings))
            # one case at a time waits to be written, however slow the disk
            for before, future in being_written:
                finish(before, future.result())
            being_written = [(case, writers.submit(writer.attempt, case, predicted, logits))]
        for before, future in being_written:
            finish(before, future.result())
    outcomes = {case: outcomes[case] for case in cases}
    settings = {"model": str(model.folder), "target": str(choices.target), "threshold_source": choices.threshold_source}
    write_summary(target, command="predict", settings=settings, outcomes=outcomes, name=summary)
    write_json(target / "dataset.json", model.predictor.dataset_json)
    return outcomes


@dataclass(frozen=True)
class _Ready:
    """A case that the network can take. grid: an image of it."""

    grid: sitk.Image
    preprocessed: Preprocessed
    warnings: tuple[str, ...]


def _one_ahead(
    model: Model, cases: Mapping[str, CaseInput], todo: list[str], readers: ThreadPoolExecutor
) -> Iterator[tuple[str, Any]]:
    """Each case read and preprocessed, the next one in the making."""

    def prepare(case: str) -> _Ready:
        images = cases[case].read()
        preprocessed = model.preprocess({model.channel_names[channel]: image for channel, image in images.items()})
        warnings = (*cases[case].warnings(images), *model.warnings(preprocessed.present))
        return _Ready(next(iter(images.values())), preprocessed, warnings)

    ahead: list[tuple[str, Future]] = []
    for case in todo:
        ahead.append((case, readers.submit(attempt, case, prepare)))
        if len(ahead) > 1:
            first, future = ahead.pop(0)
            yield first, future.result()
    for case, future in ahead:
        yield case, future.result()


@dataclass(frozen=True)
class _Writer:
    model: Model
    target: Path
    choices: Choices

    def attempt(self, case: str, ready: _Ready, logits: torch.Tensor) -> Outcome:
        return attempt(case, lambda each: self.write(each, ready, logits))[0]

    def write(self, case: str, ready: _Ready, logits: torch.Tensor) -> None:
        """All files of the case, or none; the record comes last, so that what has one is whole."""
        segmentation = self.model.segmentation(logits, ready.preprocessed)
        grid = ready.grid
        probability = self.model.probability(segmentation, self.choices.target.labels)
        record = self._record(case, ready.preprocessed.present, ready.warnings)
        self._log(record)
        labels = segmentation.labels
        if record["threshold"] is not None:
            labels = with_threshold(segmentation, self.model, self.choices.target, probability, record["threshold"])
        file_ending = self.model.predictor.dataset_json["file_ending"]
        image = sitk.GetImageFromArray(labels)
        image.CopyInformation(grid)
        objects = find_objects(np.isin(labels, self.choices.target.labels))
        place = Grid(grid.GetSpacing(), grid.GetOrigin(), grid.GetDirection())
        table = object_table(objects, side="predicted", grid=place, probability=probability)
        table.insert(0, "case", case)
        with staged(self.target) as stage:
            write_image(image, stage / f"{case}{file_ending}")
            if self.choices.save_probabilities:
                write_probability(probability, grid, stage / f"{case}_prob.nii.gz")
            table.to_csv(stage / f"{case}_lesions.csv", index=False)
            for of_another_run in (f"{case}.json", f"{case}_prob.nii.gz", f"{case}.npz"):
                (self.target / of_another_run).unlink(missing_ok=True)
        write_json(self.target / f"{case}.json", record)

    def is_done(self, case: str, found: CaseInput) -> bool:
        """Whether the case's files are there, can be read, and are what would be written now."""
        file = self.target / f"{case}{self.model.predictor.dataset_json['file_ending']}"
        outputs = [file, *([self.target / f"{case}_prob.nii.gz"] if self.choices.save_probabilities else [])]
        try:
            record = json.loads((self.target / f"{case}.json").read_text(encoding="utf-8"))
            inputs = found.read()
            for output in outputs:
                require_same_grid(next(iter(inputs.values())), read_image(output), files=(file, output))
            present = [channel in inputs for channel in range(len(self.model.channel_names))]
            expected = self._record(case, present, record["warnings"])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return record == expected and (self.target / f"{case}_lesions.csv").is_file()

    def _record(self, case: str, present: Sequence[bool], warnings: Sequence[str]) -> dict[str, Any]:
        model, names = self.model, self.model.channel_names
        absent = [name for name, there in zip(names, present, strict=True) if not there]
        shown = pattern(present, names)
        value, source = None, self.choices.threshold_source
        if self.choices.thresholds is not None:
            owner, threshold = self.choices.thresholds.for_pattern(shown, channel_names=names)
            value = threshold.value
            if owner not in ("", shown):
                source = f"{source}, that of {owner}, since {shown} was not calibrated"
        return {
            "case": case,
            "pattern": shown,
            "absent": absent,
            "factor": model.factor(present),
            "target": str(self.choices.target),
            "threshold": value,
            "threshold_source": source,
            "model": str(model.folder),
            "settings": model.settings,
            "versions": {"nnunet_seqdropout": __version__},
            "warnings": list(warnings),
        }

    def _log(self, record: Mapping[str, Any]) -> None:
        names = self.model.channel_names
        if record["absent"]:
            missing = ", ".join(f"{name} (_{names.index(name):04d})" for name in record["absent"])
            n_present = len(names) - len(record["absent"])
            factor = Fraction(record["factor"]).limit_denominator(len(names))
            log.info(
                "%s: missing %s, using %d of %d, factor %s", record["case"], missing, n_present, len(names), factor
            )


def with_threshold(
    segmentation: Segmentation, model: Model, target: Target, probability: NDArray, threshold: float
) -> NDArray[np.integer]:
    """The label map in which the target is where p >= threshold, compared in float64.

    There the most probable of the target's labels stands, elsewhere the most probable of all other labels. A model of
    regions has no probabilities of labels: there the target's last label stands, and elsewhere what it said, less it.
    """
    inside = reaches(probability, threshold)
    labels = np.asarray(target.labels)
    if model.predictor.label_manager.has_regions:
        outside = np.where(np.isin(segmentation.labels, labels), 0, segmentation.labels)
        kept = np.where(np.isin(segmentation.labels, labels), segmentation.labels, labels[-1])
        return np.where(inside, kept, outside).astype(segmentation.labels.dtype)
    others = np.setdiff1d(np.arange(len(segmentation.probabilities)), labels)
    best_inside = labels[segmentation.probabilities[labels].argmax(axis=0)]
    best_outside = others[segmentation.probabilities[others].argmax(axis=0)]
    return np.where(inside, best_inside, best_outside).astype(segmentation.labels.dtype)
