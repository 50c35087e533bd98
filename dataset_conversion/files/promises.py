"""Checks MetaImage and NRRD files, which SimpleITK reads without a look at their checksums, against their headers."""

import bz2
import gzip
import math
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.nifti import LARGEST_IMAGE_VOXELS

AGAIN = "Copy it again from its source."
_CHUNK = 1 << 20
_LONGEST_HEADER = 1 << 20


def require_promised(path: Path, header: sitk.ImageFileReader) -> None:
    """Reads the voxels of a ``.mha``, ``.mhd`` or ``.nrrd`` to the end, in blocks, and throws them away.

    header: the file's, read. Raises Fault where there are fewer bytes than it declares, their checksum is wrong, they
    lie in several files, or would be too many.
    """
    size, kind = header.GetSize(), header.GetPixelID()
    if math.prod(size) > LARGEST_IMAGE_VOXELS:
        declared = " x ".join(map(str, size))
        remedy = f"At most {LARGEST_IMAGE_VOXELS} voxels are accepted. {AGAIN}"
        raise Fault(f"its header declares {declared} voxels", file=path, remedy=remedy)
    bytes_each = sitk.Image([1] * len(size), kind, header.GetNumberOfComponents()).GetSizeOfPixelComponent()
    expected = math.prod(size) * bytes_each * header.GetNumberOfComponents()
    with path.open("rb") as stream:
        fields = dict(_fields(stream))
        place = fields.get("elementdatafile") or fields.get("data file") or fields.get("datafile") or "LOCAL"
        if place != "LOCAL":
            _require_one_file(place, path)
            with (path.parent / place).open("rb") as data:
                found = _n_bytes(data, fields, path, at_most=expected)
        else:
            found = _n_bytes(stream, fields, path, at_most=expected)
    if found < expected:
        raise Fault(f"the file is truncated: {found} of {expected} bytes of voxels", file=path, remedy=AGAIN)


def _fields(stream: BufferedReader) -> Iterator[tuple[str, str]]:
    """The lines of the header, names in lower case; afterwards the stream is where attached voxels begin."""
    read = 0
    while (line := stream.readline(_LONGEST_HEADER)) and read < _LONGEST_HEADER:
        read += len(line)
        text = line.decode("latin-1").strip()
        if not text:  # the end of a NRRD's header
            return
        name, _, value = text.partition("=" if "=" in text and ": " not in text else ":")
        yield name.strip().lower(), value.strip()
        if name.strip() == "ElementDataFile":  # the last line of a MetaImage's
            return


def _require_one_file(place: str, path: Path) -> None:
    if place.upper().startswith("LIST") or "%" in place:
        raise Fault("its voxels lie in several files", file=path, remedy="Save it as one file.")
    if not (path.parent / place).is_file():
        raise Fault(f"the file of its voxels, {place}, is not there", file=path, remedy=f"Put {place} beside it.")


def _n_bytes(stream: BufferedReader, fields: dict[str, str], path: Path, *, at_most: int) -> int:
    """Of the voxels, uncompressed; no more than ``at_most`` and what a block adds to it."""
    encoding = fields.get("encoding", "").lower()
    if fields.get("compresseddata", "").lower() == "true":
        read: Callable[[], Iterator[bytes]] = lambda: _inflated(stream)  # noqa: E731
    elif encoding in ("gzip", "gz"):
        read = lambda: _blocks(gzip.GzipFile(fileobj=stream))  # noqa: E731
    elif encoding in ("bzip2", "bz2"):
        read = lambda: _blocks(bz2.BZ2File(stream))  # noqa: E731
    elif encoding in ("", "raw"):
        begin = stream.tell()
        return stream.seek(0, 2) - begin
    else:
        return at_most  # written as text: SimpleITK reads number by number
    n = 0
    try:
        for block in read():
            n += len(block)
            if n > at_most + _CHUNK:
                break
    except (EOFError, OSError, zlib.error) as error:
        raise Fault(f"the file is truncated or corrupt ({error})", file=path, remedy=AGAIN) from error
    return n


def _blocks(stream: gzip.GzipFile | bz2.BZ2File) -> Iterator[bytes]:
    while block := stream.read(_CHUNK):
        yield block


def _inflated(stream: BufferedReader) -> Iterator[bytes]:
    """A zlib stream, whose checksum is looked at when its end is read."""
    inflate = zlib.decompressobj()
    waiting = b""
    while not inflate.eof:
        waiting = waiting or stream.read(_CHUNK)
        if not waiting:
            raise EOFError("the compressed stream has no end")
        yield inflate.decompress(waiting, _CHUNK)
        waiting = inflate.unconsumed_tail
