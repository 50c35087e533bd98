"""Checks that a folder can be written to and has enough free disk space before a long computation starts."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

from dataset_conversion.faults import Fault
from dataset_conversion.plurals import n_of

REPORT_BYTES = 64 * 2**20
"""An upper limit for the tables, figures and page of one report."""


def require_room(folder: Path, needed_bytes: int = 0) -> None:
    """Writes a byte where the folder is, or where it will be made, and takes it away again.

    Raises Fault where that fails, something else is in its place, or less than ``needed_bytes`` is free.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    remedy = "Choose a writable folder on a disk with free space."
    if not there.is_dir():
        raise Fault(f"{folder} is not writable ({there} is no folder)", remedy=remedy)
    try:
        with TemporaryFile(dir=there) as probe:
            probe.write(b"0")
            probe.flush()
    except OSError as error:
        raise Fault(f"{folder} is not writable ({error.strerror or error})", remedy=remedy) from error
    free_bytes = shutil.disk_usage(there).free
    if free_bytes < needed_bytes:
        problem = f"{folder} has {n_of(free_bytes, 'byte')} free, up to {needed_bytes:,} are needed"
        raise Fault(problem, remedy="Free disk space, or choose a folder on another disk.")


def require_room_for_file(file: Path) -> None:
    """The same of a single small file. Raises Fault where a folder is in its place."""
    if file.is_dir():
        raise Fault(f"{file} is a folder", remedy="Give the name of a file.")
    require_room(file.parent)


def bytes_of(files: Iterable[Path]) -> int:
    """Their sizes together; of one that is not there, 0."""
    return sum(file.stat().st_size for file in files if file.is_file())
