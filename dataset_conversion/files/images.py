"""Reads images with checks for damaged files and NaN, and writes compressed images."""

import logging
import os
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.files.nifti import read_nifti
from dataset_conversion.files.promises import require_promised

log = logging.getLogger(__name__)


LARGEST_VALUE = 1e14
"""nnU-Net normalises in float32: the squares of larger values, summed over an image, are infinite there, and what
reaches the network is zeros. No scanner writes more than some 1e6."""
NIFTI_HEADER_BYTES = 352


def read_image(path: Path, *, nan: Literal["refuse", "zero"] = "refuse", content: bytes | None = None) -> sitk.Image:
    """Reads a 2D or 3D image; voxels that are NaN or infinite become 0 under ``nan="zero"``.

    content: the file's bytes, where they have been read already.

    Raises Fault where the file is truncated, corrupt, empty, no image or not one volume, holds a NaN or a value beyond
    LARGEST_VALUE, or has a name that SimpleITK cannot take.
    """
    require_usable_name(path)
    image = read_nifti(path, content) if path.name.lower().endswith((".nii", ".nii.gz")) else _read_other(path)
    return with_usable_values(image, path, nan=nan)


def printable(name: str) -> str:
    """The name, with ? for bytes that are no UTF-8, as ls prints it."""
    return name.encode("utf-8", "replace").decode("utf-8")


def require_usable_name(path: Path) -> None:
    """Raises Fault where the name is not UTF-8: handed to a C++ library it would end the process."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        remedy = "Rename it, with letters that UTF-8 knows."
        raise Fault("its name is not written in UTF-8", file=path, remedy=remedy) from error


def with_usable_values(image: sitk.Image, path: Path, *, nan: Literal["refuse", "zero"]) -> sitk.Image:
    """The image, or a copy with 0 for NaN and infinity. Raises Fault where there is one and ``nan`` is "refuse", or a
    value beyond LARGEST_VALUE."""
    voxels = sitk.GetArrayViewFromImage(image)
    if voxels.dtype.itemsize < 4 or np.abs(_extremes(voxels)).max() <= LARGEST_VALUE:  # False of NaN
        return image
    finite = np.abs(voxels) <= np.finfo(np.float32).max
    if not finite.all():
        if nan == "refuse":
            problem = f"{int((~finite).sum())} voxels are NaN or infinite"
            remedy = "Repair the image; convert and predict replace them by 0 with --nan zero."
            raise Fault(problem, file=path, remedy=remedy)
        voxels = np.where(finite, voxels, voxels.dtype.type(0))
    place = np.unravel_index(np.abs(voxels).argmax(), voxels.shape)
    if abs(value := float(voxels[place])) > LARGEST_VALUE:
        where = ", ".join(str(int(i)) for i in reversed(place))
        problem = f"voxel ({where}) holds {value:.3g}: it would overflow nnU-Net's normalisation"
        raise Fault(problem, file=path, remedy="Repair the image, or export it again.")
    cleaned = sitk.GetImageFromArray(voxels)
    cleaned.CopyInformation(image)
    return cleaned


def _extremes(voxels: NDArray) -> NDArray[np.float64]:
    return np.array([voxels.min(), voxels.max()], np.float64)


def _read_other(path: Path) -> sitk.Image:
    """Any other format that SimpleITK reads, such as NRRD, MetaImage or PNG."""
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    try:
        header.ReadImageInformation()
        if path.suffix.lower() in (".mha", ".mhd", ".nrrd", ".nhdr"):
            require_promised(path, header)
        image = header.Execute()
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
