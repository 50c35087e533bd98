"""One safe way to read an image, to compare two grids, and to write a file that is whole or not there."""

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK as sitk

from dataset_conversion.faults import Fault

LARGEST_DISTANCE_MM = 0.1
LARGEST_DIRECTION_DIFFERENCE = 1e-3
_CHUNK = 1 << 24


def read_image(path: Path) -> sitk.Image:
    """Reads a 2D or 3D image. Raises Fault where it is truncated, corrupt, empty, 4D or not an image.

    SimpleITK fills up a truncated ``.nii.gz`` with zeros and passes over flipped bits; reading the gzip stream to its
    end, with its checksum, finds both.
    """
    remedy = "Copy it again from its source."
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as stream:
                while stream.read(_CHUNK):
                    pass
        image = sitk.ReadImage(str(path))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Fault(f"the file is truncated or corrupt ({error})", file=path, remedy=remedy) from error
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise Fault(f"this is no readable image ({reason})", file=path, remedy=remedy) from error
    if image.GetDimension() > 3 or image.GetNumberOfComponentsPerPixel() > 1:
        raise Fault(f"this is not one volume (size {image.GetSize()})", file=path, remedy="Choose a volume.")
    return image


def require_same_grid(reference: sitk.Image, image: sitk.Image, *, files: tuple[Path, Path]) -> None:
    """Raises Fault where size, spacing, origin (0.1 mm) or direction (1e-3) of two images differ."""
    remedy = "Resample one onto the grid of the other."
    if image.GetSize() != reference.GetSize():
        raise Fault(f"size {image.GetSize()}, but {files[0]} has {reference.GetSize()}", file=files[1], remedy=remedy)
    for name, tolerance in (
        ("Spacing", LARGEST_DISTANCE_MM),
        ("Origin", LARGEST_DISTANCE_MM),
        ("Direction", LARGEST_DIRECTION_DIFFERENCE),
    ):
        ours, theirs = (getattr(i, f"Get{name}")() for i in (image, reference))
        if np.abs(np.subtract(ours, theirs)).max() > tolerance:
            raise Fault(f"{name.lower()} {ours}, but {files[0]} has {theirs}", file=files[1], remedy=remedy)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A hidden folder inside ``folder`` to write files into; they all come out under their final paths, or none does.

    When the block has ended well and the bytes are on the disk, every file moves to the same relative path below
    ``folder``; when it fails, the files are gone. nnU-Net does not look into folders, so what a killed process leaves
    is never read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".partial-", dir=folder) as temporary:
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
