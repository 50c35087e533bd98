"""Draws slices and the head's surface before and after defacing, so that the user can check for a remaining face."""

import numpy as np
import SimpleITK as sitk
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from dataset_conversion.defacing.face import grid_around

_LIGHT = (-0.3, 0.4, 0.87)
"""Right, up, towards the viewer: from the upper left, as a face is lit in a portrait."""
_AIR_SHARE = 0.3
"""Share of the tissue's mean signal above which a voxel belongs to the head."""


def before_and_after(image: sitk.Image, defaced: sitk.Image, title: str) -> Figure:
    """Above the image as it was, below what is left; in mm, along the LPS axes.

    Columns: the sagittal slice through the head's middle; the axial slice that lost most; the head's surface, lit, from
    the front and from the patient's left. The surface is that of everything brighter than air that holds together.
    """
    before, after = _upright(image), _upright(defaced)
    smooth = [ndimage.gaussian_filter(voxels, 1.0) for voxels in (before, after)]
    heads = [_largest_object(voxels > _air(smooth[0])) for voxels in smooth]
    lost = (heads[0] & ~heads[1]).sum(axis=(1, 2))
    most = int(np.argmax(lost)) if lost.any() else len(lost) // 2
    middle = int(np.median(np.nonzero(heads[0])[2])) if heads[0].any() else before.shape[2] // 2
    brightest = float(np.percentile(before[heads[0]], 99)) if heads[0].any() else 1.0
    figure = Figure(figsize=(14, 7), layout="constrained")
    axes = figure.subplots(2, 4)
    for row, when, voxels, head in zip(axes, ("before", "after"), (before, after), heads, strict=True):
        _show(row[0], f"sagittal, {when}", voxels[::-1, :, middle], brightest)
        _show(row[1], f"axial, {when}", voxels[most], brightest)
        _show(row[2], f"surface from the front, {when}", lit_surface(head.transpose(0, 2, 1)), 1)
        _show(row[3], f"surface from the left, {when}", lit_surface(head[:, :, ::-1]), 1)
    figure.suptitle(title, fontsize=11)
    return figure


def lit_surface(head: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The first voxels that a viewer meets, in the light: (up, right, away from the viewer) -> (down, right), 0-1."""
    seen = head.any(axis=2)
    depth = np.where(seen, head.argmax(axis=2), head.shape[2]).astype(np.float32)
    up, right = np.gradient(ndimage.gaussian_filter(depth, 1.0))
    # the normal of a surface of this depth is (right, up, 1)
    shade = (_LIGHT[0] * right + _LIGHT[1] * up + _LIGHT[2]) / np.sqrt(right**2 + up**2 + 1)
    return np.where(seen, np.clip(shade, 0.05, 1), 0)[::-1].astype(np.float32)


def _show(ax: Axes, heading: str, picture: NDArray, brightest: float) -> None:
    ax.imshow(picture, cmap="gray", interpolation="nearest", vmin=0, vmax=brightest)
    ax.set_title(heading, fontsize=9)
    ax.set_axis_off()


def _upright(image: sitk.Image) -> NDArray[np.float32]:
    """On a 1 mm grid along the LPS axes, (Z, Y, X), from 0 up."""
    voxels = sitk.Cast(image, sitk.sitkFloat32)
    lowest = min(0.0, float(sitk.GetArrayViewFromImage(voxels).min()))
    return sitk.GetArrayFromImage(
        sitk.Resample(voxels - lowest, grid_around([image]), sitk.Transform(), sitk.sitkLinear)
    )


def _air(voxels: NDArray[np.float32]) -> float:
    bright = voxels > voxels.mean()
    return _AIR_SHARE * float(voxels[bright].mean()) if bright.any() else 0.0


def _largest_object(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    objects, _ = ndimage.label(mask)
    sizes = np.bincount(objects.ravel())
    sizes[0] = 0
    return mask & (objects == np.argmax(sizes))
