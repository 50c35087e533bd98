"""Lets SimpleITK read the header of an image file, once what would end its process is excluded."""

from pathlib import Path

import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.images import nifti
from dataset_conversion.files.images.text_headers import TEXT_HEADERS, read_header

FARTHEST_MM = 1e6
"""A kilometre; a millionth of a millimetre is as far from any scanner and microscope. Sums of larger numbers lose what
differs between two images, or overflow."""


def require_usable_name(path: Path) -> None:
    """Raises Fault where the name is not UTF-8: handed to a C++ library it would end the process."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        remedy = "Rename it, with letters that UTF-8 knows."
        raise Fault("its name is not written in UTF-8", file=path, remedy=remedy) from error


def require_place(image: sitk.Image | sitk.ImageFileReader, path: Path) -> None:
    """Raises Fault where voxels are wider or narrower, or lie farther away, than anything is that has been imaged."""
    outlying = [width for width in image.GetSpacing() if not 1 / FARTHEST_MM <= width <= FARTHEST_MM]
    if outlying or not all(abs(x) <= FARTHEST_MM for x in image.GetOrigin()):
        what = f"the spacing {image.GetSpacing()}" if outlying else f"the origin {image.GetOrigin()}"
        raise Fault(f"its header has {what} mm", file=path, remedy="Correct the header, or copy it again.")


def stored_geometry(path: Path) -> sitk.ImageFileReader:
    """Size and position as SimpleITK, and so nnU-Net, takes them from the header. Raises Fault where it cannot."""
    require_usable_name(path)
    if path.name.lower().endswith(TEXT_HEADERS):
        read_header(path)
    if path.name.lower().endswith((".nii", ".nii.gz")):
        nifti.require_sound_header(path)
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    try:
        header.ReadImageInformation()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise Fault(f"this is no readable image ({reason})", file=path, remedy="Copy it again.") from error
    return header


def usable_geometry(path: Path) -> sitk.ImageFileReader:
    """``stored_geometry`` of an image in a place that can be, in a file as long as it says, as far as that is known
    before it is read. Raises Fault elsewhere, though ``read_image`` may find nothing wrong with the length."""
    header = stored_geometry(path)
    require_place(header, path)
    if path.name.lower().endswith((".nii", ".nii.gz")) and not nifti.seems_whole(path):
        raise Fault("its length is not that which its header declares", file=path, remedy="Copy it again.")
    return header
