"""Recognises DICOM files by their first bytes: a preamble of 128 bytes and a mark, which some programs leave out."""

from pathlib import Path

MARK = b"DICM"
PREAMBLE = b"\0" * 128 + MARK
FIRST_GROUPS = (b"\x02\0", b"\x08\0")
"""Of a file without a preamble: that of its meta information, or of the data set."""


def has_preamble(file: Path) -> bool:
    return _first_bytes(file)[-len(MARK) :] == MARK


def may_be_dicom(file: Path) -> bool:
    """With a preamble or without."""
    first = _first_bytes(file)
    return first[-len(MARK) :] == MARK or first[:2] in FIRST_GROUPS


def _first_bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(len(PREAMBLE))
    except OSError:  # its message would name the file, and that often the patient
        return b""
