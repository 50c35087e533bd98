"""Keeps the SHA-256 of files beside them, so that a changed byte is found before a file is used."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.texts.json_files import read_json_if_there, write_json

NAME = "checksums.json"


class Checksums(TypedDict):
    sha256: dict[str, list[str]]


def replace_recorded(written: Path, final: Path) -> None:
    """Moves a file that is whole to its final name in the same folder, and records its SHA-256 there.

    A process that is killed between the two leaves both the old and the new one recorded: whichever file is there, it
    is known.
    """
    new = sha256_of(written)
    known = recorded(final.parent)
    _write(final.parent, {**known, final.name: [*known.get(final.name, ()), new]})
    written.replace(final)
    _write(final.parent, {**known, final.name: [new]})


def recorded(folder: Path) -> dict[str, list[str]]:
    """File name -> the SHA-256 that it may have; empty where none was recorded. Raises Fault if it cannot be read."""
    remedy = f"Restore {NAME} from a backup, or remove it: the files are then not checked."
    found = read_json_if_there(folder / NAME, Checksums, remedy=remedy)
    return found["sha256"] if found else {}


def is_unchanged(file: Path, sha256: str | None = None) -> bool | None:
    """Whether the file has a recorded SHA-256; None where none was recorded, as in models of version 0.1.0.

    sha256: that of the file, where it was computed before.
    """
    known = recorded(file.parent).get(file.name)
    return None if known is None else (sha256 or sha256_of(file)) in known


def forget(folder: Path, names: Sequence[str]) -> None:
    """Removes files of the folder, where they are there, and what was recorded of them."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
    if (known := recorded(folder)).keys() & set(names):
        _write(folder, {name: sha256 for name, sha256 in known.items() if name not in names})


def _write(folder: Path, sha256: Mapping[str, Sequence[str]]) -> None:
    write_json(folder / NAME, {"version": 1, "sha256": {name: list(known) for name, known in sha256.items()}})
