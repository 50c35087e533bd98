"""Draws a checkerboard of two series of one head, which shows how well they are aligned."""

import numpy as np
import SimpleITK as sitk
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from dataset_conversion.registration.similarity import clipped

SQUARE_MM = 20.0


def checkerboard(reference: sitk.Image, before: sitk.Image, after: sitk.Image, title: str) -> Figure:
    """Squares of the reference and of the series in turn, in three planes through the head's centre.

    Left the series before, right after registration; both on the reference's grid. An edge that runs on from square to
    square is aligned. Raises ValueError where the sizes differ.
    """
    if not reference.GetSize() == before.GetSize() == after.GetSize():
        raise ValueError(f"The sizes differ: {reference.GetSize()}, {before.GetSize()}, {after.GetSize()}.")
    # to axes that point left, posterior and superior, as nearly as the voxels allow
    shown, *series = (sitk.DICOMOrient(clipped(image), "LPS") for image in (reference, before, after))
    voxels, spacing = sitk.GetArrayFromImage(shown), shown.GetSpacing()[::-1]
    centre = [round(index) for index in ndimage.center_of_mass(voxels)]
    figure = Figure(figsize=(8, 11), layout="constrained", facecolor="white")
    axes = figure.subplots(3, 2)
    for column, (name, moved) in enumerate(zip(("before", "after"), series, strict=True)):
        mixed = np.where(_squares(voxels.shape, spacing), voxels, sitk.GetArrayViewFromImage(moved))
        for plane, ax in enumerate(axes[:, column]):
            vertical, horizontal = (step for axis, step in enumerate(spacing) if axis != plane)
            head_up = "upper" if plane == 0 else "lower"
            cut = mixed.take(centre[plane], axis=plane)
            ax.imshow(cut, cmap="gray", vmin=0, vmax=1, origin=head_up, aspect=vertical / horizontal)
            ax.set_axis_off()
        axes[0, column].set_title(name, fontsize=10)
    figure.suptitle(title, fontsize=11)
    return figure


def _squares(shape: tuple[int, ...], spacing: tuple[float, ...]) -> NDArray[np.bool_]:
    z, y, x = (np.arange(n) * step // SQUARE_MM for n, step in zip(shape, spacing, strict=True))
    return (z[:, None, None] + y[:, None] + x) % 2 == 0
