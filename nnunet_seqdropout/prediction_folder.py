"""Predictions of many cases to a folder: label map, record, lesions, probabilities; whole or not there, resumable."""

import json
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

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


@dataclass(frozen=True)
class Choices:
    """What is written of a case. thresholds: None takes the most probable label. target: the label or region that the
    lesion table, the probability map and the thresholds speak of."""

    target: Target = field(default_factory=Target)
    thresholds: Thresholds | None = None
    threshold_source: str = "argmax"
    save_probabilities: bool = False
    resume: bool = False


def preflight(cases: Mapping[str, CaseInput]) -> dict[str, Outcome]:
    """Reads every case before a model is loaded: those that cannot be predicted, and why. Raises Fault if none can."""
    outcomes, _ = map_cases(cases, lambda case: cases[case].require_usable(), doing="Checking")
    faulty = {case: outcome for case, outcome in outcomes.items() if outcome.status == "failed"}
    if cases and len(faulty) == len(cases):
        first = next(iter(faulty.values()))
        raise Fault(f"none of {len(cases)} cases can be predicted; the first: {first.problem}", remedy=first.remedy)
    return faulty


def predict_folder(
    model: Model,
    cases: Mapping[str, CaseInput],
    target: Path,
    choices: Choices | None = None,
    *,
    known_faulty: Mapping[str, Outcome] | None = None,
) -> dict[str, Outcome]:
    """Predicts every case into ``target`` but those known to be faulty; a bad one is reported and the others go on.

    While one case is predicted the next is read and preprocessed, and the one before is written.
    """
    choices = choices or Choices()
    target.mkdir(parents=True, exist_ok=True)
    writer = _Writer(model, target, choices)
    todo = [case for case in cases if not (choices.resume and writer.is_done(case, cases[case]))]
    outcomes = {case: Outcome("skipped", "predicted before") for case in cases if case not in todo}
    outcomes.update(known_faulty or {})
    todo = [case for case in todo if case not in outcomes]
    with logging_redirect_tqdm(), ThreadPoolExecutor(1) as readers, ThreadPoolExecutor(1) as writers:
        written: dict[str, Future] = {}
        for case, prepared in tqdm(_one_ahead(model, cases, todo, readers), total=len(todo), desc="Predicting"):
            outcome, ready = prepared
            if outcome.status == "ok":
                images, preprocessed = ready
                logits = model.logits(preprocessed)
            if outcome.status == "ok":
                written[case] = writers.submit(writer.attempt, case, images, preprocessed, logits)
            else:
                outcomes[case] = outcome
                log.error("%s: %s. %s", case, outcome.problem, outcome.remedy)
        for case, future in written.items():
            outcomes[case] = future.result()
            if outcomes[case].status == "failed":
                log.error("%s: %s. %s", case, outcomes[case].problem, outcomes[case].remedy)
    outcomes = {case: outcomes[case] for case in cases}
    settings = {"model": str(model.folder), "target": str(choices.target), "threshold_source": choices.threshold_source}
    write_summary(target, command="predict", settings=settings, outcomes=outcomes)
    write_json(target / "dataset.json", model.predictor.dataset_json)
    return outcomes


def _one_ahead(
    model: Model, cases: Mapping[str, CaseInput], todo: list[str], readers: ThreadPoolExecutor
) -> Iterator[tuple[str, Any]]:
    """Each case read and preprocessed, the next one in the making."""

    def prepare(case: str) -> tuple[dict[int, sitk.Image], Preprocessed]:
        images = cases[case].read()
        return images, model.preprocess({model.channel_names[channel]: image for channel, image in images.items()})

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

    def attempt(
        self, case: str, images: Mapping[int, sitk.Image], preprocessed: Preprocessed, logits: torch.Tensor
    ) -> Outcome:
        return attempt(case, lambda each: self.write(each, images, preprocessed, logits))[0]

    def write(
        self, case: str, images: Mapping[int, sitk.Image], preprocessed: Preprocessed, logits: torch.Tensor
    ) -> None:
        """All files of the case, or none."""
        segmentation = self.model.segmentation(logits, preprocessed)
        grid = next(iter(images.values()))
        probability = self.model.probability(segmentation, self.choices.target.labels)
        record = self._record(case, preprocessed)
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
            write_json(stage / f"{case}.json", record)

    def is_done(self, case: str, found: CaseInput) -> bool:
        """Whether the case's files are there, can be read, and are what would be written now."""
        file = self.target / f"{case}{self.model.predictor.dataset_json['file_ending']}"
        outputs = [file, *([self.target / f"{case}_prob.nii.gz"] if self.choices.save_probabilities else [])]
        try:
            record = json.loads((self.target / f"{case}.json").read_text(encoding="utf-8"))
            inputs = found.read()
            for output in outputs:
                require_same_grid(next(iter(inputs.values())), read_image(output), files=(file, output))
        except (OSError, ValueError):
            return False
        present = [channel in inputs for channel in range(len(self.model.channel_names))]
        expected = self._record(case, Preprocessed(None, {}, tuple(present)))  # type: ignore[arg-type]
        return record == expected and (self.target / f"{case}_lesions.csv").is_file()

    def _record(self, case: str, preprocessed: Preprocessed) -> dict[str, Any]:
        names, present = self.model.channel_names, preprocessed.present
        absent = [name for name, there in zip(names, present, strict=True) if not there]
        shown = pattern(present, names)
        value, source = None, self.choices.threshold_source
        if self.choices.thresholds is not None:
            owner, threshold = self.choices.thresholds.for_pattern(shown, channel_names=names)
            value = threshold.value
            if owner not in ("", shown):
                source = f"{source}, that of {owner}, since {shown} was not calibrated"
        factor = self.model.factor(present)
        if absent:
            used = f"using {sum(present)} of {len(present)}, factor {factor:g}"
            log.info("%s: missing %s, %s", case, ", ".join(absent), used)
        return {
            "case": case,
            "pattern": shown,
            "absent": absent,
            "factor": factor,
            "threshold": value,
            "threshold_source": source,
            "model": str(self.model.folder),
            "versions": {"nnunet_seqdropout": __version__},
            "warnings": [],
        }


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
