"""Locks a folder against a second process that would write into it."""

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dataset_conversion.faults import Fault

log = logging.getLogger(__name__)

NAME = ".seqdropout.lock"

_not_for_workers: set[int] = set()
"""Descriptors that a forked process closes: a lock is held as long as any process has it open."""


@contextmanager
def only_writer(folder: Path, *, name: str = NAME) -> Iterator[None]:
    """Keeps other processes that ask for the same from writing into the folder; leaves nothing in it.

    A folder that it had to make is gone after it, too, if nothing was written into it. name: that of the lock.

    The system frees the lock of a process that has ended, however it did, even if workers that it forked live on.
    Raises Fault where another process has it.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = lock(folder / name)
    except ModuleNotFoundError:
        log.warning("%s is not locked: Windows has no such locks. Run one command at a time in it.", folder)
        yield
        return
    _not_for_workers.add(descriptor)
    try:
        yield
    finally:
        # before it is freed: whoever waits for the file finds that it is gone
        (folder / name).unlink(missing_ok=True)
        _not_for_workers.remove(descriptor)
        os.close(descriptor)
        with suppress(OSError):  # something is in it
            for path in made:
                path.rmdir()


def lock(file: Path, *, waiting_for: Callable[[str], object] | None = None) -> int:
    """The descriptor that holds the lock until it is closed, by this process and by all children that inherit it.

    waiting_for: told who has the lock before this waits for it; without it Fault is raised. Raises ModuleNotFoundError
    on Windows.
    """
    import fcntl

    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = file.read_text(encoding="utf-8").strip() if file.exists() else ""
            if waiting_for is None:
                os.close(descriptor)
                remedy = "Wait until it has ended, or stop it."
                raise Fault(f"{owner or 'another process'} is writing here", file=file.parent, remedy=remedy) from None
            waiting_for(owner or "another process")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_still(file, descriptor):
            break
        os.close(descriptor)  # its owner has removed the file: another one may be locked already
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    return descriptor


def _is_still(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _close_in_worker() -> None:
    while _not_for_workers:
        os.close(_not_for_workers.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_worker)
