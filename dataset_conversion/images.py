"""One safe way to read an image, to compare two grids, and to write a file that is whole or not there."""

import logging
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import SimpleITK as sitk

from dataset_conversion.abandoned import staging_prefix
from dataset_conversion.faults import Fault
from dataset_conversion.nifti import read_nifti

log = logging.getLogger(__name__)

LARGEST_DISTANCE_MM = 0.1
LARGEST_DIRECTION_DIFFERENCE = 1e-3
LARGEST_VALUE = float(np.finfo(np.float32).max)
"""nnU-Net computes in float32, where more is infinite."""


def read_image(path: Path, *, nan: Literal["refuse", "zero"] = "refuse", content: bytes | None = None) -> sitk.Image:
    """Reads a 2D or 3D image; voxels that are NaN or infinite become 0 under ``nan="zero"``.

    content: the file's bytes, where they have been read already.

    Raises Fault where the file is truncated, corrupt, empty, no image or not one volume, or holds a NaN.
    """
    image = read_nifti(path, content) if path.name.lower().endswith((".nii", ".nii.gz")) else _read_other(path)
    return without_nan(image, path, nan=nan)


def without_nan(image: sitk.Image, path: Path, *, nan: Literal["refuse", "zero"]) -> sitk.Image:
    """The same, or a copy with 0 for what is no number. Raises Fault where there is one and ``nan`` is "refuse"."""
    voxels = sitk.GetArrayViewFromImage(image)
    if voxels.dtype.kind == "f" and not np.abs([voxels.min(), voxels.max()]).max() <= LARGEST_VALUE:  # nor of NaN
        finite = np.abs(voxels) <= LARGEST_VALUE
        if nan == "refuse":
            problem = f"{int((~finite).sum())} voxels are NaN or infinite"
            raise Fault(problem, file=path, remedy="Repair the image, or have them set to 0 with --nan zero.")
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
        raise Fault(f"this is not one volume (size {image.GetSize()})", file=path, remedy="Choose a volume.")
    return image


def require_same_grid(reference: sitk.Image, image: sitk.Image, *, files: tuple[Path, Path]) -> None:
    """Raises Fault where two images differ in size, spacing, origin (0.1 mm) or direction (1e-3)."""
    remedy = "Resample one onto the grid of the other."
    if image.GetSize() != reference.GetSize():
        problem = f"size {image.GetSize()}, but {files[0]} has {reference.GetSize()}"
        raise Fault(f"{problem}{_apart(reference, image)}", file=files[1], remedy=remedy)
    remedy = f"{remedy[:-1]}, or, if only the header is wrong, see --trust-geometry."
    for name, tolerance in (
        ("Spacing", LARGEST_DISTANCE_MM),
        ("Origin", LARGEST_DISTANCE_MM),
        ("Direction", LARGEST_DIRECTION_DIFFERENCE),
    ):
        ours, theirs = (getattr(i, f"Get{name}")() for i in (image, reference))
        if not np.abs(np.subtract(ours, theirs)).max() <= tolerance:  # nor where one is NaN
            problem = f"{name.lower()} {_short(ours)}, but {files[0]} has {_short(theirs)}"
            raise Fault(f"{problem}{_apart(reference, image)}", file=files[1], remedy=remedy)


def on_grid_of(
    reference: sitk.Image, image: sitk.Image, *, files: tuple[Path, Path], trust_geometry: bool = False
) -> sitk.Image:
    """The image with the reference's geometry, if it lies on its grid; else under ``trust_geometry``, with a warning.

    Itself, where nnU-Net would see no difference. Raises Fault as ``require_same_grid`` does, for another size always.
    """
    try:
        require_same_grid(reference, image, files=files)
    except Fault as fault:
        if not trust_geometry or image.GetSize() != reference.GetSize():
            raise
        log.warning("%s; the geometry of %s is taken (--trust-geometry)", fault.problem, files[0])
    return image if has_geometry_of(reference, image) else with_geometry_of(reference, image)


def has_geometry_of(reference: sitk.Image, image: sitk.Image | sitk.ImageFileReader) -> bool:
    """Whether nnU-Net takes the two for one grid: relative 1e-5, where it is stricter than ``require_same_grid``."""
    ours, theirs = ((*i.GetSize(), *i.GetSpacing(), *i.GetOrigin(), *i.GetDirection()) for i in (image, reference))
    return len(ours) == len(theirs) and np.allclose(ours, theirs)


def stored_geometry(path: Path) -> sitk.ImageFileReader:
    """The header of an image that ``read_image`` has read."""
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    header.ReadImageInformation()
    return header


def with_geometry_of(reference: sitk.Image, image: sitk.Image) -> sitk.Image:
    """A copy of the image with the header of another image of its size."""
    copy = sitk.Image(image)
    copy.CopyInformation(reference)
    return copy


def on_same_grid(reference: sitk.Image, image: sitk.Image) -> bool:
    """Whether ``require_same_grid`` has nothing to say against it."""
    try:
        require_same_grid(reference, image, files=(Path(), Path()))
    except Fault:
        return False
    return True


def _apart(*images: sitk.Image) -> str:
    if images[0].GetDimension() != images[1].GetDimension():
        return ""
    return f"; the corners are up to {largest_distance_mm(*images):.1f} mm apart"


def largest_distance_mm(*images: sitk.Image) -> float:
    """How far a corner of one of two images is from the same corner of the other, at most."""
    distances = []
    for ends in product((0, 1), repeat=images[0].GetDimension()):
        corners = [[end * (n - 1) for end, n in zip(ends, image.GetSize(), strict=True)] for image in images]
        points = [i.TransformIndexToPhysicalPoint(corner) for i, corner in zip(images, corners, strict=True)]
        distances.append(math.dist(*points))
    return max(distances)


def _short(numbers: Sequence[float]) -> str:
    return f"({', '.join(f'{number:.4g}' for number in numbers)})"


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A hidden folder inside ``folder`` to write files into; they all come out under their final paths, or none does.

    When the block has ended well and the bytes are on the disk, every file moves to the same relative path below
    ``folder``; when it fails, the files are gone. nnU-Net does not look into folders, so what a killed process leaves
    is never read; ``remove_abandoned`` takes it away.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=staging_prefix(), dir=folder) as temporary:
        stage = Path(temporary)
        yield stage
        files = [file for file in stage.rglob("*") if file.is_file()]
        for file in files:
            with file.open("rb") as written:
                os.fsync(written.fileno())
        for file in files:
            final = folder / file.relative_to(stage)
            final.parent.mkdir(parents=True, exist_ok=True)
            file.replace(final)


def write_image(image: sitk.Image, path: Path) -> None:
    """Writes a compressed image; the folder must exist. Raises OSError where it cannot be written."""
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise OSError(f"{path} cannot be written ({str(error).strip().splitlines()[-1]})") from error
