"""Lets the workers that nnU-Net forks end with the process that forked them, even where it was killed."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1
"""Of Linux: the signal that a process gets when the thread that forked it has ended."""

_parents: list[int] = []
"""The process whose children end with it; empty where none do."""


@contextmanager
def ended_with_this_process() -> Iterator[None]:
    """Processes that this one forks in the block, in a thread that lives as long as it does. On Linux alone."""
    _parents.append(os.getpid())
    try:
        yield
    finally:
        _parents.pop()


def _end_with_parent() -> None:
    if _parents:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != _parents[-1]:  # it has ended before this was said
            os._exit(1)


if sys.platform == "linux":
    os.register_at_fork(after_in_child=_end_with_parent)
