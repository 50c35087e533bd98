"""Lets a process end with the one that started it, even where that was killed: a worker, or a whole command."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

_PR_SET_PDEATHSIG = 1
"""Of Linux: the signal that a process gets when the thread that started it has ended."""

POLL_S = 0.5
"""How often a supervisor looks whether the process that started it is still there."""


def end_with(parent: int) -> None:
    """Called in a worker that the process of this number has started; in any other it does nothing. On Linux alone."""
    if sys.platform == "linux" and os.getppid() == parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has ended before this was said
            os._exit(1)


def supervised(words: Sequence[str]) -> list[str]:
    """A command that runs this one, and ends it and all that it has started when the process that calls this ends.

    To be started in a session of its own, with which it is killed as a whole: see ``stop``.
    """
    return [sys.executable, "-m", __name__, str(os.getpid()), *words]


def stop(supervisor: "subprocess.Popen[bytes]", *, grace_s: float = 5) -> None:
    """Stops a supervised command by SIGTERM, and kills it where that did not end it."""
    with suppress(ProcessLookupError):
        os.killpg(supervisor.pid, signal.SIGTERM)
        try:
            supervisor.wait(grace_s)
        except subprocess.TimeoutExpired:
            os.killpg(supervisor.pid, signal.SIGKILL)
    supervisor.wait()


def _supervise(parent: int, words: Sequence[str]) -> int:
    """Returns the exit code of the command, or the number of the signal that ended it."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # it is for the command; this waits for its end
    process = subprocess.Popen(words, preexec_fn=partial(end_with, os.getpid()))
    while True:
        try:
            return abs(process.wait(POLL_S))
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(_supervise(int(sys.argv[1]), sys.argv[2:]))
