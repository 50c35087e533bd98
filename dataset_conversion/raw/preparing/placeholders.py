"""Recognises absent sequences among a case's images, and creates the images of zeros that replace them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Generic, Literal, TypeVar

import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.images.grids import on_grid_of
from dataset_conversion.files.images.image_io import read_image
from dataset_conversion.raw.preparing.contrast import require_contrast

log = logging.getLogger(__name__)

Channel = TypeVar("Channel")


@dataclass(frozen=True)
class UsableImages(Generic[Channel]):
    """The images of a case that say something. constant: the value of each of the others, which have but one.

    sha256: of the files of all.
    """

    by_channel: dict[Channel, sitk.Image]
    constant: dict[Channel, float]
    sha256: dict[Channel, str]


def placeholder(reference: sitk.Image) -> sitk.Image:
    """An image of exact zeros on the reference's grid, in the smallest integer type."""
    zeros = sitk.Image(reference.GetSize(), sitk.sitkUInt8)
    zeros.CopyInformation(reference)
    return zeros


def usable_images(
    files: Mapping[Channel, Path], *, nan: Literal["refuse", "zero"] = "refuse", trust_geometry: bool = False
) -> UsableImages[Channel]:
    """Reads the images of one case, each once, and leaves out those with one value everywhere: as good as absent.

    nan: as ``read_image`` has it. trust_geometry: images of one size get the geometry of the first of those left.
    Raises Fault where none is left, one cannot be read or has too little contrast, or two of those left lie on
    different grids.
    """
    images: dict[Channel, sitk.Image] = {}
    sha256: dict[Channel, str] = {}
    for channel, file in files.items():
        content = file.read_bytes()
        images[channel], sha256[channel] = read_image(file, nan=nan, content=content), sha256_of(content)
    usable = usable_among(images, files, trust_geometry=trust_geometry)
    others = {channel: constant_value(image) for channel, image in images.items() if channel not in usable}
    constant = {channel: value for channel, value in others.items() if value is not None}
    return UsableImages(usable, constant, sha256)


def usable_among(
    images: Mapping[Channel, sitk.Image], files: Mapping[Channel, Path], *, trust_geometry: bool = False
) -> dict[Channel, sitk.Image]:
    """The same of images that have been read. files: what each is called in messages."""
    usable = {channel: image for channel, image in images.items() if not is_constant(image, files[channel])}
    if not usable:
        raise Fault("no usable sequence", remedy="Give at least one image that is not empty.")
    for channel, image in usable.items():
        require_contrast(image, files[channel])
    first = next(iter(usable))
    return {
        channel: on_grid_of(usable[first], image, files=(files[first], files[channel]), trust_geometry=trust_geometry)
        for channel, image in usable.items()
    }


def log_missing(case: str, present: Sequence[bool], channel_names: Sequence[str], *, factor: float) -> None:
    """Logs which sequences of a case are missing, if any are. factor: what those present are multiplied by."""
    n_present, n = sum(present), len(present)
    if n_present == n:
        return
    absent = [f"{name} (_{i:04d})" for i, name in enumerate(channel_names) if not present[i]]
    # as N/(N-k) where it is that, else as a decimal number
    fraction = Fraction(factor).limit_denominator(n)
    shown = str(fraction) if float(fraction) == factor else f"{factor:.3g}"
    log.info("%s: missing %s, using %d of %d, factor %s", case, ", ".join(absent), n_present, n, shown)


def constant_value(image: sitk.Image) -> float | None:
    """The value that all voxels have, or None where they differ."""
    voxels = sitk.GetArrayViewFromImage(image)
    value = voxels.flat[0]
    return float(value) if (voxels == value).all() else None


def is_constant(image: sitk.Image, file: Path) -> bool:
    """Whether one value stands everywhere; one that is not 0 is warned of."""
    value = constant_value(image)
    if value:
        log.warning("%s", treated_as_absent(file, value))
    return value is not None


def treated_as_absent(file: Path, value: float) -> str:
    """The warning about an image that has one value everywhere, which is not 0."""
    return f"{file}: every voxel is {value:g}; treated as absent"
