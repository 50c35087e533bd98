"""Writes files completely or not at all, and removes the staging folders of dead processes."""

import errno
import logging
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

log = logging.getLogger(__name__)

_OWNED = re.compile(r"\.partial-(?P<host>.+)-(?P<pid>\d+)-[a-z0-9_]{8}")
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A hidden folder inside ``folder`` to write files into; they all come out under their final paths, or none does.

    When the block has ended well and the bytes are on the disk, every file moves to the same relative path below
    ``folder``, JSON last: where there is a record, what it speaks of is there, too. When the block fails, the files
    are gone. nnU-Net does not look into folders, so what a killed process leaves is never read; the next that stages
    in the same folder takes it away.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder)
        with TemporaryDirectory(prefix=staging_prefix(), dir=folder) as temporary:
            stage = Path(temporary)
            yield stage
            files = sorted(file for file in stage.rglob("*") if file.is_file())
            for file in files:
                to_disk(file)
            for file in sorted(files, key=lambda file: file.suffix == ".json"):
                final = folder / file.relative_to(stage)
                final.parent.mkdir(parents=True, exist_ok=True)
                file.replace(final)
    except OSError as error:
        if error.errno in _OF_THE_DISK and error.filename is None:
            raise OSError(error.errno, error.strerror, str(folder)) from error
        raise


def staging_prefix() -> str:
    """The prefix of this process's staging folders; ``tempfile`` adds eight letters."""
    return f".partial-{_host()}-{os.getpid()}-"


def _remove_abandoned(folder: Path) -> None:
    """Removes the staging folders in this one whose process is dead, so that their files would never be moved.

    Those of another machine stay, since its processes cannot be checked, as do those of a running process, even if it
    has only reused the number of the dead one.
    """
    if os.name != "posix":
        return
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if entry.name.startswith(".partial-")]
    for staging in found:
        owner = _OWNED.fullmatch(staging.name)
        if owner is None or owner["host"] != _host() or _is_alive(int(owner["pid"])) or staging.is_symlink():
            continue
        log.info("%s: removed, since the process that wrote it has ended", staging.path)
        # another process may be removing it, too
        shutil.rmtree(staging.path, ignore_errors=True)


def _host() -> str:
    return re.sub(r"[^\w.-]", "_", socket.gethostname())


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def to_disk(file: Path) -> None:
    """Returns when the bytes of a file that was written are on the disk, not only in the system's memory."""
    with file.open("rb") as written:
        os.fsync(written.fileno())
