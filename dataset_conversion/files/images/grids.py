"""Compares the grids of two images, and gives an image the geometry of another one of the same size."""

import logging
import math
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.storage_order import stored_like

log = logging.getLogger(__name__)

LARGEST_DISTANCE_MM = 0.1
"""Between the same corner of two images that lie on one grid. A width that is too large adds up from voxel to voxel."""


Located = sitk.Image | sitk.ImageFileReader
"""An image, or its header alone."""


class OtherGrid(Fault):
    """Two images that do not lie on one grid."""


def require_same_grid(reference: Located, image: Located, *, files: tuple[Path, Path]) -> None:
    """Raises OtherGrid where two images differ in size, or a corner lies farther than 0.1 mm from the other's."""
    remedy = "Resample one onto the grid of the other."
    if image.GetSize() != reference.GetSize():
        problem = f"size {image.GetSize()}, but {files[0]} has {reference.GetSize()}"
        raise OtherGrid(f"{problem}{_apart(reference, image)}", file=files[1], remedy=remedy)
    if not largest_distance_mm(reference, image) <= LARGEST_DISTANCE_MM:  # nor where it is NaN
        remedy = f"{remedy[:-1]}, or use --trust-geometry if only the header is wrong."
        differences = "; ".join(_differences(reference, image, files[0]))
        raise OtherGrid(f"{differences}{_apart(reference, image)}", file=files[1], remedy=remedy)


def _differences(reference: Located, image: Located, file: Path) -> Iterator[str]:
    for name in ("Spacing", "Origin", "Direction"):
        ours, theirs = (getattr(i, f"Get{name}")() for i in (image, reference))
        if not np.allclose(ours, theirs):
            yield f"{name.lower()} {_short(ours)}, but {file} has {_short(theirs)}"


def on_grid_of(
    reference: sitk.Image, image: sitk.Image, *, files: tuple[Path, Path], trust_geometry: bool = False
) -> sitk.Image:
    """The image with the reference's geometry, if it lies on its grid; else under ``trust_geometry``, with a warning.

    An image stored in another order of axes is brought into the reference's first (``stored_like``). Itself, where
    nnU-Net would see no difference. Raises Fault as ``require_same_grid`` does, for another size always.
    """
    image = stored_like(reference, image)
    try:
        require_same_grid(reference, image, files=files)
    except Fault as fault:
        if not trust_geometry or image.GetSize() != reference.GetSize():
            raise
        log.warning("%s; the geometry of %s is used (--trust-geometry)", fault.problem, files[0])
    return image if has_geometry_of(reference, image) else with_geometry_of(reference, image)


def has_geometry_of(reference: Located, image: Located) -> bool:
    """Whether nnU-Net takes the two for one grid: relative 1e-5, where it is stricter than ``require_same_grid``."""
    ours, theirs = ((*i.GetSize(), *i.GetSpacing(), *i.GetOrigin(), *i.GetDirection()) for i in (image, reference))
    return len(ours) == len(theirs) and np.allclose(ours, theirs)


def with_geometry_of(reference: sitk.Image, image: sitk.Image) -> sitk.Image:
    """A copy of the image with the header of another image of its size."""
    copy = sitk.Image(image)
    copy.CopyInformation(reference)
    return copy


def on_same_grid(reference: Located, image: Located) -> bool:
    """Whether ``require_same_grid`` has nothing to say against it."""
    try:
        require_same_grid(reference, image, files=(Path(), Path()))
    except Fault:
        return False
    return True


def _apart(*images: Located) -> str:
    if images[0].GetDimension() != images[1].GetDimension():
        return ""
    distance, (corner, _) = max(_between_corners(*images))
    return f"; the corners are up to {distance:.1f} mm apart (that of voxel {corner})"


def largest_distance_mm(*images: Located) -> float:
    """How far a corner of one of two images is from the same corner of the other, at most; NaN where one is."""
    return float(np.max([distance for distance, _ in _between_corners(*images)]))


def _between_corners(*images: Located) -> Iterator[tuple[float, tuple[tuple[int, ...], ...]]]:
    """The distance in mm between each corner of two images and the same of the other, and the corners' voxels."""
    for ends in product((0, 1), repeat=images[0].GetDimension()):
        corners = [tuple(end * (n - 1) for end, n in zip(ends, image.GetSize(), strict=True)) for image in images]
        points = [_place(image, corner) for image, corner in zip(images, corners, strict=True)]
        yield math.dist(*points), tuple(corners)


def _place(image: Located, voxel: Sequence[int]) -> NDArray[np.float64]:
    """In mm, as ``TransformIndexToPhysicalPoint``, which a header does not have."""
    n = image.GetDimension()
    return image.GetOrigin() + np.reshape(image.GetDirection(), (n, n)) @ np.multiply(voxel, image.GetSpacing())


def _short(numbers: Sequence[float]) -> str:
    return f"({', '.join(f'{number:.4g}' for number in numbers)})"
