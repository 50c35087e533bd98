"""Checks that a name can be the beginning of a file's name and leads nowhere else.

Case ids, names of data sets, sequences and arms become part of paths. A name that this refuses is nobody's mistake to
repair in silence: another spelling could be another patient.
"""

import unicodedata
from pathlib import Path, PureWindowsPath

from dataset_conversion.faults import Fault

LONGEST_BYTES = 235
"""File systems take 255; the longest that we add, ``faces_DatasetXXX_``, leaves these."""

_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")


def require_name(name: str, *, what: str, file: Path | None = None) -> str:
    """The same name. what: whose it is, for the message. file: where it was found.

    Blanks, umlauts and punctuation within it are allowed. Raises Fault where a file of this name would lie in another
    folder, be hidden, be taken for an option, or could not be written on some file system.
    """
    if reason := _reason(name):
        remedy = "Give it a name without / and \\, up to 235 bytes long, that begins with neither . nor -."
        raise Fault(f"{what} {name!r} cannot be the name of a file: {reason}", file=file, remedy=remedy)
    return name


def _reason(name: object) -> str:
    """Why it can be none; empty where it can."""
    if not isinstance(name, str):
        return "it is no text"
    if not name.strip():
        return "it is empty"
    if strange := [character for character in name if unicodedata.category(character) in _UNPRINTABLE]:
        return f"it contains {strange[0]!a}, which is no printable character"
    # as Windows reads it: /, \ and the drive of C:name part it
    if PureWindowsPath(name).name != name or name == "..":
        return "it leads into another folder"
    if name.startswith((".", "-")):
        return f"it begins with {name[0]}, and would be {'hidden' if name[0] == '.' else 'taken for an option'}"
    if name.partition(".")[0].strip().upper() in _DEVICES:
        return "on Windows this is a device, and what is written to it is lost"
    if (length := len(name.encode())) > LONGEST_BYTES:
        return f"it is {length} bytes long"
    return ""
