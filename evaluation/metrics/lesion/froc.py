"""Computes the FROC of one patient: lesions found and false positives at many thresholds, in one pass over the voxels.

From the highest threshold down, the voxels that reach it are joined to those of their 26 neighbours that were added
before. All objects with a voxel on the reference share one root; every other root is a false positive.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics.lesion.forest import join
from evaluation.metrics.lesion.lesions import find_objects, on_padded_grid
from evaluation.metrics.voxel.voxels import reaches

# nodes of the forest; the reference is the lowest that is joined, so it becomes the root of all that touches it
_NOTHING, _REFERENCE, _FIRST_VOXEL = 0, 1, 2
_AT_ONCE = 1 << 13
"""Voxels whose neighbours are looked up together: few enough for the processor's cache."""


def froc_counts(
    reference: NDArray[np.bool_], probability: NDArray[np.floating], thresholds: Sequence[float]
) -> NDArray[np.int64]:
    """(thresholds, 2): lesions found and false positives, without a limit of size, at each threshold, above 0.

    The arrays are (Z, Y, X).
    """
    limits, rows = np.unique(np.asarray(thresholds, float), return_inverse=True)
    if not limits.size:
        return np.zeros((0, 2), np.int64)
    lesions = find_objects(reference)
    best = _n_reached(lesions.maxima(probability), limits)
    # a lesion is found at every threshold that its highest probability reaches: (lesions, thresholds) -> (thresholds,)
    n_found = (best[:, None] > np.arange(len(limits))).sum(axis=0)
    voxels = np.flatnonzero(reaches(probability, limits[0]))
    reached = _n_reached(probability.ravel()[voxels], limits)
    false_positives = _false_positives(voxels, reached, reference, n_thresholds=len(limits))
    return np.stack([n_found, false_positives], axis=1)[rows]  # back in the caller's order


def _n_reached(values: NDArray[np.floating], limits: NDArray[np.float64]) -> NDArray[np.uint16]:
    """How many of the limits, ascending, each value reaches, compared in float64."""
    return np.searchsorted(limits, values.astype(np.float64), side="right").astype(np.uint16)


def _false_positives(
    voxels: NDArray[np.int64], reached: NDArray[np.uint16], reference: NDArray[np.bool_], *, n_thresholds: int
) -> NDArray[np.int64]:
    """(thresholds,), from the lowest up. voxels: flat indices; reached: how many thresholds each reaches, from 1."""
    place, row, plane = on_padded_grid(voxels, reference.shape)
    corner = plane + row + 1  # from a voxel to the farthest of its neighbours
    # moved on, so that no neighbour of a voxel falls on the special nodes or outside the array
    place += _FIRST_VOXEL + corner
    steps = np.array([plane * z + row * y + x for z, y, x in product((-1, 0, 1), repeat=3)])
    parent = np.zeros(_FIRST_VOXEL + reference.shape[0] * plane + 2 * corner, np.int64)
    parent[_REFERENCE] = _REFERENCE
    on_reference = reference.ravel()[voxels]
    # each voxel enters at the highest threshold that it reaches
    order = np.argsort(reached, kind="stable")
    of_thresholds = np.split(order, np.searchsorted(reached[order], np.arange(2, n_thresholds + 1)))
    counts, separate = [], np.zeros(0, np.int64)
    for these in reversed(of_thresholds):
        if these.size:
            new = place[these]
            first = _join_runs(parent, new, on_reference[these])
            for some in np.array_split(new, len(new) // _AT_ONCE + 1):
                _join_neighbours(parent, some, steps)
            separate = np.concatenate([separate, first])
            # roots that were joined now point to another; those left are the objects apart from the reference
            separate = separate[parent[separate] == separate]
        counts.append(len(separate))
    return np.array(counts[::-1])


def _join_runs(
    parent: NDArray[np.int64], places: NDArray[np.int64], on_reference: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Adds the places, ascending, each run of neighbours along x as one; the first place of every run."""
    # the padding ends a run at the end of its row
    begins = np.flatnonzero(np.diff(places, prepend=-1) > 1)
    first, n = places[begins], np.diff(begins, append=len(places))
    parent[places] = np.repeat(np.where(np.logical_or.reduceat(on_reference, begins), _REFERENCE, first), n)
    return first


def _join_neighbours(parent: NDArray[np.int64], places: NDArray[np.int64], steps: NDArray[np.int64]) -> None:
    """Joins each place to those of its neighbours where there is something."""
    # all of a voxel's neighbours hang together through it: sorted, each different pair in sequence is joined
    around = np.sort(parent[places[:, None] + steps])  # (places, 27), the place itself among them
    low, high = around[:, :-1], around[:, 1:]
    apart = (low != high) & (low != _NOTHING)
    join(parent, low[apart], high[apart])
