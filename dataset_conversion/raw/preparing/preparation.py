"""Prepares one patient: reads each file once, registers the series to the reference series, defaces, adds the label."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk
from matplotlib.figure import Figure

from dataset_conversion.defacing.brain_extraction import brain_mask_by, stripped
from dataset_conversion.defacing.face import deface_patient
from dataset_conversion.defacing.pictures import before_and_after
from dataset_conversion.faults import Fault
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.images.grids import (
    on_grid_of,
    on_same_grid,
    with_geometry_of,
)
from dataset_conversion.files.images.image_io import read_image
from dataset_conversion.files.images.storage_order import stored_like
from dataset_conversion.raw.preparing.alignment import in_one_order, moved_to, registered, with_trusted_geometry
from dataset_conversion.raw.preparing.contrast import require_contrast
from dataset_conversion.raw.preparing.label import read_label, require_label_grid
from dataset_conversion.raw.preparing.placeholders import is_constant
from dataset_conversion.raw.preparing.prepared import Preparation, Prepared, PreparedSeries
from dataset_conversion.raw.sources.patient import Patient
from dataset_conversion.registration.straightening import read_straightened

EMPTY_LABEL = "label: empty"


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
            if is_constant(series.image, patient.shown(name, series.file)):
                warnings.append(f"{name}: one value everywhere, taken as absent")
            else:
                require_contrast(series.image, series.file)
                usable[name] = series
    if not usable:
        raise Fault("no usable sequence", remedy="Give at least one image that is not empty.")
    reference = next(iter(usable))
    label, label_sha256 = read_label(patient, preparation, warnings) if patient.label else (None, "")
    usable = in_one_order(usable, storage_order, warnings)
    label = None if label is None else stored_like(usable[reference].image, label)
    if preparation.trust_geometry:
        usable, label = with_trusted_geometry(usable, reference, label, warnings)
    if label is not None:
        require_label_grid(label, patient, usable, reference, preparation)
    moved, pictures = registered(usable, reference, preparation)
    if label is not None and on_same_grid(usable[reference].image, label):
        label = with_geometry_of(usable[reference].image, label)
    elif label is not None:
        drawn_on = next(name for name, series in usable.items() if on_same_grid(series.image, label))
        transform = moved[drawn_on].registration.transform  # type: ignore[union-attr]
        label = moved_to(label, usable[reference].image, transform, is_label=True)
        warnings.append(f"label: drawn on {drawn_on}, brought to {reference} with it")
    if label is not None and not sitk.GetArrayViewFromImage(label).any():
        warnings.append(EMPTY_LABEL)
    face = None
    if (how := preparation.skull_strip or preparation.deface) is not None:
        shown = patient.shown(reference, moved[reference].file)
        brain = _brain(case, moved[reference].image, how, shown, trust_geometry=preparation.trust_geometry)
        if preparation.skull_strip is None:
            moved, face = _defaced(case, moved, reference, brain)
        else:
            moved = _with_images(moved, stripped({name: each.image for name, each in moved.items()}, brain))
        pictures = {}  # the checkerboards show the face
    return Prepared(moved, label, label_sha256, pictures, warnings, face)


def _read(file: Path, preparation: Preparation) -> tuple[PreparedSeries, str]:
    """The series, and what was done about a doubtful header."""
    content = file.read_bytes()
    image, said = read_straightened(file, nan=preparation.nan, content=content)
    kept = content if preparation.nan == "refuse" and not said else None
    return PreparedSeries(image, file, sha256_of(content), kept), said


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
