"""Writes the outputs of a predicted case, all or none: label map, record, lesion table, probabilities, extras."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray

from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.images.image_io import write_image
from dataset_conversion.files.images.nifti import stored_type
from dataset_conversion.files.images.nifti_writing import ProbabilityType, write_probability
from dataset_conversion.files.staging import staged
from dataset_conversion.files.texts.csv_files import write_csv
from dataset_conversion.files.texts.json_files import write_json
from dataset_conversion.outcomes import Outcome, attempt
from dataset_conversion.raw.preparing.placeholders import log_missing
from dataset_conversion.sequences import Pattern
from evaluation.inputs.records import read_record
from evaluation.inputs.target import Target
from evaluation.inputs.thresholds import Thresholds
from evaluation.lesion_table import object_table
from evaluation.metrics.lesion.lesions import find_objects
from evaluation.metrics.voxel.voxels import reaches
from evaluation.patient import Grid
from nnunet_seqdropout import __version__
from nnunet_seqdropout.prediction.case import CaseImages, CaseInput
from nnunet_seqdropout.prediction.extras import OF_EXTRAS, CaseResult, Extra
from nnunet_seqdropout.prediction.model import Model, Preprocessed, Segmentation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choices:
    """Outputs of a case. thresholds: None takes the most probable label. target: the label or region that the
    lesion table, the probability map, the thresholds and the extras speak of. extras: further files, in this order."""

    target: Target = field(default_factory=Target)
    thresholds: Thresholds | None = None
    threshold_source: str = "argmax"
    save_probabilities: ProbabilityType | None = None
    resume: bool = False
    extras: Sequence[Extra] = ()


@dataclass(frozen=True)
class Ready:
    """A case that the network can take. inputs: ``CaseInput.identity``."""

    images: CaseImages
    preprocessed: Preprocessed
    warnings: tuple[str, ...]
    inputs: Mapping[str, Any]


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
        target = self.choices.target
        segmentation = self.model.segmentation(logits, ready.preprocessed)
        probability = self.model.probability(segmentation, target.labels)
        present = ready.preprocessed.present
        record = self._record(case, present, ready.inputs, ready.warnings)
        record["preparation"] = dict(ready.images.preparation)
        log_missing(case, present, self.model.channel_names, factor=record["factor"])
        labels = segmentation.labels
        if record["threshold"] is not None:
            labels = with_threshold(segmentation, self.model, target, probability, record["threshold"])
        image = ready.images.as_result(labels)
        probability = sitk.GetArrayFromImage(ready.images.as_result(probability))
        objects = find_objects(np.isin(sitk.GetArrayViewFromImage(image), target.labels))
        table = object_table(objects, side="predicted", grid=Grid.of(image), probability=probability)
        table.insert(0, "case", case)
        with staged(self.target) as stage:
            write_image(image, stage / self._label_map(case).name)
            if stored_as := self.choices.save_probabilities:
                write_probability(probability, image, stage / self._probability(case).name, stored_as=stored_as)
            write_csv(table, stage / f"{case}_lesions.csv")
            result = CaseResult(case, self.model, target, ready.images, image, probability, objects, table, record)
            for note in (note for extra in self.choices.extras for note in extra.write(result, stage)):
                log.warning("%s: %s", case, note)
                record["warnings"].append(note)
            files = {file.name: sha256_of(file) for file in sorted(stage.iterdir())}
            for of_another_run in (".json", "_prob.nii.gz", ".npz", *OF_EXTRAS):
                (self.target / f"{case}{of_another_run}").unlink(missing_ok=True)
        write_json(self.target / f"{case}.json", {**record, "files": files})

    def is_done(self, case: str, found: CaseInput) -> bool:
        """Whether the case's files are as they were written, from these inputs, and are what would be written now."""
        try:
            record: dict[str, Any] = {**read_record(self.target / f"{case}.json")}
            present = [name not in record["absent"] for name in self.model.channel_names]
            expected = self._record(case, present, found.identity(), record["warnings"])
            files, _ = record.pop("files"), record.pop("preparation")
            further = {name for extra in self.choices.extras for name in extra.names(case)} & files.keys()
            whole = all(sha256_of(self.target / name) == files[name] for name in (*self._names(case), *further))
            if (stored_as := self.choices.save_probabilities) and stored_type(self._probability(case)) != stored_as:
                return False
        except (OSError, ValueError, KeyError):
            return False
        # a run that asked for more files has more keys
        return whole and expected.items() <= record.items()

    def _names(self, case: str) -> list[str]:
        """Of the files that are written beside the record."""
        probability = [self._probability(case).name] if self.choices.save_probabilities else []
        return [self._label_map(case).name, *probability, f"{case}_lesions.csv"]

    def _label_map(self, case: str) -> Path:
        return self.target / f"{case}{self.model.predictor.dataset_json['file_ending']}"

    def _probability(self, case: str) -> Path:
        return self.target / f"{case}_prob.nii.gz"

    def _record(
        self, case: str, present: Sequence[bool], inputs: Mapping[str, Any], warnings: Sequence[str]
    ) -> dict[str, Any]:
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
            "inputs": dict(inputs),
            "versions": {"nnunet_seqdropout": __version__},
            "warnings": list(warnings),
            **{key: value for extra in self.choices.extras for key, value in extra.recorded().items()},
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
