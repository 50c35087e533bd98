"""Reads images with checks for damaged files and NaN, and writes compressed images."""

import logging
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.endings import PICTURE_ENDINGS
from dataset_conversion.files.images.headers import require_place, require_usable_name, stored_geometry
from dataset_conversion.files.images.nifti import bytes_in, read_nifti
from dataset_conversion.files.images.nifti_axes import LARGEST_SKEW, REMEDY, skew
from dataset_conversion.files.images.size_limit import require_not_too_large
from dataset_conversion.files.images.text_headers import TEXT_HEADERS, read_header
from dataset_conversion.plurals import n_of

log = logging.getLogger(__name__)


LARGEST_VALUE = 1e14
"""nnU-Net normalises in float32: the squares of larger values, summed over an image, are infinite there, and what
reaches the network is zeros. No scanner writes more than some 1e6."""
NIFTI_HEADER_BYTES = 352


def read_image(path: Path, *, nan: Literal["refuse", "zero"] = "refuse", content: bytes | None = None) -> sitk.Image:
    """Reads a 2D or 3D image; voxels that are NaN or infinite become 0 under ``nan="zero"``.

    content: the file's bytes, where they have been read already.

    Raises Fault where the file is truncated, corrupt, empty, no image or not one volume, holds a NaN or a value beyond
    LARGEST_VALUE, or has a place or a name that cannot be.
    """
    require_usable_name(path)
    image = read_nifti(path, content) if path.name.lower().endswith((".nii", ".nii.gz")) else _read_other(path)
    require_place(image, path)
    return with_usable_values(image, path, nan=nan)


def read_channels(path: Path) -> list[sitk.Image]:
    """The channels of a picture in colour, as nnU-Net's NaturalImage2DIO takes them; of any other image the one.

    Raises Fault as ``read_image`` does.
    """
    if not path.name.lower().endswith(PICTURE_ENDINGS):
        return [read_image(path)]
    image = _read_components(path)
    n = image.GetNumberOfComponentsPerPixel()
    channels = [sitk.VectorIndexSelectionCast(image, i) for i in range(n)] if n > 1 else [image]
    return [with_usable_values(channel, path, nan="refuse") for channel in channels]


def printable(name: str) -> str:
    """The name, with ? for bytes that are no UTF-8, as ls prints it."""
    return name.encode("utf-8", "replace").decode("utf-8")


def with_usable_values(image: sitk.Image, path: Path, *, nan: Literal["refuse", "zero"]) -> sitk.Image:
    """The image, or a copy with 0 for NaN and infinity. Raises Fault where there is one and ``nan`` is "refuse", or a
    value beyond LARGEST_VALUE."""
    voxels = sitk.GetArrayViewFromImage(image)
    if voxels.dtype.itemsize < 4 or np.abs(_extremes(voxels)).max() <= LARGEST_VALUE:  # False of NaN
        return image
    finite = np.abs(voxels) <= np.finfo(np.float32).max
    if not finite.all():
        if nan == "refuse":
            n = int((~finite).sum())
            problem = f"{n_of(n, 'voxel')} {'is' if n == 1 else 'are'} NaN or infinite"
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
    image = _read_components(path)
    if image.GetDimension() > 3 or image.GetNumberOfComponentsPerPixel() > 1:
        problem = f"this is not one volume (size {image.GetSize()})"
        if (n := image.GetNumberOfComponentsPerPixel()) > 1:
            problem = f"{problem[:-1]}, {n} values for every voxel)"
        raise Fault(problem, file=path, remedy="Give a file with one volume.")
    return image


def _read_components(path: Path) -> sitk.Image:
    """The image, of whatever number of values for each voxel. A picture has no position but that of its pixels."""
    header = stored_geometry(path)
    if path.name.lower().endswith(TEXT_HEADERS):
        return _with_text_header(path, header)
    require_not_too_large(header.GetSize(), path)
    try:
        image = header.Execute()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise Fault(f"this is no readable image ({reason})", file=path, remedy="Copy it again.") from error
    if path.name.lower().endswith(".bmp") and _is_grey_bitmap(image, path):
        # SimpleITK looks up its values in the table of greys, nnU-Net does not
        image = sitk.VectorIndexSelectionCast(image, 0)
    if path.name.lower().endswith(PICTURE_ENDINGS):
        # SimpleITK makes a spacing of a resolution for printing, nnU-Net does not
        image.CopyInformation(sitk.Image(image.GetSize(), sitk.sitkUInt8))
    return image


def _with_text_header(path: Path, header: sitk.ImageFileReader) -> sitk.Image:
    """A MetaImage or NRRD: the voxels as its header declares them, where SimpleITK sees them, read to the last byte."""
    voxels = read_header(path).read(path)
    image = sitk.GetImageFromArray(voxels.astype(voxels.dtype.newbyteorder("="), copy=False))
    seen = (header.GetSize(), header.GetPixelID(), header.GetNumberOfComponents())
    if seen != (image.GetSize(), image.GetPixelID(), 1):
        raise Fault("its header can be read in two ways", file=path, remedy="Save it again with its own program.")
    if skew(np.reshape(header.GetDirection(), (len(header.GetSize()),) * 2)) > LARGEST_SKEW:
        raise Fault("the axes in its header are not at right angles", file=path, remedy=REMEDY)
    image.SetSpacing(header.GetSpacing())
    image.SetOrigin(header.GetOrigin())
    image.SetDirection(header.GetDirection())
    return image


def _is_grey_bitmap(image: sitk.Image, path: Path) -> bool:
    """Whether it has one byte for each pixel, and a table of colours that holds greys only."""
    with path.open("rb") as stream:
        bits_per_pixel = int.from_bytes(stream.read(30)[28:], "little")
    colours = np.atleast_3d(sitk.GetArrayViewFromImage(image))
    return bits_per_pixel == 8 < 8 * colours.shape[2] and bool((colours == colours[..., :1]).all())


def write_image(image: sitk.Image, path: Path) -> None:
    """Writes a compressed image; the folder must exist. Raises OSError where it cannot be written."""
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise OSError(f"{path} cannot be written ({str(error).strip().splitlines()[-1]})") from error
    # SimpleITK does not notice where NIfTI cannot be written to its end
    if path.name.endswith((".nii", ".nii.gz")) and bytes_in(path) != _nifti_bytes(image) % 2**32:
        raise OSError(f"{path} cannot be written: it is not whole, as where the disk is full")


def _nifti_bytes(image: sitk.Image) -> int:
    voxels = image.GetNumberOfPixels() * image.GetNumberOfComponentsPerPixel() * image.GetSizeOfPixelComponent()
    return NIFTI_HEADER_BYTES + voxels
