"""Lets a worker process end with the process that started it, even where that was killed."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""Of Linux: the signal that a process gets when the thread that started it has ended."""


def end_with(parent: int) -> None:
    """Called in a worker that the process of this number has started; in any other it does nothing. On Linux alone."""
    if sys.platform == "linux" and os.getppid() == parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has ended before this was said
            os._exit(1)
