"""Takes an image as a program holds it: the path of its file, or an image of SimpleITK or nibabel."""

import os
from pathlib import Path
from typing import Literal, TypeAlias

import nibabel
import numpy as np
import SimpleITK as sitk
from nibabel.spatialimages import SpatialImage

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.image_io import read_image, with_usable_values
from dataset_conversion.files.images.nifti_axes import require_sound_axes

ImageOrPath: TypeAlias = str | os.PathLike[str] | sitk.Image | SpatialImage


def as_image(given: ImageOrPath, *, name: str, nan: Literal["refuse", "zero"] = "refuse") -> sitk.Image:
    """One volume. name: what it is called in messages, where it is no path.

    Raises Fault as ``read_image`` does, TypeError for what is no image.
    """
    if isinstance(given, (str, os.PathLike)):
        if not Path(given).is_file():
            raise Fault("there is no such file", file=Path(given), remedy=f"Give the image of {name}.")
        image = read_image(Path(given), nan=nan)
    elif isinstance(given, sitk.Image):
        image = with_usable_values(given, Path(name), nan=nan)
    elif isinstance(given, SpatialImage):
        image = with_usable_values(_of_nibabel(given, Path(name)), Path(name), nan=nan)
    else:
        kind = type(given).__name__
        raise TypeError(f"{name} is a {kind}: give a path, or an image of SimpleITK or nibabel.")
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise Fault(f"{name} is not one volume", remedy="Give an image with three axes and one value for each voxel.")
    return image


def _of_nibabel(image: SpatialImage, name: Path) -> sitk.Image:
    """Raises Fault where it is not one volume, or its axes are doubtful."""
    voxels = np.asanyarray(image.dataobj)
    if voxels.ndim != 3 or voxels.dtype.kind not in "biuf":
        remedy = "Choose a volume of whole numbers or floats."
        raise Fault(f"this is not one volume ({voxels.shape}, {voxels.dtype})", file=name, remedy=remedy)
    if isinstance(image, nibabel.Nifti1Image):
        require_sound_axes(image.header, name)
    # NIfTI's RAS to LPS
    axes = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    spacing = nibabel.affines.voxel_sizes(image.affine)
    numbers = voxels.astype(np.uint8) if voxels.dtype.kind == "b" else voxels
    result = sitk.GetImageFromArray(np.ascontiguousarray(numbers.T, numbers.dtype.newbyteorder("=")))
    result.SetSpacing(spacing.tolist())
    result.SetOrigin(axes[:3, 3].tolist())
    result.SetDirection((axes[:3, :3] / spacing).ravel().tolist())
    return result
