"""Reads NIfTI files in one pass and checks for truncation, corruption and invalid headers."""

import gzip
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, IOBase
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.nifti_axes import REMEDY, DoubtfulAxes, believed, require_sound_axes
from dataset_conversion.files.images.size_limit import require_not_too_large
from dataset_conversion.plurals import n_of

_AGAIN = "Copy it again from its source."
_SECOND = "it is NIfTI-2, which SimpleITK, and so nnU-Net, does not read", "Save it as NIfTI-1; convert does."
_NO_USE = "SimpleITK cannot use the axes in its header"
MOST_INFLATED = 1032
"""Deflate writes a byte for at most so many of its input (zlib's technical details): a larger promise is not kept."""
_CHUNK = 1 << 24
_INFINITE_SLOPES = [struct.pack(f"{order}f", slope) for order in "<>" for slope in (math.inf, -math.inf)]


def read_nifti(path: Path, content: bytes | None = None) -> sitk.Image:
    """Reads one 3D volume of ``.nii`` or ``.nii.gz``, to the end of the stream, so that its checksum is looked at.

    content: the file's bytes, where they have been read already; the geometry is read from the file all the same.

    Whole numbers keep their type; what has a slope is scaled in float64. Position, spacing and direction are those that
    SimpleITK, and so nnU-Net, takes from the header.
    Raises Fault where the file is truncated, corrupt, no NIfTI, too large, not one 3D volume, or its axes are doubtful.
    """
    result, header = _read(path, content, sound_axes=True)
    try:
        _copy_geometry(path, result)
    except RuntimeError as error:
        second = isinstance(header, nibabel.Nifti2Header)
        doubt, remedy = _SECOND if second else (_NO_USE, REMEDY)
        raise DoubtfulAxes(doubt, affine=believed(header), file=path, remedy=remedy) from error
    return result


def read_voxels(path: Path, content: bytes | None = None) -> sitk.Image:
    """As ``read_nifti``, without geometry and without a look at it: the first voxel is at 0, the next one 1 mm away."""
    return _read(path, content, sound_axes=False)[0]


def require_sound_header(path: Path) -> None:
    """Raises Fault where ``read_nifti`` would because of the header: SimpleITK does not return from some of them."""
    with _faults_of(path), _opened(path, None) as stream:
        image = _parse(stream, path)
        _require_volume(image.header, path)
        require_sound_axes(image.header, path)


def seems_whole(path: Path) -> bool:
    """Whether it is as long as its header declares, without unpacking it: gzip says at its end how long it was.

    A file that is cut off is not; nor is one of several compressed streams, which may be whole all the same.
    """
    with _faults_of(path), _opened(path, None) as stream:
        image = _parse(stream, path)
    begin = image.dataobj.offset  # type: ignore[attr-defined]  # of a file it is an ArrayProxy
    declared = int(begin) + _declared_bytes(image)
    return bytes_in(path) == declared % 2**32 if path.suffix.lower() == ".gz" else path.stat().st_size >= declared


def bytes_in(path: Path) -> int:
    """How many it holds, modulo 2^32, without reading them: gzip says so at its end."""
    if path.suffix.lower() != ".gz":
        return path.stat().st_size % 2**32
    with path.open("rb") as stream:
        stream.seek(-min(4, path.stat().st_size), os.SEEK_END)
        return int.from_bytes(stream.read(), "little")


def _read(path: Path, content: bytes | None, *, sound_axes: bool) -> tuple[sitk.Image, nibabel.Nifti1Header]:
    with _faults_of(path), _opened(path, content) as stream:
        image = _parse(stream, path)
        _require_volume(image.header, path)
        _require_promised(image, path, len(content) if content is not None else path.stat().st_size)
        if sound_axes:
            require_sound_axes(image.header, path)
        voxels = _scaled(image)
        while stream.read(_CHUNK):
            pass
    return sitk.GetImageFromArray(voxels.reshape(image.shape[:3], copy=False).T), image.header


@contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    """What gzip and nibabel raise of a bad file becomes its Fault."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Fault(f"the file is truncated or corrupt ({error})", file=path, remedy=_AGAIN) from error
    except Fault:
        raise
    except (ValueError, OverflowError) as error:
        raise Fault(f"its header cannot be used ({error})", file=path, remedy=_AGAIN) from error


def _copy_geometry(path: Path, image: sitk.Image) -> None:
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    header.ReadImageInformation()
    image.SetSpacing(header.GetSpacing()[:3])
    image.SetOrigin(header.GetOrigin()[:3])
    n = header.GetDimension()
    image.SetDirection(np.reshape(header.GetDirection(), (n, n))[:3, :3].ravel().tolist())


def _opened(path: Path, content: bytes | None) -> IOBase:
    stream = path.open("rb") if content is None else BytesIO(content)
    return gzip.GzipFile(fileobj=stream) if path.suffix.lower() == ".gz" else stream


def _parse(stream: IOBase, path: Path) -> nibabel.Nifti1Image:
    try:
        start = stream.read(116)
    except gzip.BadGzipFile as error:
        plain = path.with_suffix("")
        remedy = f"Rename it to {plain.name}, or compress it with gzip; if it is no NIfTI: {_AGAIN}"
        raise Fault("it is not compressed, though its name ends in .gz", file=path, remedy=remedy) from error
    if not start:
        raise Fault("the file is empty", file=path, remedy=_AGAIN)
    if start[112:] in _INFINITE_SLOPES:
        # nibabel takes it for none, SimpleITK multiplies by it
        raise Fault("its header scales the voxels by infinity", file=path, remedy="Correct scl_slope in the header.")
    stream.seek(0)
    kind = nibabel.Nifti2Image if 540 in (int.from_bytes(start[:4], order) for order in ("little", "big")) else None
    try:
        return (kind or nibabel.Nifti1Image).from_stream(stream)
    except (nibabel.spatialimages.HeaderDataError, nibabel.filebasedimages.ImageFileError) as error:
        raise Fault(f"this is no readable image ({error})", file=path, remedy=_AGAIN) from error
    except nibabel.wrapstruct.WrapStructError as error:
        raise Fault("this is no readable image (the header is incomplete)", file=path, remedy=_AGAIN) from error


def _require_volume(header: nibabel.Nifti1Header, path: Path) -> None:
    shape, kind = header.get_data_shape(), header.get_data_dtype()
    if kind.names is not None:
        raise Fault("this is a colour image", file=path, remedy="Give the original grey image.")
    if kind.kind not in "iuf" or kind.itemsize > 8:
        raise Fault(
            f"its voxels have the type {kind}",
            file=path,
            remedy="Give the magnitude as integers or floats of at most 64 bits.",
        )
    if len(shape) < 3:
        raise Fault(f"this is not one volume (2D, {shape})", file=path, remedy="Combine its slices to one volume.")
    if any(n > 1 for n in shape[3:]):
        raise Fault(
            f"this is not one volume ({_many(shape)})",
            file=path,
            remedy="Choose a volume and save it as a file of its own.",
        )
    require_not_too_large(shape, path)


def _many(shape: tuple[int, ...]) -> str:
    if len(shape) == 4:
        return f"4D, t={shape[3]}"
    return f"{len(shape)}D, {' x '.join(map(str, shape))}: several values for every voxel"


def _require_promised(image: nibabel.Nifti1Image, path: Path, n_bytes: int) -> None:
    """Raises Fault where the file cannot hold what its header declares, before memory is taken for it."""
    declared = _declared_bytes(image)
    if declared > n_bytes * (MOST_INFLATED if path.suffix.lower() == ".gz" else 1):
        promise = f"its header declares {n_of(declared, 'byte')} of voxels"
        problem = f"the file is truncated: {promise}, and it has {n_bytes} in all"
        raise Fault(problem, file=path, remedy=_AGAIN)


def _declared_bytes(image: nibabel.Nifti1Image) -> int:
    return int(np.prod(image.shape, dtype=object)) * image.header.get_data_dtype().itemsize


def stored_type(path: Path) -> str:
    """``uint16`` or the like, of a NIfTI that has been read without a fault."""
    return nibabel.Nifti1Image.from_filename(path).get_data_dtype().name


def _scaled(image: nibabel.Nifti1Image) -> NDArray:
    """Voxels in their stored type if there is nothing to scale, else in float64, which no scale overflows."""
    data: Any = image.dataobj
    try:
        stored = data.get_unscaled()
    except (OSError, OverflowError, ValueError) as error:
        raise EOFError(error) from error
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    if (data.slope, data.inter) == (1, 0):
        return stored
    return stored * np.float64(data.slope) + np.float64(data.inter)
