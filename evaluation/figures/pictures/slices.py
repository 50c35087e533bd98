"""Chooses a limited number of slices that show as many objects as possible, each near its largest cross-section."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PRICE = 0.5
"""The improvement that justifies one more slice: half of an object's largest cross-section."""


@dataclass(frozen=True)
class Extent:
    """An object along the body axis: its voxels in slice ``first`` and in those after it, none of them 0.

    A missed lesion and a false alarm are ``urgent``: they come before any number of lesions found.
    """

    first: int
    areas: NDArray[np.int_]
    urgent: bool


def choose_slices(extents: Sequence[Extent], n_slices: int, *, at_most: int) -> list[int]:
    """Indices in ascending order; no object gives none.

    Exact, by dynamic programming: no other choice of at most ``at_most`` slices shows more urgent objects, or as many
    and more of the others. Among equals an object is shown near its largest cross-section, if that does not take many
    more slices.
    """
    gain = _gains(extents, n_slices)
    # totals: for every slice, the best sum of a choice that ends with it; paths: that choice
    totals = gain[0]
    best, chosen = 0.0, []
    paths = [[z] for z in range(n_slices)]
    # one slice more in each round; more slices than objects cannot pay
    for _ in range(min(at_most, len(extents))):
        if totals.max() > best:
            best, chosen = float(totals.max()), paths[int(totals.argmax())]
        # the chosen slices ascend: the lower triangle is excluded
        longer = np.where(np.tri(n_slices, dtype=bool), -np.inf, totals[:, None] + gain[1:])  # (slice before, slice)
        before = longer.argmax(axis=0)
        totals = longer.max(axis=0)
        paths = [[*paths[earlier], z] for z, earlier in enumerate(before.tolist())]
    return chosen


def filled_up(chosen: Sequence[int], areas: NDArray[np.int_], *, at_most: int, apart: int) -> list[int]:
    """With further slices through the objects, at least ``apart`` from each other, in ascending order.

    areas: (slices,) voxels of all objects. Each time the slice comes for which cross-section times distance from those
    chosen is largest. Nothing is added where nothing was chosen.
    """
    every, filled = np.arange(len(areas)), [*chosen]
    while filled and len(filled) < at_most:
        distance = np.abs(every[:, None] - filled).min(axis=1)
        worth = np.where(distance >= apart, areas * distance, 0)
        if not worth.any():
            break
        filled.append(int(worth.argmax()))
    return sorted(filled)


def _gains(extents: Sequence[Extent], n_slices: int) -> NDArray[np.float64]:
    """(n + 1, n): what slice z adds if z' is the slice chosen before it, in row z' + 1; row 0 if it is the first.

    It adds the objects that begin after z'. The weights make one object more worth any sum of cross-sections, and one
    urgent object worth all the others.
    """
    gain = np.full((n_slices + 1, n_slices), -PRICE)
    # cross-sections add at most 1 per object, and slices cost at most 1/2 per object
    other = 2 * len(extents) + 1
    urgent = other * (len(extents) + 1)
    for extent in extents:
        inside = slice(extent.first, extent.first + len(extent.areas))
        # rows of a slice before the object: it has not been shown yet
        gain[: extent.first + 1, inside] += (urgent if extent.urgent else other) + extent.areas / extent.areas.max()
    return gain
