"""Reads text files of a bounded size."""

import stat
from pathlib import Path


def read_text(path: Path, *, most_bytes: int) -> str:
    """The UTF-8 text of a file. Raises OSError where it cannot be read, ValueError where it is larger or no UTF-8.

    No more than that is read, be it of a device that never ends.
    """
    with path.open("rb") as stream:
        status = path.stat()
        n_bytes = status.st_size if stat.S_ISREG(status.st_mode) else most_bytes
        content = stream.read(min(n_bytes, most_bytes) + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes:,} bytes")
    return content.decode("utf-8")
