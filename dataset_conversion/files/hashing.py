"""Tells by a hash whether a file or a text is still the same."""

import hashlib
from pathlib import Path

_BLOCK_BYTES = 1 << 20


def sha256_of(content: Path | bytes | str) -> str:
    """The SHA-256 of a file, read in blocks, or of bytes or a text in UTF-8, as 64 hexadecimal digits."""
    if isinstance(content, Path):
        digest = hashlib.sha256()
        with content.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()
    if isinstance(content, str):
        # names of files may hold bytes that are no UTF-8
        content = content.encode("utf-8", "surrogateescape")
    return hashlib.sha256(content).hexdigest()
