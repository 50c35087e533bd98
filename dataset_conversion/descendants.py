"""Ends whatever a process has started once that process has ended, even where it was killed.

A process that is killed cannot stop its workers, so that another one looks after them. Run as a program with the
number of the process to watch, which must have started this one.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

POLL_S = 0.5


@contextmanager
def ended_with_this_process() -> Iterator[None]:
    """What this process starts within the block, and what that starts in turn, ends within a second of this process.

    What was started in the last half second before this process was killed may be missed.
    """
    watcher = subprocess.Popen([sys.executable, "-m", __name__, str(os.getpid())])
    try:
        yield
    finally:
        watcher.terminate()
        watcher.wait()


def _watch(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that is watched, which may go on
    watched = psutil.Process(parent)
    descendants: list[psutil.Process] = []
    while os.getppid() == parent:
        with suppress(psutil.Error):
            descendants = watched.children(recursive=True)
        time.sleep(POLL_S)
    for process in descendants:
        if process.pid != os.getpid():
            with suppress(psutil.Error):
                process.kill()  # of another process that has got this number psutil knows the difference


if __name__ == "__main__":
    _watch(int(sys.argv[1]))
