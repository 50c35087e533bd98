"""Reads images with doubtful NIfTI headers, and resamples oblique axes to a grid at right angles."""

from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.files.images.headers import require_place
from dataset_conversion.files.images.image_io import read_image, with_usable_values
from dataset_conversion.files.images.nifti import read_voxels
from dataset_conversion.files.images.nifti_axes import LARGEST_SKEW, DoubtfulAxes, skew, unit_axes
from dataset_conversion.files.images.size_limit import require_not_too_large
from dataset_conversion.registration.resampling import resample

_NEARLY_WHOLE = 1e-3


def read_straightened(
    path: Path, *, nan: Literal["refuse", "zero"] = "refuse", content: bytes | None = None, is_label: bool = False
) -> tuple[sitk.Image, str]:
    """As ``read_image``, and what was done about a doubtful header: nothing, for a sound one.

    The sform is taken, if its code is not 0, and the image resampled if its axes are not at right angles.
    Raises Fault as ``read_image`` does; DoubtfulAxes only where taking the sform would be a guess.
    """
    try:
        return read_image(path, nan=nan, content=content), ""
    except DoubtfulAxes as doubt:
        if doubt.affine is None:
            raise
        voxels = with_usable_values(read_voxels(path, content), path, nan=nan)
        said, affine = doubt.doubt, np.diag([-1.0, -1.0, 1.0, 1.0]) @ doubt.affine  # RAS to LPS
    if skew(affine) <= LARGEST_SKEW:
        _place(voxels, affine, affine[:3, 3])
        require_place(voxels, path)
        return voxels, f"{said}; the sform was taken"
    return _resampled(voxels, affine, path, is_label=is_label), f"{said}; resampled by the sform"


def _resampled(voxels: sitk.Image, affine: NDArray, path: Path, *, is_label: bool) -> sitk.Image:
    """On the smallest grid of the same voxel widths, at right angles, that covers all voxel centres.

    affine: from voxel to LPS mm. Raises Fault where that grid is too large.
    """
    axes, widths = _right_angled(affine)
    corners = np.array(list(product(*[(0, n - 1) for n in voxels.GetSize()])))
    along = (corners @ affine[:3, :3].T + affine[:3, 3]) @ axes / widths  # (8, 3), in voxels of the new grid
    low = along.min(axis=0)  # not whole: the grid begins at the outermost voxel centre
    size = np.ceil(along.max(axis=0) - low - _NEARLY_WHOLE).astype(int) + 1  # no slice more for a rounding error
    require_not_too_large(size.tolist(), path, what="at right angles it would have")
    grid = sitk.Image(size.tolist(), sitk.sitkUInt8)
    _place(grid, affine, axes @ (low * widths))
    require_place(grid, path)
    # the voxels have no geometry of their own: their position in mm is their index
    inverse = np.linalg.inv(affine)
    to_voxels = sitk.AffineTransform(inverse[:3, :3].ravel().tolist(), inverse[:3, 3].tolist())
    return resample(voxels, grid, to_voxels, is_label=is_label)


def _right_angled(affine: NDArray) -> tuple[NDArray, NDArray]:
    """The axes at right angles (3, 3) that are nearest to its own, and the widths of a voxel in mm (3,)."""
    # leaving out the singular values gives the nearest orthogonal matrix (polar decomposition)
    left, _, right = np.linalg.svd(unit_axes(affine))
    return left @ right, np.linalg.norm(affine[:3, :3], axis=0)


def _place(image: sitk.Image, affine: NDArray, origin: NDArray) -> None:
    axes, widths = _right_angled(affine)
    image.SetSpacing(widths.tolist())
    image.SetDirection(axes.ravel().tolist())
    image.SetOrigin(origin.tolist())
