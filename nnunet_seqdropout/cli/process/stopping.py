"""Turns SIGTERM into an exception, so that whoever stops a command leaves nothing half behind."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a scheduler sends it. Like Ctrl-C it is no error of a case."""


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM raises Terminated in the block; in another thread than the main one nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(*_: object) -> None:
    raise Terminated
