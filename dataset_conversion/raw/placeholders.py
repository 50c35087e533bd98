"""Recognises absent sequences among a case's images, and creates the images of zeros that replace them."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.grids import on_grid_of
from dataset_conversion.files.images import read_image

log = logging.getLogger(__name__)

Channel = TypeVar("Channel")


def placeholder(reference: sitk.Image) -> sitk.Image:
    """An image of exact zeros on the reference's grid, in the smallest integer type."""
    zeros = sitk.Image(reference.GetSize(), sitk.sitkUInt8)
    zeros.CopyInformation(reference)
    return zeros


def usable_images(
    files: Mapping[Channel, Path], *, nan: Literal["refuse", "zero"] = "refuse", trust_geometry: bool = False
) -> dict[Channel, sitk.Image]:
    """Reads the images of one case and leaves out those that say nothing: one value everywhere is as good as absent.

    nan: as ``read_image`` has it. trust_geometry: images of one size get the geometry of the first of those left.
    Raises Fault where none is left, one cannot be read, or two of those left lie on different grids.
    """
    images = {channel: read_image(file, nan=nan) for channel, file in files.items()}
    usable = {channel: image for channel, image in images.items() if not is_constant(image, files[channel])}
    if not usable:
        raise Fault("no usable sequence", remedy="Give at least one image that is not empty.")
    first = next(iter(usable))
    return {
        channel: on_grid_of(usable[first], image, files=(files[first], files[channel]), trust_geometry=trust_geometry)
        for channel, image in usable.items()
    }


def is_constant(image: sitk.Image, file: Path) -> bool:
    """Whether one value stands everywhere; one that is not 0 is warned of."""
    voxels = sitk.GetArrayViewFromImage(image)
    value = voxels.flat[0]
    constant = bool((voxels == value).all())
    if constant and value != 0:
        log.warning("%s: every voxel is %g; treated as absent", file, value)
    return constant
