"""Limits how many voxels the header of an image may declare, before memory is taken for them."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dataset_conversion.faults import Fault

MAX_VOXELS = 2**30
VARIABLE = "SEQDROPOUT_MAX_VOXELS"
"""The environment variable that gives another limit; worker processes and commands of a study inherit it."""


def require_not_too_large(size: Sequence[int], path: Path, *, what: str = "its header declares") -> None:
    """Raises Fault where an image of this size has no voxel, or more than the limit."""
    limit = _limit()
    if min(size) >= 1 and math.prod(map(int, size)) <= limit:
        return
    problem = f"{what} {' x '.join(map(str, size))} voxels"
    remedy = f"At most {limit} are accepted. Copy it again from its source; if it is so large, give --max-voxels N."
    raise Fault(problem, file=path, remedy=remedy)


@contextmanager
def limit_of(n_voxels: int | None) -> Iterator[None]:
    """The limit inside the block, in worker processes that it starts, too; None changes nothing."""
    before = os.environ.get(VARIABLE)
    if n_voxels is not None:
        os.environ[VARIABLE] = str(n_voxels)
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        if before is not None:
            os.environ[VARIABLE] = before


def _limit() -> int:
    text = os.environ.get(VARIABLE, str(MAX_VOXELS))
    if not text.isdecimal() or int(text) < 1:
        raise Fault(f"{VARIABLE} is {text!r}", remedy="Set it to a number of voxels, or unset it.")
    return int(text)
