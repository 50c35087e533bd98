"""Finds images whose voxels differ, but by so little that nnU-Net's normalisation leaves nothing of it."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.faults import Fault

SMALLEST_DEVIATION = 1e-8
"""nnU-Net's z-score divides by the standard deviation, but by no less than this."""
FEWEST_STEPS = 8
"""Between the lowest and the highest value, of float32, in which nnU-Net computes: fewer are rounding errors."""
_DOUBTFUL_RANGE = 1e-2
"""Above it no image that fits into memory has so small a standard deviation, and it need not be computed."""


def contrast_fault(image: sitk.Image, file: Path) -> Fault | None:
    """What is wrong with the contrast of an image that is not constant; None if nothing is."""
    voxels = sitk.GetArrayViewFromImage(image)
    if voxels.dtype.itemsize < 4:
        return None  # whole numbers that float32 holds
    low, high = float(voxels.min()), float(voxels.max())
    between = f"its values lie between {low:.9g} and {high:.9g}"
    if high - low < FEWEST_STEPS * float(np.spacing(np.float32(max(-low, high)))):
        problem = f"{between}: in float32, in which nnU-Net computes, they can hardly be told apart"
        return Fault(problem, file=file, remedy="Subtract what all voxels have in common, or export the image again.")
    if high - low < _DOUBTFUL_RANGE and (deviation := float(voxels.std(dtype=np.float64))) < SMALLEST_DEVIATION:
        problem = f"{between}, with a standard deviation of {deviation:.2g}: nnU-Net's normalisation makes zeros of it"
        return Fault(problem, file=file, remedy="Save it in other units, multiplied by a million, for instance.")
    return None


def require_contrast(image: sitk.Image, file: Path) -> None:
    """Raises Fault where ``contrast_fault`` finds one."""
    if (fault := contrast_fault(image, file)) is not None:
        raise fault
