"""Lets the workers that nnU-Net forks end with the process that forked them, even where it was killed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dataset_conversion.processes import end_with

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
        end_with(_parents[-1])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_end_with_parent)
