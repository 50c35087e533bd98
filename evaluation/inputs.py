"""One patient's reference and prediction, from the folders that nnU-Net's and our prediction write."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.images import on_grid_of, read_image
from dataset_conversion.label_values import value_faults, voxels_of_value
from dataset_conversion.layouts import ENDINGS
from evaluation.patient import Grid
from evaluation.probabilities import read_map, read_npz

LABELS_WITHOUT_DATASET_JSON = frozenset({0, 1, 2, 3})
_AGAIN = "Predict this case again."


@dataclass(frozen=True)
class Target:
    """The label, or the labels that make up the region, which is evaluated."""

    labels: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(sorted(set(self.labels))))

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
        return Grid(self.image.GetSpacing(), self.image.GetOrigin(), self.image.GetDirection())

    def inside_mask(self) -> "Volumes":
        """The same with nothing outside the mask, which is then None."""
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
                raise Fault(f"{folder} is not a folder", remedy="Name the folder of references, predictions or masks.")
        cases = [_stem(file) for file in sorted(self.reference.iterdir()) if _stem(file)]
        if twice := sorted({case for case in cases if cases.count(case) > 1}):
            problem = f"several references of {', '.join(twice)}"
            raise Fault(problem, file=self.reference, remedy="Keep one file per case.")
        if not cases:
            raise Fault(f"no file {self.reference}/<case>.nii.gz", remedy="Name the folder that holds the references.")
        return cases

    def without_reference(self) -> list[str]:
        """Cases that were predicted and have no reference."""
        predicted = {_stem(file).removesuffix("_prob") for file in self.predictions.iterdir()} - {""}
        return sorted(predicted - set(self.cases()))

    def is_predicted(self, case: str) -> bool:
        return self.has_probabilities(case) or any((self.predictions / f"{case}{e}").is_file() for e in ENDINGS)

    def has_probabilities(self, case: str) -> bool:
        return any((self.predictions / f"{case}{ending}").is_file() for ending in ("_prob.nii.gz", ".npz"))

    def pattern(self, case: str) -> str:
        sidecar = self.predictions / f"{case}.json"
        try:
            return json.loads(sidecar.read_text(encoding="utf-8"))["pattern"] if sidecar.is_file() else ""
        except (ValueError, KeyError, TypeError) as error:
            raise Fault(f"no record of a prediction ({error!r})", file=sidecar, remedy=_AGAIN) from error

    def read(self, case: str) -> Volumes:
        """Raises Fault where a file is missing, cannot be used, or lies on another grid than the reference."""
        reference_file = _only_file(self.reference, case)
        image = read_image(reference_file)
        mask = None
        if self.mask is not None:
            mask = sitk.GetArrayViewFromImage(self._on_grid(image, _only_file(self.mask, case), reference_file)) > 0
        probability, predicted = None, None
        if self.has_probabilities(case):
            probability = self._probability(case, image, reference_file)
        else:
            label_map = _only_file(self.predictions, case)
            predicted = self._is_target(self._on_grid(image, label_map, reference_file), label_map)
        reference = self._is_target(image, reference_file)
        return Volumes(image, reference, probability, predicted, mask, self.pattern(case))

    def reference_on(self, grid: sitk.Image, case: str) -> NDArray[np.bool_]:
        """Where the reference has the target. Raises Fault where it cannot be used or lies on another grid."""
        file = _only_file(self.reference, case)
        return self._is_target(self._on_grid(grid, file, Path(case)), file)

    @cached_property
    def dataset(self) -> dict:
        """``dataset.json`` beside the predictions or the references, as nnU-Net writes it; empty if there is none."""
        for folder in (self.predictions, self.reference, self.reference.parent):
            if (file := folder / "dataset.json").is_file():
                try:
                    return json.loads(file.read_text(encoding="utf-8"))
                except ValueError as error:
                    raise Fault(f"no dataset.json ({error})", file=file, remedy="Copy nnU-Net's again.") from error
        return {}

    @property
    def channel_names(self) -> tuple[str, ...]:
        channels = self.dataset.get("channel_names", {})
        return tuple(channels[key] for key in sorted(channels, key=int))

    @property
    def synthetic(self) -> bool:
        """Whether the data set of the references says that its patients are synthetic."""
        manifest = self.reference.parent / "manifest.json"
        return manifest.is_file() and bool(
            json.loads(manifest.read_text(encoding="utf-8")).get("settings", {}).get("synthetic")
        )

    def settings(self) -> dict[str, object]:
        return {
            "gt": str(self.reference),
            "p": str(self.predictions),
            "target": str(self.target),
            "mask": None if self.mask is None else str(self.mask),
            "map": {str(value): label for value, label in self.mapping.items()},
            "trust_geometry": self.trust_geometry,
        }

    def _on_grid(self, reference: sitk.Image, file: Path, reference_file: Path) -> sitk.Image:
        files = (reference_file, file)
        return on_grid_of(reference, read_image(file), files=files, trust_geometry=self.trust_geometry)

    def _probability(self, case: str, image: sitk.Image, reference_file: Path) -> NDArray[np.floating]:
        if (file := self.predictions / f"{case}_prob.nii.gz").is_file():
            return read_map(file, image, reference_file, trust_geometry=self.trust_geometry)
        file, label_map = self.predictions / f"{case}.npz", _only_file(self.predictions, case)
        return read_npz(
            file,
            label_map,
            image,
            reference_file,
            labels=self.target.labels,
            dataset=self.dataset,
            trust_geometry=self.trust_geometry,
        )

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
        given = self.dataset.get("labels", {}).values()
        values = {int(v) for value in given for v in (value if isinstance(value, list) else [value])}
        return frozenset(values or LABELS_WITHOUT_DATASET_JSON) | {*self.target.labels, *self.mapping}


def _only_file(folder: Path, case: str) -> Path:
    file = next((folder / f"{case}{ending}" for ending in ENDINGS if (folder / f"{case}{ending}").is_file()), None)
    if file is None:
        raise Fault(f"no file {folder / case}.nii.gz", remedy="Predict the case, or remove its reference.")
    return file


def _stem(file: Path) -> str:
    ending = next((e for e in ENDINGS if file.name.endswith(e)), "")
    return file.name.removesuffix(ending) if ending and not file.name.startswith(".") else ""
