"""Writes the outputs of a predicted case, all or none: label map, record, lesion table, probabilities."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray

from dataset_conversion.files.grids import require_same_grid
from dataset_conversion.files.images import read_image, write_image
from dataset_conversion.files.json_files import write_json
from dataset_conversion.files.nifti import ProbabilityType, stored_type, write_probability
from dataset_conversion.files.staging import staged
from dataset_conversion.outcomes import Outcome, attempt
from dataset_conversion.raw.placeholders import log_missing
from dataset_conversion.sequences import Pattern
from evaluation.inputs.records import read_record
from evaluation.inputs.target import Target
from evaluation.inputs.thresholds import Thresholds
from evaluation.lesion_table import object_table
from evaluation.metrics.lesions import find_objects
from evaluation.metrics.voxels import reaches
from evaluation.patient import Grid
from evaluation.tables.csv_files import write_csv
from nnunet_seqdropout import __version__
from nnunet_seqdropout.prediction.inputs import CaseInput
from nnunet_seqdropout.prediction.model import Model, Preprocessed, Segmentation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choices:
    """Outputs of a case. thresholds: None takes the most probable label. target: the label or region that the
    lesion table, the probability map and the thresholds speak of."""

    target: Target = field(default_factory=Target)
    thresholds: Thresholds | None = None
    threshold_source: str = "argmax"
    save_probabilities: ProbabilityType | None = None
    resume: bool = False


@dataclass(frozen=True)
class Ready:
    """A case that the network can take. grid: an image of it."""

    grid: sitk.Image
    preprocessed: Preprocessed
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Writer:
    """Writes cases into ``target``, and says which are there already."""

    model: Model
    target: Path
    choices: Choices

    def attempt(self, case: str, ready: Ready, logits: torch.Tensor) -> Outcome:
        return attempt(case, lambda each: self.write(each, ready, logits))[0]

    def write(self, case: str, ready: Ready, logits: torch.Tensor) -> None:
        """All files of the case, or none; the record comes last, so that what has one is whole."""
        segmentation = self.model.segmentation(logits, ready.preprocessed)
        grid = ready.grid
        probability = self.model.probability(segmentation, self.choices.target.labels)
        record = self._record(case, ready.preprocessed.present, ready.warnings)
        present = ready.preprocessed.present
        log_missing(case, present, self.model.channel_names, factor=record["factor"])
        labels = segmentation.labels
        if record["threshold"] is not None:
            labels = with_threshold(segmentation, self.model, self.choices.target, probability, record["threshold"])
        image = sitk.GetImageFromArray(labels)
        image.CopyInformation(grid)
        objects = find_objects(np.isin(labels, self.choices.target.labels))
        place = Grid.of(grid)
        table = object_table(objects, side="predicted", grid=place, probability=probability)
        table.insert(0, "case", case)
        with staged(self.target) as stage:
            write_image(image, stage / self._label_map(case).name)
            if stored_as := self.choices.save_probabilities:
                write_probability(probability, grid, stage / self._probability(case).name, stored_as=stored_as)
            write_csv(table, stage / f"{case}_lesions.csv")
            for of_another_run in (f"{case}.json", f"{case}_prob.nii.gz", f"{case}.npz"):
                (self.target / of_another_run).unlink(missing_ok=True)
        write_json(self.target / f"{case}.json", record)

    def is_done(self, case: str, found: CaseInput) -> bool:
        """Whether the case's files are there, can be read, and are what would be written now."""
        file, probability = self._label_map(case), self._probability(case)
        stored_as = self.choices.save_probabilities
        try:
            record = read_record(self.target / f"{case}.json")
            inputs = found.read()
            for output in [file, probability] if stored_as else [file]:
                require_same_grid(next(iter(inputs.values())), read_image(output), files=(file, output))
            present = [channel in inputs for channel in range(len(self.model.channel_names))]
            expected = self._record(case, present, record["warnings"])
            if stored_as and stored_type(probability) != stored_as:
                return False
        except (OSError, ValueError, KeyError):
            return False
        return record == expected and (self.target / f"{case}_lesions.csv").is_file()

    def _label_map(self, case: str) -> Path:
        return self.target / f"{case}{self.model.predictor.dataset_json['file_ending']}"

    def _probability(self, case: str) -> Path:
        return self.target / f"{case}_prob.nii.gz"

    def _record(self, case: str, present: Sequence[bool], warnings: Sequence[str]) -> dict[str, Any]:
        model, names = self.model, self.model.channel_names
        absent = [name for name, there in zip(names, present, strict=True) if not there]
        shown = str(Pattern.of(present, names))
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
            "pattern_trained": model.pattern_trained(present),
            "factor": model.factor(present),
            "target": str(self.choices.target),
            "threshold": value,
            "threshold_source": source,
            "model": str(model.folder),
            "settings": model.settings,
            "versions": {"nnunet_seqdropout": __version__},
            "warnings": list(warnings),
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
