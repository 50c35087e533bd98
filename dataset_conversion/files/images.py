"""Reads images with checks for damaged files and NaN, and writes compressed images."""

import logging
import os
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.nifti import read_nifti

log = logging.getLogger(__name__)


LARGEST_VALUE = float(np.finfo(np.float32).max)
"""nnU-Net computes in float32, where larger values are infinite."""
NIFTI_HEADER_BYTES = 352


def read_image(path: Path, *, nan: Literal["refuse", "zero"] = "refuse", content: bytes | None = None) -> sitk.Image:
    """Reads a 2D or 3D image; voxels that are NaN or infinite become 0 under ``nan="zero"``.

    content: the file's bytes, where they have been read already.

    Raises Fault where the file is truncated, corrupt, empty, no image or not one volume, or holds a NaN.
    """
    image = read_nifti(path, content) if path.name.lower().endswith((".nii", ".nii.gz")) else _read_other(path)
    return without_nan(image, path, nan=nan)


def without_nan(image: sitk.Image, path: Path, *, nan: Literal["refuse", "zero"]) -> sitk.Image:
    """The image, or a copy with 0 for NaN and infinity. Raises Fault where there is one and ``nan`` is "refuse"."""
    voxels = sitk.GetArrayViewFromImage(image)
    if voxels.dtype.kind == "f" and not np.abs([voxels.min(), voxels.max()]).max() <= LARGEST_VALUE:  # nor of NaN
        finite = np.abs(voxels) <= LARGEST_VALUE
        if nan == "refuse":
            problem = f"{int((~finite).sum())} voxels are NaN or infinite"
            remedy = "Repair the image; convert and predict replace them by 0 with --nan zero."
            raise Fault(problem, file=path, remedy=remedy)
        cleaned = sitk.GetImageFromArray(np.where(finite, voxels, voxels.dtype.type(0)))
        cleaned.CopyInformation(image)
        return cleaned
    return image


def _read_other(path: Path) -> sitk.Image:
    """Any other format that SimpleITK reads, such as NRRD, MetaImage or PNG."""
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise Fault(f"this is no readable image ({reason})", file=path, remedy="Copy it again.") from error
    if image.GetDimension() > 3 or image.GetNumberOfComponentsPerPixel() > 1:
        raise Fault(
            f"this is not one volume (size {image.GetSize()})", file=path, remedy="Give a file with one volume."
        )
    return image


def write_image(image: sitk.Image, path: Path) -> None:
    """Writes a compressed image; the folder must exist. Raises OSError where it cannot be written."""
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise OSError(f"{path} cannot be written ({str(error).strip().splitlines()[-1]})") from error
    if path.name.endswith((".nii", ".nii.gz")) and _bytes_in(path) != _nifti_bytes(image) % 2**32:
        raise OSError(f"{path} cannot be written: it is not whole, as where the disk is full")


def _bytes_in(path: Path) -> int:
    """How many it holds, modulo 2^32, without reading them: gzip says so at its end.

    SimpleITK does not notice where NIfTI cannot be written to its end.
    """
    if not path.name.endswith(".gz"):
        return path.stat().st_size % 2**32
    with path.open("rb") as stream:
        stream.seek(-min(4, path.stat().st_size), os.SEEK_END)
        return int.from_bytes(stream.read(), "little")


def _nifti_bytes(image: sitk.Image) -> int:
    voxels = image.GetNumberOfPixels() * image.GetNumberOfComponentsPerPixel() * image.GetSizeOfPixelComponent()
    return NIFTI_HEADER_BYTES + voxels
