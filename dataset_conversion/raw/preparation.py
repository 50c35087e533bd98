"""Prepares one patient: reads each file once, registers the series to the reference series, defaces, adds the label."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk
from matplotlib.figure import Figure

from dataset_conversion.defacing.brain_extraction import brain_mask_by, stripped
from dataset_conversion.defacing.face import deface_patient
from dataset_conversion.defacing.pictures import before_and_after
from dataset_conversion.faults import Fault
from dataset_conversion.files.grids import (
    has_geometry_of,
    largest_distance_mm,
    on_grid_of,
    on_same_grid,
    require_same_grid,
    with_geometry_of,
)
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.images import read_image
from dataset_conversion.files.label_values import label_array, value_faults, voxels_of_value
from dataset_conversion.files.storage_order import storage_order as order_of
from dataset_conversion.files.storage_order import stored_as, stored_like
from dataset_conversion.raw.contrast import require_contrast
from dataset_conversion.raw.patients import Patient
from dataset_conversion.raw.placeholders import is_constant
from dataset_conversion.registration.checkerboard import checkerboard
from dataset_conversion.registration.rigid import Diverged, Registration, register, resample
from dataset_conversion.registration.settling import settled
from dataset_conversion.registration.straightening import read_straightened

log = logging.getLogger(__name__)

EMPTY_LABEL = "label: empty"


@dataclass(frozen=True)
class Preparation:
    """The processing of the images.

    register: "auto" looks at every series and moves what does not lie on the reference; "never" refuses other grids.
    deface: a brain extractor's name, or a folder of brain masks, ``<case>.nii.gz``, on the reference's grid; None: not.
    skull_strip: the same, to set all to 0 that is not brain; then there is no face to remove.
    nan: "zero" sets voxels that are no number to 0. label_mapping: stored label values to be taken for others.
    trust_geometry: what has the reference's size gets its geometry, before anything is registered.
    """

    register: Literal["auto", "never"] = "auto"
    deface: str | None = None
    skull_strip: str | None = None
    nan: Literal["refuse", "zero"] = "refuse"
    label_mapping: Mapping[int, int] | None = None
    trust_geometry: bool = False


@dataclass(frozen=True)
class PreparedSeries:
    """One series of a patient. original: the file's bytes, while the voxels are still those of the file."""

    image: sitk.Image
    file: Path
    sha256: str
    original: bytes | None
    registration: Registration | None = None


@dataclass(frozen=True)
class Prepared:
    """A patient on one grid: series by sequence, label, and pictures for inspection by sequence, drawn when called.

    face: before and after defacing; a picture of the patient, which does not belong into the data set.
    """

    series: Mapping[str, PreparedSeries]
    label: sitk.Image | None
    label_sha256: str
    pictures: Mapping[str, Callable[[], Figure]]
    warnings: Sequence[str]
    face: Figure | None = None


class Unregistered(Fault):
    """A series that could not be registered, and the picture of the attempt."""

    def __init__(self, problem: str, *, remedy: str, name: str, picture: Figure) -> None:
        self.name, self.picture = name, picture
        super().__init__(problem, remedy=remedy)


def prepare_patient(
    case: str, patient: Patient, preparation: Preparation, *, order: Sequence[str], storage_order: str | None = None
) -> Prepared:
    """Reads and checks everything first, so that a faulty patient leaves no file.

    order: the sequences, the reference series first; the first one that the patient has takes its place.
    storage_order: that of the axes of all images written, such as LPS; None leaves the reference series its own.
    Raises Fault where an image cannot be used, none is left, grids differ that may not, or a step fails.
    """
    warnings: list[str] = []
    usable: dict[str, PreparedSeries] = {}
    for name in order:
        if name in patient.images:
            series, said = _read(patient.images[name], preparation)
            warnings += [f"{name}: {said}"] if said else []
            if is_constant(series.image, _shown(patient, name, series.file)):
                warnings.append(f"{name}: one value everywhere, written as absent")
            else:
                require_contrast(series.image, series.file)
                usable[name] = series
    if not usable:
        raise Fault("no usable sequence", remedy="Give at least one image that is not empty.")
    reference = next(iter(usable))
    label, label_sha256 = _read_label(patient, preparation, warnings) if patient.label else (None, "")
    usable = _in_one_order(usable, storage_order, warnings)
    label = None if label is None else stored_like(usable[reference].image, label)
    if preparation.trust_geometry:
        usable, label = _trusted(usable, reference, label, warnings)
    if label is not None:
        _require_label_grid(label, patient, usable, reference, preparation)
    moved, pictures = _registered(usable, reference, preparation)
    if label is not None and on_same_grid(usable[reference].image, label):
        label = with_geometry_of(usable[reference].image, label)
    elif label is not None:
        drawn_on = next(name for name, series in usable.items() if on_same_grid(series.image, label))
        transform = moved[drawn_on].registration.transform  # type: ignore[union-attr]
        label = _moved(label, usable[reference].image, transform, is_label=True)
        warnings.append(f"label: drawn on {drawn_on}, brought to {reference} with it")
    if label is not None and not sitk.GetArrayViewFromImage(label).any():
        warnings.append(EMPTY_LABEL)
    face = None
    if (how := preparation.skull_strip or preparation.deface) is not None:
        shown = _shown(patient, reference, moved[reference].file)
        brain = _brain(case, moved[reference].image, how, shown, trust_geometry=preparation.trust_geometry)
        if preparation.skull_strip is None:
            moved, face = _defaced(case, moved, reference, brain)
        else:
            moved = _with_images(moved, stripped({name: each.image for name, each in moved.items()}, brain))
        pictures = {}  # the checkerboards show the face
    warnings += [f"{name}: absent, written as zeros" for name in order if name not in moved]
    return Prepared(moved, label, label_sha256, pictures, warnings, face)


def _shown(patient: Patient, name: str, file: Path) -> Path:
    """The file of a sequence, or of the label, for a message; its path may name the patient."""
    return Path(f"the {name}") if patient.has_pseudonym else file


def _read(file: Path, preparation: Preparation) -> tuple[PreparedSeries, str]:
    """The series, and what was done about a doubtful header."""
    content = file.read_bytes()
    image, said = read_straightened(file, nan=preparation.nan, content=content)
    kept = content if preparation.nan == "refuse" and not said else None
    return PreparedSeries(image, file, sha256_of(content), kept), said


def _in_one_order(
    usable: Mapping[str, PreparedSeries], order: str | None, warnings: list[str]
) -> dict[str, PreparedSeries]:
    """The series, the first with its axes in this order, the others nearest to it; the warnings say of which."""
    first = next(iter(usable.values())).image
    reference = first if order is None else stored_as(order, first)
    stored = {name: (series, stored_like(reference, series.image)) for name, series in usable.items()}
    for name, (series, image) in stored.items():
        if image is not series.image:
            warnings.append(f"{name}: stored as {order_of(series.image)}, written as {order_of(image)}")
    return {
        name: series if image is series.image else replace(series, image=image, original=None)
        for name, (series, image) in stored.items()
    }


def _trusted(
    usable: Mapping[str, PreparedSeries], reference: str, label: sitk.Image | None, warnings: list[str]
) -> tuple[dict[str, PreparedSeries], sitk.Image | None]:
    """The series; those of the reference's size get its geometry, which the warnings mention."""
    fixed = usable[reference].image

    def on_reference(name: str, image: sitk.Image) -> sitk.Image:
        if image.GetSize() != fixed.GetSize() or on_same_grid(fixed, image):
            return image
        distance = f"up to {largest_distance_mm(fixed, image):.1f} mm from {reference}"
        warnings.append(f"{name}: its header places it {distance}, whose geometry was taken (--trust-geometry)")
        return with_geometry_of(fixed, image)

    placed = {name: (series, on_reference(name, series.image)) for name, series in usable.items()}
    label = None if label is None else on_reference("label", label)
    return {
        name: series if image is series.image else replace(series, image=image, original=None)
        for name, (series, image) in placed.items()
    }, label


def _registered(
    usable: Mapping[str, PreparedSeries], reference: str, preparation: Preparation
) -> tuple[dict[str, PreparedSeries], dict[str, Callable[[], Figure]]]:
    fixed = usable[reference]
    moved = {reference: fixed}
    pictures: dict[str, Callable[[], Figure]] = {}
    for name, series in usable.items():
        if name == reference:
            continue
        if preparation.register == "never":
            _require_same_grid(fixed, series)
            moved[name] = _with_one_header(fixed, series)
            continue
        try:
            still = settled(fixed.image)
            found = register(still, settled(series.image, still))
        except Diverged as fault:
            picture = _checkerboard(fixed, series, fault.attempt, f"{name} on {reference}: failed")
            problem = f"{name}: {fault.problem}"
            raise Unregistered(problem, remedy=fault.remedy, name=name, picture=picture) from fault
        except Fault as fault:
            raise Fault(f"{name}: {fault.problem}", remedy=fault.remedy) from fault
        if found.skipped:
            moved[name] = replace(_with_one_header(fixed, series), registration=found)
            continue
        image = _moved(series.image, fixed.image, found.transform)
        moved[name] = PreparedSeries(image, series.file, series.sha256, None, found)
        title = f"{name} on {reference}: moved by {found.translation_mm:.1f} mm, {found.rotation_deg:.1f}°"
        pictures[name] = partial(_checkerboard, fixed, series, found, title)
    return moved, pictures


def _moved(
    image: sitk.Image, reference: sitk.Image, transform: sitk.Transform, *, is_label: bool = False
) -> sitk.Image:
    """The image on the reference's grid by the transform between the two, as it was found: settled."""
    still = settled(reference)
    moved = resample(settled(image, still), still, transform, is_label=is_label)
    return with_geometry_of(reference, stored_like(reference, moved))


def _require_same_grid(fixed: PreparedSeries, series: PreparedSeries) -> None:
    try:
        require_same_grid(fixed.image, series.image, files=(fixed.file, series.file))
    except Fault as fault:
        remedy = f"{fault.remedy} To register the series, use --register auto."
        raise Fault(fault.problem, remedy=remedy) from fault


def _with_one_header(fixed: PreparedSeries, series: PreparedSeries) -> PreparedSeries:
    """The series; if it is on the reference's grid by our tolerance, but not by nnU-Net's, with its header."""
    if has_geometry_of(fixed.image, series.image):
        return series
    return replace(series, image=with_geometry_of(fixed.image, series.image), original=None)


def _checkerboard(fixed: PreparedSeries, series: PreparedSeries, found: Registration, title: str) -> Figure:
    before, after = (resample(series.image, fixed.image, t) for t in (sitk.Transform(), found.transform))
    return checkerboard(fixed.image, before, after, title)


def _brain(case: str, reference: sitk.Image, how: str, shown: Path, *, trust_geometry: bool) -> sitk.Image:
    """The brain mask on the reference's grid, from the extractor or the folder of masks.

    shown: the reference series' file, as messages name it.
    """
    if not Path(how).is_dir():
        return brain_mask_by(how, reference)
    file = Path(how) / f"{case}.nii.gz"
    if not file.is_file():
        raise Fault(f"no brain mask {file}", remedy="Add the mask, or choose a brain extractor.")
    return on_grid_of(reference, read_image(file), files=(shown, file), trust_geometry=trust_geometry)


def _defaced(
    case: str, series: Mapping[str, PreparedSeries], reference: str, brain: sitk.Image
) -> tuple[dict[str, PreparedSeries], Figure]:
    images = deface_patient({name: each.image for name, each in series.items()}, brain)
    picture = before_and_after(series[reference].image, images[reference], f"{case}: {reference} defaced")
    return _with_images(series, images), picture


def _with_images(series: Mapping[str, PreparedSeries], images: Mapping[str, sitk.Image]) -> dict[str, PreparedSeries]:
    return {name: replace(each, image=images[name], original=None) for name, each in series.items()}


def _read_label(patient: Patient, preparation: Preparation, warnings: list[str]) -> tuple[sitk.Image, str]:
    """The label in the data set's values; of several files the union. Raises Fault at a value without a meaning.

    What was done about a doubtful header is added to the warnings.
    """
    mapping = {**(patient.label_mapping or {}), **(preparation.label_mapping or {})}
    mapped: sitk.Image | None = None
    digest = hashlib.sha256()
    for file in patient.label:
        content = file.read_bytes()
        digest.update(content)
        image, said = read_straightened(file, content=content, is_label=True)
        warnings += [f"label: {said}"] if said else []
        label = _in_values(image, mapping, file)
        if mapped is not None:
            files = (_shown(patient, "label", patient.label[0]), _shown(patient, "label", file))
            placed = on_grid_of(mapped, label, files=files, trust_geometry=preparation.trust_geometry)
            if not on_same_grid(mapped, label):
                warnings.append("label: its files' headers differ, that of the first was used (--trust-geometry)")
            label = sitk.Maximum(mapped, placed)
        mapped = label
    if mapped is None:
        raise ValueError("The patient has no label.")
    return mapped, digest.hexdigest()


def _in_values(image: sitk.Image, mapping: Mapping[int, int], file: Path) -> sitk.Image:
    values = voxels_of_value(image)
    for fault in value_faults(values, known=mapping, file=file):
        raise fault
    stored = label_array(image)
    mapped = np.zeros(stored.shape, np.uint8)
    for value in values:
        mapped[stored == value] = mapping[int(value)]
    label = sitk.GetImageFromArray(mapped)
    label.CopyInformation(image)
    return label


def _require_label_grid(
    label: sitk.Image, patient: Patient, usable: Mapping[str, PreparedSeries], reference: str, preparation: Preparation
) -> None:
    """The label must lie on the reference's grid, or on that of a series that will be registered."""
    others = usable.values() if preparation.register == "auto" else ()
    if not any(on_same_grid(series.image, label) for series in others):
        fixed = usable[reference]
        require_same_grid(fixed.image, label, files=(fixed.file, patient.label[0]))
