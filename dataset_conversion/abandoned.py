"""The hidden folders that files are written into before they are whole: whose they are, and away with a dead one's."""

import logging
import os
import re
import shutil
import socket
from pathlib import Path

log = logging.getLogger(__name__)

_OWNED = re.compile(r"\.partial-(?P<host>.+)-(?P<pid>\d+)-[a-z0-9_]{8}")


def staging_prefix() -> str:
    """How the name of a staging folder of this process begins; ``tempfile`` adds eight letters."""
    return f".partial-{_host()}-{os.getpid()}-"


def remove_abandoned(*folders: Path) -> None:
    """Removes the staging folders in these folders whose process is dead; nobody will move files out of them any more.

    Those of another machine stay, since nobody here can know, as do those of a living process, be it another that was
    given the number of the dead one.
    """
    if os.name != "posix":
        return
    for staging in (found for folder in folders for found in folder.glob(".partial-*")):
        owner = _OWNED.fullmatch(staging.name)
        if owner is None or owner["host"] != _host() or _is_alive(int(owner["pid"])) or staging.is_symlink():
            continue
        log.info("%s: left by a process that is gone; removed", staging)
        shutil.rmtree(staging)


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
