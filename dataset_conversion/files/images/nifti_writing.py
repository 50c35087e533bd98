"""Writes maps of probabilities as NIfTI with a slope, and turns voxels into the bytes of a ``.nii.gz``."""

import gzip
from pathlib import Path
from typing import Literal

import nibabel
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

PROBABILITY_STEPS = 65535
ProbabilityType = Literal["uint16", "float32"]


def write_probability(
    probability: NDArray[np.floating], grid: sitk.Image, path: Path, *, stored_as: ProbabilityType = "uint16"
) -> None:
    """Writes a map of probabilities, (Z, Y, X) on the grid.

    uint16 has the slope 1/65535: half the size of float32, at most 1/131070 from the truth, so that what is lower than
    that becomes 0. SimpleITK would not write the slope.
    """
    if stored_as == "uint16":
        codes = np.round(np.asarray(probability, np.float64) * PROBABILITY_STEPS).astype(np.uint16)
        image = _on_grid(codes, grid)
        image.header.set_slope_inter(1 / PROBABILITY_STEPS, 0)
    else:
        image = _on_grid(np.asarray(probability, np.float32), grid)
    nibabel.save(image, path)


def nifti_bytes(voxels: NDArray, grid: sitk.Image) -> bytes:
    """Voxels, (Z, Y, X) on the grid, as the content of a ``.nii.gz`` file; the same voxels give the same bytes."""
    return gzip.compress(_on_grid(voxels, grid).to_bytes(), mtime=0)


def _on_grid(voxels: NDArray, grid: sitk.Image) -> nibabel.Nifti1Image:
    spacing, direction = np.asarray(grid.GetSpacing()), np.reshape(grid.GetDirection(), (3, 3))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = direction * spacing, grid.GetOrigin()
    affine[:2] *= -1  # LPS to NIfTI's RAS
    image = nibabel.Nifti1Image(voxels.T, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    return image
