"""Reads the voxels that the header of a MetaImage or NRRD declares, to the end of the stream and its checksum."""

import gzip
import math
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.nifti import MOST_INFLATED
from dataset_conversion.files.images.size_limit import require_not_too_large
from dataset_conversion.plurals import n_of

AGAIN = "Copy it again from its source."
Encoding = Literal["raw", "gzip", "zlib", "text"]
_MOST_CHARACTERS = 32
"""Of a number written as text, with its blank."""


@dataclass(frozen=True)
class Declared:
    """What a header says of its voxels. size: (X, Y) or (X, Y, Z). dtype: with its order of bytes.

    file: that of the voxels, which begin at ``begin``; where that is None, they are the last bytes. n_stored: as they
    lie there, compressed, where the header says it.
    """

    size: tuple[int, ...]
    dtype: np.dtype
    encoding: Encoding
    file: Path
    begin: int | None
    n_stored: int | None = None

    @property
    def n_bytes(self) -> int:
        return math.prod(self.size) * self.dtype.itemsize

    @property
    def _promise(self) -> str:
        return f"its header declares {n_of(self.n_bytes, 'byte')} of voxels"

    def read(self, path: Path) -> NDArray:
        """(Z, Y, X) or (Y, X). path: of the header, for messages.

        Raises Fault where they would be too many, are fewer or many more than declared, or their checksum is wrong.
        """
        require_not_too_large(self.size, path)
        stored = self._stored(path)
        try:
            voxels = self._decoded(stored)
        except (EOFError, gzip.BadGzipFile, zlib.error, ValueError, OverflowError) as error:
            raise Fault(f"the file is truncated or corrupt ({error})", file=path, remedy=AGAIN) from error
        padding = len(voxels) - self.n_bytes
        # some programs fill up the last block; a whole slice more is another size
        if not 0 <= padding < self.n_bytes / self.size[-1]:
            what = "truncated" if padding < 0 else "corrupt"
            problem = f"the file is {what}: {self._promise}, there are {len(voxels)}"
            raise Fault(problem, file=path, remedy=AGAIN)
        return np.frombuffer(voxels, self.dtype, math.prod(self.size)).reshape(self.size[::-1])

    def _stored(self, path: Path) -> bytes:
        """As they lie in the file. Raises Fault where they cannot be what is declared, before they are read."""
        n_there = self.file.stat().st_size - (self.begin or 0)
        if self.n_bytes > n_there * {"raw": 1, "text": self.dtype.itemsize}.get(self.encoding, MOST_INFLATED):
            problem = f"the file is truncated: {self._promise}, {n_there} are there"
            raise Fault(problem, file=path, remedy=AGAIN)
        if (self.n_stored or 0) > n_there:
            stored = n_of(self.n_stored or 0, "compressed byte")
            problem = f"the file is truncated: its header declares {stored}, {n_there} are there"
            raise Fault(problem, file=path, remedy=AGAIN)
        with self.file.open("rb") as stream:
            stream.seek(n_there - self.n_bytes if self.begin is None else self.begin)
            return stream.read(-1 if self.n_stored is None else self.n_stored)

    def _decoded(self, stored: bytes) -> bytes:
        """Uncompressed, and no more than one byte too many slices."""
        most = self.n_bytes + self.n_bytes // self.size[-1] + 1
        if self.encoding == "gzip":
            with gzip.GzipFile(fileobj=BytesIO(stored)) as stream:
                return stream.read(most)
        if self.encoding == "zlib":
            return _inflated(stored, most)
        if self.encoding == "text":
            return (
                np.array(stored.split(), np.float64 if self.dtype.kind == "f" else np.int64)
                .astype(self.dtype)
                .tobytes()
            )
        return stored


def _inflated(stored: bytes, most: int) -> bytes:
    """Raises EOFError where the stream does not end with its checksum."""
    inflate = zlib.decompressobj()
    voxels = inflate.decompress(stored, most)
    if not inflate.eof and len(voxels) < most:
        raise EOFError("the compressed stream has no end")
    return voxels
