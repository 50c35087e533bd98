"""Draws one synthetic head as tissue fractions: a deformed ICBM brain with metastases, oedema and vessels."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from dataset_conversion.faults import Fault
from dataset_conversion.phantom.lesions import RING_FROM_MM, Lesion, LesionLaw, Volume, draw_diameters, paint, place

_CONTROL_SPACING_MM = 8
_CLOSING_MM = 5


@dataclass(frozen=True)
class Head:
    """Fractions (0-1) of each tissue on a grid of 1 mm, (Z, Y, X); they sum to 1 inside the brain and 0 outside.

    brain: that sum. grid: an image that holds the geometry of the fractions. lesions: largest first.
    """

    fractions: Mapping[str, Volume]
    brain: Volume
    grid: sitk.Image
    lesions: tuple[Lesion, ...]


def draw_head(law: LesionLaw, rng: np.random.Generator, *, gap_mm: float) -> Head:
    """A new patient. ``gap_mm``: lesions lie at least this far apart, so that each stays an object of its own."""
    template = _template()
    field = _draw_deformation(template["white"], rng)
    maps = sitk.Compose([template[name] for name in ("grey", "white", "brain")])
    deformed = sitk.GetArrayFromImage(sitk.Resample(maps, field, sitk.sitkLinear, 0.0)).clip(0, 1)
    grey, white, brain = (np.ascontiguousarray(deformed[..., i]) for i in range(3))
    grid = template["white"]
    deep = brain > 0.99
    # metastases seed the junction of grey and white matter (Delattre et al. 1988, Arch Neurol 45:741)
    junction = ndimage.gaussian_filter(grey * white, 1.5) + 1e-3 * deep
    diameters = draw_diameters(law, rng)
    centres = place(diameters, ndimage.binary_erosion(deep, iterations=2), junction, rng, gap_mm=gap_mm)
    enhancing, necrosis, swelling = (np.zeros(brain.shape, np.float32) for _ in range(3))
    for centre, diameter in zip(centres, diameters, strict=True):
        paint(enhancing, necrosis, swelling, centre, diameter, rng)

    fractions = {"enhancing": enhancing * brain, "necrosis": necrosis * brain}
    left = brain - fractions["enhancing"] - fractions["necrosis"]
    fractions["vessel"] = np.minimum(_draw_vessels(deep, rng), left)
    left = left - fractions["vessel"]
    # oedema spreads in white matter
    fractions["oedema"] = left * swelling * white
    left = left - fractions["oedema"]
    tissue = np.maximum(grey + white, 1)
    fractions["grey"], fractions["white"] = left * grey / tissue, left * white / tissue
    fractions["csf"] = left - fractions["grey"] - fractions["white"]
    lesions = tuple(
        Lesion(grid.TransformIndexToPhysicalPoint(centre[::-1]), float(diameter), bool(diameter >= RING_FROM_MM))
        for centre, diameter in zip(centres, diameters, strict=True)
    )
    return Head({name: fraction.astype(np.float32) for name, fraction in fractions.items()}, brain, grid, lesions)


@lru_cache(maxsize=1)
def _template() -> dict[str, sitk.Image]:
    """Grey and white matter of the ICBM 2009a atlas (1 mm, LPS) and the brain with its CSF, from nilearn's files."""
    if find_spec("nilearn") is None:
        raise Fault("the phantom needs nilearn's brain atlas", remedy="Run: pip install 'nnunet_seqdropout[phantom]'")
    folder = Path(find_spec("nilearn").origin).parent / "datasets" / "data"  # type: ignore[union-attr, arg-type]
    maps = {}
    for name, short in (("grey", "gm"), ("white", "wm")):
        image = sitk.ReadImage(str(folder / f"mni_icbm152_{short}_tal_nlin_sym_09a_converted.nii.gz"), sitk.sitkFloat32)
        image = sitk.DICOMOrient(image, "LPS")
        maps[name] = sitk.Cast(image / float(sitk.GetArrayViewFromImage(image).max()), sitk.sitkFloat32)
    solid = maps["grey"] + maps["white"] > 0.3
    padded = sitk.ConstantPad(solid, [2 * _CLOSING_MM] * 3, [2 * _CLOSING_MM] * 3)
    closed = sitk.BinaryFillhole(sitk.BinaryMorphologicalClosing(padded, [_CLOSING_MM] * 3))
    brain = sitk.Crop(closed, [2 * _CLOSING_MM] * 3, [2 * _CLOSING_MM] * 3)
    box = _bounding_box(brain, border=12)
    maps["brain"] = sitk.Cast(brain, sitk.sitkFloat32)
    return {name: image[box] for name, image in maps.items()}


def _bounding_box(mask: sitk.Image, *, border: int) -> tuple[slice, slice, slice]:
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(sitk.Cast(mask, sitk.sitkUInt8))
    box = statistics.GetBoundingBox(1)
    x, y, z = (
        slice(max(0, start - border), min(size, start + length + border))
        for start, length, size in zip(box[:3], box[3:], mask.GetSize(), strict=True)
    )
    return x, y, z


def _draw_deformation(reference: sitk.Image, rng: np.random.Generator) -> sitk.Transform:
    """A diffeomorphism of a few mm: a smooth stationary velocity field, exponentiated, after a small affine change."""
    size = [int(np.ceil(n / _CONTROL_SPACING_MM)) + 1 for n in reference.GetSize()]
    velocity = rng.standard_normal((3, *size[::-1]))
    velocity = ndimage.gaussian_filter(velocity, (0, 2, 2, 2), mode="nearest")
    velocity *= rng.uniform(2, 4) / np.abs(velocity).max()
    field = _exponentiate(velocity, _CONTROL_SPACING_MM)
    displacement = sitk.GetImageFromArray(np.moveaxis(field, 0, -1)[..., ::-1].copy(), isVector=True)
    displacement.SetSpacing([_CONTROL_SPACING_MM] * 3)
    displacement.SetOrigin(reference.GetOrigin())
    affine = sitk.AffineTransform(3)
    centre = [(n - 1) / 2 for n in reference.GetSize()]
    affine.SetCenter(reference.TransformContinuousIndexToPhysicalPoint(centre))
    affine.SetMatrix((np.diag(rng.uniform(0.94, 1.06, 3)) + 0.02 * rng.standard_normal((3, 3))).ravel().tolist())
    return sitk.CompositeTransform(
        [affine, sitk.DisplacementFieldTransform(sitk.Cast(displacement, sitk.sitkVectorFloat64))]
    )


def _exponentiate(velocity: NDArray[np.float64], spacing_mm: float) -> NDArray[np.float64]:
    """exp(v) by scaling and squaring (Arsigny et al. 2006, MICCAI): (3, Z, Y, X) mm -> displacement in mm."""
    field = velocity / 2**6
    positions = np.stack(np.meshgrid(*[np.arange(n) for n in field.shape[1:]], indexing="ij")).astype(np.float64)
    for _ in range(6):
        moved = positions + field / spacing_mm
        field = field + np.stack([ndimage.map_coordinates(axis, moved, order=1, mode="nearest") for axis in field])
    return field


def _draw_vessels(inside: NDArray[np.bool_], rng: np.random.Generator, *, count: int = 30) -> Volume:
    """Fractions of winding tubes of 1-3 mm through the brain."""
    vessels = np.zeros(inside.shape, np.float32)
    starts = np.argwhere(inside)[rng.integers(0, np.count_nonzero(inside), count)]
    for sigma_mm, group in zip((0.5, 0.8, 1.2), np.array_split(starts, 3), strict=True):
        line = np.zeros(inside.shape, np.float32)
        for start in group:
            steps = ndimage.gaussian_filter1d(rng.standard_normal((200, 3)), 25, axis=0)
            steps *= 0.5 / np.linalg.norm(steps, axis=1, keepdims=True)
            path = np.round(start + np.cumsum(steps, axis=0)).astype(int)
            path = path[((path >= 0) & (path < inside.shape)).all(axis=1)]
            line[tuple(path.T)] = 1
        blurred = ndimage.gaussian_filter(line, sigma_mm)
        vessels = np.maximum(vessels, np.clip(blurred * (2 * np.pi * sigma_mm**2), 0, 1))
    return vessels * inside
