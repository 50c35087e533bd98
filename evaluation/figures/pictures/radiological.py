"""Turns volumes to the radiological view: x right to left, y anterior to posterior, z upwards; nothing is resampled."""

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray


def view(image: sitk.Image) -> sitk.Image:
    """The image with its axes turned."""
    return sitk.DICOMOrient(image, "LPS")


def turned(volume: NDArray, grid: sitk.Image) -> NDArray:
    """Voxels (Z, Y, X) on that grid -> the same values with their axes turned."""
    image = sitk.GetImageFromArray(volume.astype(np.uint8) if volume.dtype == bool else volume)
    image.CopyInformation(grid)
    return sitk.GetArrayFromImage(view(image)).astype(volume.dtype)
