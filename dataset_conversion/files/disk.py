"""Checks that a folder is writable and has enough free disk space before a long computation starts."""

import shutil
from pathlib import Path
from tempfile import TemporaryFile

from dataset_conversion.faults import Fault


def require_room(folder: Path, needed_bytes: int) -> None:
    """Makes the folder and writes a byte to it. Raises Fault where that fails or less than ``needed_bytes`` is free."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as probe:
            probe.write(b"0")
            probe.flush()
    except OSError as error:
        remedy = "Give a writable folder on a disk with free space with -o."
        raise Fault(f"{folder} is not writable ({error.strerror or error})", remedy=remedy) from error
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        problem = f"{folder} has {free_bytes:,} bytes free, up to {needed_bytes:,} are needed"
        raise Fault(problem, remedy="Free disk space, or give a folder on another disk with -o.")
