"""Reads one patient's reference and prediction from the folders that nnU-Net's and our prediction write."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.files.dataset_json import Description, read_description
from dataset_conversion.files.endings import VOLUME_ENDINGS
from dataset_conversion.files.images import read_image
from dataset_conversion.files.json_files import read_json, read_json_if_there
from dataset_conversion.files.label_values import value_faults, voxels_of_value
from evaluation.inputs.probabilities import ReferenceGrid, read_map, read_npz
from evaluation.patient import Grid

LABELS_WITHOUT_DATASET_JSON = frozenset({0, 1, 2, 3})
_AGAIN = "Predict this case again."


@dataclass(frozen=True)
class Target:
    """The label, or the labels that make up the region, which is evaluated. Raises Fault where one is below 1."""

    labels: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(sorted(set(self.labels))))
        if self.labels[0] < 1:
            raise Fault(
                f"label {self.labels[0]} cannot be evaluated", remedy="Give a label of at least 1; 0 is the background."
            )

    def __str__(self) -> str:
        return ",".join(map(str, self.labels))


@dataclass(frozen=True)
class Volumes:
    """One patient: masks and probabilities, (Z, Y, X), on the grid of ``image``, the reference's label map.

    Either probability or predicted is None. mask: None where all voxels count. pattern: the sequences that the
    prediction had, empty where nobody wrote it down.
    """

    image: sitk.Image
    reference: NDArray[np.bool_]
    probability: NDArray[np.floating] | None
    predicted: NDArray[np.bool_] | None
    mask: NDArray[np.bool_] | None
    pattern: str

    @property
    def grid(self) -> Grid:
        return Grid.of(self.image)

    def inside_mask(self) -> "Volumes":
        """The volumes with 0 outside the mask, which is then None."""
        if self.mask is None:
            return self
        return replace(
            self,
            reference=self.reference & self.mask,
            probability=None if self.probability is None else np.where(self.mask, self.probability, 0),
            predicted=None if self.predicted is None else self.predicted & self.mask,
            mask=None,
        )


@dataclass(frozen=True)
class Folders:
    """References, predictions and what of them is evaluated.

    predictions: per case ``<case>_prob.nii.gz``, or ``<case>.npz`` beside ``<case>.nii.gz``, or that label map alone.
    mask: a folder of masks, ``<case>.nii.gz``. mapping: label values to be taken for others, such as 255 for 1.
    trust_geometry: what has the reference's size lies on its grid, whatever the headers say.
    """

    reference: Path
    predictions: Path
    target: Target = Target()
    mask: Path | None = None
    mapping: Mapping[int, int] = field(default_factory=dict)
    trust_geometry: bool = False

    def cases(self) -> list[str]:
        """The patients who have a reference, in order. Raises Fault where there is none or a folder is missing."""
        for folder in (self.reference, self.predictions, *([self.mask] if self.mask else [])):
            if not folder.is_dir():
                raise Fault(f"{folder} is not a folder", remedy="Give the folder of references, predictions or masks.")
        cases = [_stem(file) for file in sorted(self.reference.iterdir()) if _stem(file)]
        if twice := sorted({case for case in cases if cases.count(case) > 1}):
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

    def pattern(self, case: str) -> str:
        sidecar = self.predictions / f"{case}.json"
        try:
            pattern = read_json(sidecar, keys=("pattern",))["pattern"] if sidecar.is_file() else ""
        except Fault as fault:
            raise Fault(f"not the record of a prediction ({fault.problem})", remedy=_AGAIN) from fault
        if not isinstance(pattern, str):
            raise Fault(f"not the record of a prediction (its pattern is {pattern})", file=sidecar, remedy=_AGAIN)
        return pattern

    def read(self, case: str) -> Volumes:
        """Raises Fault where a file is missing, cannot be used, or lies on another grid than the reference."""
        reference_file = _only_file(self.reference, case)
        image = read_image(reference_file)
        if image.GetDimension() != 3:
            problem = f"this is not one volume (2D, {image.GetSize()})"
            raise Fault(problem, file=reference_file, remedy="Add a third axis of length 1.")
        grid = ReferenceGrid(image, reference_file, self.trust_geometry)
        mask = None if self.mask is None else self._mask(self.mask, case, grid)
        probability, predicted = None, None
        if self.has_probabilities(case):
            probability = self._probability(case, grid)
        else:
            label_map = _only_file(self.predictions, case)
            predicted = self._is_target(grid.take(read_image(label_map), label_map), label_map)
        reference = self._is_target(image, reference_file)
        return Volumes(image, reference, probability, predicted, mask, self.pattern(case))

    def reference_on(self, image: sitk.Image, case: str) -> NDArray[np.bool_]:
        """Where the reference has the target. Raises Fault where it cannot be used or lies on another grid."""
        file = _only_file(self.reference, case)
        grid = ReferenceGrid(image, Path(case), self.trust_geometry)
        return self._is_target(grid.take(read_image(file), file), file)

    @cached_property
    def description(self) -> Description:
        """``dataset.json`` beside the predictions or the references, as nnU-Net writes it; empty if there is none."""
        for folder in (self.predictions, self.reference, self.reference.parent):
            if (file := folder / "dataset.json").is_file():
                return read_description(file, required=())
        return Description((), "")

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
        manifest = read_json_if_there(self.reference.parent / "manifest.json")
        return bool(manifest.get("settings", {}).get("synthetic"))

    def settings(self) -> dict[str, object]:
        return {
            "gt": str(self.reference),
            "p": str(self.predictions),
            "target": str(self.target),
            "target_name": self.target_name,
            "mask": None if self.mask is None else str(self.mask),
            "map": {str(value): label for value, label in self.mapping.items()},
            "trust_geometry": self.trust_geometry,
        }

    def _mask(self, folder: Path, case: str, grid: ReferenceGrid) -> NDArray[np.bool_]:
        file = _only_file(folder, case, remedy="Add the mask, or leave out --mask.")
        stored = grid.take(read_image(file), file)  # has a name, since a view does not keep its image alive
        mask = sitk.GetArrayViewFromImage(stored) > 0
        if not mask.any():
            raise Fault("the mask is empty", file=file, remedy="Correct the mask, or omit --mask.")
        return mask

    def _probability(self, case: str, grid: ReferenceGrid) -> NDArray[np.floating]:
        if (file := self.predictions / f"{case}_prob.nii.gz").is_file():
            return read_map(file, grid)
        label_map, regions = _only_file(self.predictions, case), self.description.regions
        return read_npz(self.predictions / f"{case}.npz", label_map, grid, labels=self.target.labels, regions=regions)

    def _is_target(self, image: sitk.Image, file: Path) -> NDArray[np.bool_]:
        stored = sitk.GetArrayViewFromImage(image)
        allowed = self._allowed_values()
        # counting the values takes longer than all the rest
        if stored.dtype.kind == "f" or stored.min() < 0 or not allowed.issuperset(range(int(stored.max()) + 1)):
            for fault in value_faults(voxels_of_value(image), known=allowed, file=file):
                raise fault
        wanted = [v for v in {*self.target.labels, *self.mapping} if self.mapping.get(v, v) in self.target.labels]
        return stored == wanted[0] if len(wanted) == 1 else np.isin(stored, wanted)

    def _allowed_values(self) -> frozenset[int]:
        known = self.description.label_values or LABELS_WITHOUT_DATASET_JSON
        return frozenset({*known, *self.target.labels, *self.mapping})


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
