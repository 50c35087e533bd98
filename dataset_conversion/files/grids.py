"""Compares the grids of two images, and gives an image the geometry of another one of the same size."""

import logging
import math
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.faults import Fault

log = logging.getLogger(__name__)

LARGEST_DISTANCE_MM = 0.1


LARGEST_DIRECTION_DIFFERENCE = 1e-3


def require_same_grid(reference: sitk.Image, image: sitk.Image, *, files: tuple[Path, Path]) -> None:
    """Raises Fault where two images differ in size, spacing, origin (0.1 mm) or direction (1e-3)."""
    remedy = "Resample one onto the grid of the other."
    if image.GetSize() != reference.GetSize():
        problem = f"size {image.GetSize()}, but {files[0]} has {reference.GetSize()}"
        raise Fault(f"{problem}{_apart(reference, image)}", file=files[1], remedy=remedy)
    remedy = f"{remedy[:-1]}, or use --trust-geometry if only the header is wrong."
    for name, tolerance in (
        ("Spacing", LARGEST_DISTANCE_MM),
        ("Origin", LARGEST_DISTANCE_MM),
        ("Direction", LARGEST_DIRECTION_DIFFERENCE),
    ):
        ours, theirs = (getattr(i, f"Get{name}")() for i in (image, reference))
        if not np.abs(np.subtract(ours, theirs)).max() <= tolerance:  # nor where one is NaN
            problem = f"{name.lower()} {_short(ours)}, but {files[0]} has {_short(theirs)}"
            raise Fault(f"{problem}{_apart(reference, image)}", file=files[1], remedy=remedy)


def on_grid_of(
    reference: sitk.Image, image: sitk.Image, *, files: tuple[Path, Path], trust_geometry: bool = False
) -> sitk.Image:
    """The image with the reference's geometry, if it lies on its grid; else under ``trust_geometry``, with a warning.

    Itself, where nnU-Net would see no difference. Raises Fault as ``require_same_grid`` does, for another size always.
    """
    try:
        require_same_grid(reference, image, files=files)
    except Fault as fault:
        if not trust_geometry or image.GetSize() != reference.GetSize():
            raise
        log.warning("%s; the geometry of %s is used (--trust-geometry)", fault.problem, files[0])
    return image if has_geometry_of(reference, image) else with_geometry_of(reference, image)


def has_geometry_of(reference: sitk.Image, image: sitk.Image | sitk.ImageFileReader) -> bool:
    """Whether nnU-Net takes the two for one grid: relative 1e-5, where it is stricter than ``require_same_grid``."""
    ours, theirs = ((*i.GetSize(), *i.GetSpacing(), *i.GetOrigin(), *i.GetDirection()) for i in (image, reference))
    return len(ours) == len(theirs) and np.allclose(ours, theirs)


def stored_geometry(path: Path) -> sitk.ImageFileReader:
    """The header of an image that ``read_image`` has read."""
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    header.ReadImageInformation()
    return header


def with_geometry_of(reference: sitk.Image, image: sitk.Image) -> sitk.Image:
    """A copy of the image with the header of another image of its size."""
    copy = sitk.Image(image)
    copy.CopyInformation(reference)
    return copy


def on_same_grid(reference: sitk.Image, image: sitk.Image) -> bool:
    """Whether ``require_same_grid`` has nothing to say against it."""
    try:
        require_same_grid(reference, image, files=(Path(), Path()))
    except Fault:
        return False
    return True


def _apart(*images: sitk.Image) -> str:
    if images[0].GetDimension() != images[1].GetDimension():
        return ""
    return f"; the corners are up to {largest_distance_mm(*images):.1f} mm apart"


def largest_distance_mm(*images: sitk.Image) -> float:
    """How far a corner of one of two images is from the same corner of the other, at most."""
    distances = []
    for ends in product((0, 1), repeat=images[0].GetDimension()):
        corners = [[end * (n - 1) for end, n in zip(ends, image.GetSize(), strict=True)] for image in images]
        points = [i.TransformIndexToPhysicalPoint(corner) for i, corner in zip(images, corners, strict=True)]
        distances.append(math.dist(*points))
    return max(distances)


def _short(numbers: Sequence[float]) -> str:
    return f"({', '.join(f'{number:.4g}' for number in numbers)})"
