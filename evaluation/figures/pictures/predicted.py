"""Draws the slices of a prediction that nobody has compared with a reference."""

from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from evaluation.figures.pictures.mosaic import Mark, MosaicSlice, mosaic
from evaluation.figures.pictures.radiological import turned, view
from evaluation.metrics.lesion.lesions import Objects


def predicted_mosaic(
    background: sitk.Image, objects: Objects, probability: NDArray | None, *, sequence: str
) -> tuple[MosaicSlice, ...]:
    """The slices with every predicted object and its number; objects and probability are on the background's grid.

    sequence: the name of the background.
    """
    there = _turned(objects, background)
    voxels = there.central_voxels().tolist()
    marks = [Mark("predicted", tuple(voxel), number) for number, voxel in enumerate(voxels, start=1)]
    mask = np.zeros(there.shape, bool)
    mask.ravel()[there.voxels] = True
    image = view(background)
    likely = None if probability is None else turned(probability, background)
    slices = mosaic(sitk.GetArrayFromImage(image), likely, None, mask, marks, image.GetSpacing()[::-1])
    return tuple(replace(each, sequence=sequence) for each in slices)


def _turned(objects: Objects, grid: sitk.Image) -> Objects:
    """The objects in the radiological view; each keeps its number."""
    numbers = np.zeros(objects.shape, np.int32)
    numbers.ravel()[objects.voxels] = objects.number
    seen = turned(numbers, grid)
    voxels = np.flatnonzero(seen)
    return Objects(voxels, seen.ravel()[voxels].astype(np.int64), seen.shape)
