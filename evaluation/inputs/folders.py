"""Reads one patient's reference and prediction from the folders that nnU-Net's and our prediction write."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.endings import VOLUME_ENDINGS
from dataset_conversion.files.images.image_io import read_image
from dataset_conversion.files.texts.dataset_json import Description, read_description
from dataset_conversion.files.texts.manifest_json import read_manifest_if_there
from evaluation.inputs.label_maps import LabelMaps
from evaluation.inputs.probabilities import ReferenceGrid, read_map, read_npz
from evaluation.inputs.records import PredictionRecord, read_record
from evaluation.inputs.target import Target
from evaluation.inputs.volumes import Volumes

_AGAIN = "Predict this case again."


@dataclass(frozen=True)
class Folders:
    """References, predictions and what of them is evaluated.

    predictions: per case ``<case>_prob.nii.gz``, or ``<case>.npz`` beside ``<case>.nii.gz``, or that label map alone.
    mask: a folder of masks, ``<case>.nii.gz``. mapping: label values to be taken for others, such as 255 for 1.
    trust_geometry: what has the reference's size lies on its grid, whatever the headers say.
    """

    reference: Path
    predictions: Path
    target: Target = field(default_factory=Target)
    mask: Path | None = None
    mapping: Mapping[int, int] = field(default_factory=dict)
    trust_geometry: bool = False

    def cases(self) -> list[str]:
        """The patients who have a reference, in order. Raises Fault where there is none or a folder is missing."""
        for folder in (self.reference, self.predictions, *([self.mask] if self.mask else [])):
            if not folder.is_dir():
                raise Fault(f"{folder} is not a folder", remedy="Give the folder of references, predictions or masks.")
        cases = [_stem(file) for file in sorted(self.reference.iterdir()) if _stem(file)]
        if twice := sorted(case for case, n in Counter(cases).items() if n > 1):
            problem = f"several references of {', '.join(twice)}"
            raise Fault(problem, file=self.reference, remedy="Keep one file per case.")
        if not cases:
            raise Fault(
                f"no file {self.reference}/<case>.nii.gz", remedy="Give the folder that contains the references."
            )
        return cases

    def without_reference(self) -> list[str]:
        """Cases that were predicted and have no reference."""
        predicted = {_stem(file).removesuffix("_prob") for file in self.predictions.iterdir()} - {""}
        return sorted(predicted - set(self.cases()))

    def is_predicted(self, case: str) -> bool:
        return self.has_probabilities(case) or any((self.predictions / f"{case}{e}").is_file() for e in VOLUME_ENDINGS)

    def has_probabilities(self, case: str) -> bool:
        return any((self.predictions / f"{case}{ending}").is_file() for ending in ("_prob.nii.gz", ".npz"))

    def has_npz(self, case: str) -> bool:
        """Whether the probabilities are those that nnU-Net saves."""
        map_of_target = self.predictions / f"{case}_prob.nii.gz"
        return not map_of_target.is_file() and (self.predictions / f"{case}.npz").is_file()

    def pattern(self, case: str) -> str:
        """The sequences that the prediction had; empty where nobody wrote it down."""
        return str(self._record(case).get("pattern", ""))

    def require_target(self) -> None:
        """Raises Fault where ``dataset.json`` has no such label, or a model that was trained on it no such region."""
        if not self.description.labels:
            return
        if any(self.has_npz(case) for case in self.cases()):
            self.description.require_predicted(self.target.labels)
        self.description.require_labels(self.target.labels)

    def require_others_than(self, validation: "Folders") -> None:
        """Raises Fault where a patient is to be evaluated whom the threshold would be chosen on."""
        chosen_on = {case for case in validation.cases() if validation.is_predicted(case)}
        for case in sorted(chosen_on.intersection(case for case in self.cases() if self.is_predicted(case))):
            ours, theirs = (_only_file(folders.reference, case) for folders in (self, validation))
            if ours.samefile(theirs) or _equal_voxels(ours, theirs):
                problem = f"{case} is a validation patient and is evaluated, too"
                remedy = "Choose a threshold on other patients than those that it is tested on."
                raise Fault(problem, file=theirs, remedy=remedy)

    def read(self, case: str) -> Volumes:
        """Raises Fault where a file is missing, cannot be used, or lies on another grid than the reference."""
        reference_file = _only_file(self.reference, case)
        image = read_image(reference_file)
        if image.GetDimension() != 3:
            problem = f"this is not one volume (2D, {image.GetSize()})"
            raise Fault(problem, file=reference_file, remedy="Add a third axis of length 1.")
        grid = ReferenceGrid(image, reference_file, self.trust_geometry)
        probability, predicted = None, None
        if self.has_probabilities(case):
            probability = self._probability(case, grid)
        else:
            label_map = _only_file(self.predictions, case)
            stored = grid.take(read_image(label_map), label_map)
            predicted = self._label_maps.where_target(self._label_maps.values(stored, label_map))
        labels = self._label_maps.values(image, reference_file)
        reference = self._label_maps.where_target(labels)
        return Volumes(image, reference, probability, predicted, self._counting(case, labels, grid), self.pattern(case))

    def reference_on(self, image: sitk.Image, case: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
        """Where the reference has the target, and the voxels that count, None where all do.

        Raises Fault where the reference cannot be used or lies on another grid than ``image``.
        """
        file = _only_file(self.reference, case)
        stored = ReferenceGrid(image, Path(case), self.trust_geometry).take(read_image(file), file)
        labels = self._label_maps.values(stored, file)
        grid = ReferenceGrid(stored, file, self.trust_geometry)
        return self._label_maps.where_target(labels), self._counting(case, labels, grid)

    @cached_property
    def description(self) -> Description:
        return description_beside(self.reference, self.predictions)

    @property
    def channel_names(self) -> tuple[str, ...]:
        return self.description.channel_names

    @property
    def target_name(self) -> str:
        """As ``dataset.json`` calls the label or region; ``label 1`` where it says nothing."""
        return self.description.name_of(self.target.labels)

    @property
    def synthetic(self) -> bool:
        """Whether the data set of the references says that its patients are synthetic."""
        return read_manifest_if_there(self.reference.parent)["settings"].get("synthetic", False)

    def settings(self) -> dict[str, object]:
        return {
            "gt": str(self.reference),
            "p": str(self.predictions),
            "target": str(self.target),
            "target_name": self.target_name,
            "mask": None if self.mask is None else str(self.mask),
            "map": {str(value): label for value, label in self.mapping.items()},
            "trust_geometry": self.trust_geometry,
            "ignore_label": self.description.ignore_label,
        }

    def _counting(self, case: str, labels: NDArray, grid: ReferenceGrid) -> NDArray[np.bool_] | None:
        """The voxels inside the mask but for those that the reference ignores; None where all count."""
        mask = None if self.mask is None else self._mask(self.mask, case, grid)
        ignored = self._label_maps.where_ignored(labels)
        if ignored is None:
            return mask
        counting = ~ignored if mask is None else mask & ~ignored
        if not counting.any():
            raise Fault(
                "no voxel counts: all have the ignore label, or lie outside the mask",
                file=grid.file,
                remedy="Leave this patient out.",
            )
        return counting

    def _mask(self, folder: Path, case: str, grid: ReferenceGrid) -> NDArray[np.bool_]:
        file = _only_file(folder, case, remedy="Add the mask, or leave out --mask.")
        stored = grid.take(read_image(file), file)  # has a name, since a view does not keep its image alive
        mask = sitk.GetArrayViewFromImage(stored) > 0
        if not mask.any():
            raise Fault("the mask is empty", file=file, remedy="Correct the mask, or omit --mask.")
        return mask

    def _probability(self, case: str, grid: ReferenceGrid) -> NDArray[np.floating]:
        if (file := self.predictions / f"{case}_prob.nii.gz").is_file():
            of = self._record(case).get("target", str(self.target))
            if of != str(self.target):
                problem = f"these are the probabilities of {of}, not of {self.target}"
                raise Fault(problem, file=file, remedy="Evaluate that label or region, or predict again with this one.")
            return read_map(file, grid)
        label_map, regions = _only_file(self.predictions, case), self.description.regions
        return read_npz(self.predictions / f"{case}.npz", label_map, grid, labels=self.target.labels, regions=regions)

    def _record(self, case: str) -> PredictionRecord:
        return read_record(self.predictions / f"{case}.json")

    @cached_property
    def _label_maps(self) -> LabelMaps:
        return LabelMaps(self.target, self.description, self.mapping)


def description_beside(reference: Path, predictions: Path) -> Description:
    """``dataset.json`` beside the predictions or the references, as nnU-Net writes it; empty if there is none."""
    for folder in (predictions, reference, reference.parent):
        if (file := folder / "dataset.json").is_file():
            return read_description(file, required=())
    return Description((), "")


def _equal_voxels(first: Path, second: Path) -> bool:
    """False where one of the files cannot be read, which is said of its case alone."""
    try:
        images = read_image(first), read_image(second)
    except Fault:
        return False
    return np.array_equal(sitk.GetArrayViewFromImage(images[0]), sitk.GetArrayViewFromImage(images[1]))


def _only_file(folder: Path, case: str, *, remedy: str = "Predict the case, or remove its reference.") -> Path:
    file = next(
        (folder / f"{case}{ending}" for ending in VOLUME_ENDINGS if (folder / f"{case}{ending}").is_file()), None
    )
    if file is None:
        raise Fault(f"no file {folder / case}.nii.gz", remedy=remedy)
    return file


def _stem(file: Path) -> str:
    ending = next((e for e in VOLUME_ENDINGS if file.name.endswith(e)), "")
    return file.name.removesuffix(ending) if ending and not file.name.startswith(".") else ""
