"""Computes the FROC of one patient at every threshold at once: where lesions are found, false positives come and join.

As the threshold falls, an object appears at every local maximum, and two objects become one at the saddle between them.
So the objects at a threshold are the maxima that reach it less the saddles of a maximum spanning tree that reach it.
All voxels on the reference are one node of the tree, and the objects apart from it are the false positives.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics.lesion.lesions import Objects, on_padded_grid
from evaluation.metrics.voxel.voxels import reaches

LARGEST = 1 << 19
"""Voxels off the reference that are looked at, the highest ones: a bound of time and memory where a map is noise."""

MOST_STEPS = 4096
"""Steps of false positives that are kept one by one, from the highest down, and sums of those below."""

_NOTHING = 0


@dataclass(frozen=True)
class FrocSteps:
    """One patient's lesions found and false positives, without a limit of size, at any threshold from ``lowest`` on.

    maxima: the highest probability in each lesion, ascending. thresholds, ascending, and changes: where, as the
    threshold falls, the number of false positives grows, or falls since they join the reference or each other.
    """

    lowest: float
    maxima: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    changes: NDArray[np.int64]

    @property
    def n_lesions(self) -> int:
        return len(self.maxima)

    def n_found(self, thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Lesions with a voxel that reaches each threshold."""
        return self.n_lesions - np.searchsorted(self.maxima, thresholds, side="left")

    def false_positives(self, thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Objects at each threshold that have no voxel on the reference."""
        from_here_on = np.concatenate([np.cumsum(self.changes[::-1])[::-1], [0]])
        return from_here_on[np.searchsorted(self.thresholds, thresholds, side="left")]


def together(patients: Sequence[FrocSteps]) -> FrocSteps:
    """The lesions and false positives of all patients as those of one: counting these is linear in their number."""
    thresholds = np.concatenate([patient.thresholds for patient in patients])
    order = np.argsort(thresholds, kind="stable")
    return FrocSteps(
        max(patient.lowest for patient in patients),
        np.sort(np.concatenate([patient.maxima for patient in patients])),
        thresholds[order],
        np.concatenate([patient.changes for patient in patients])[order],
    )


def froc_steps(lesions: Objects, probability: NDArray[np.floating], *, lowest: float) -> FrocSteps:
    """probability: (Z, Y, X). lowest: above 0; raised where more than LARGEST voxels off the reference reach it."""
    on_reference = np.zeros(probability.size, bool)
    on_reference[lesions.voxels] = True
    flat = probability.ravel()
    voxels = np.flatnonzero(reaches(flat, lowest))
    values = flat[voxels].astype(np.float64)
    off = values[~on_reference[voxels]]
    if len(off) > LARGEST:
        lowest = float(np.partition(off, -LARGEST)[-LARGEST])
        voxels, values = voxels[values >= lowest], values[values >= lowest]
    thresholds, changes = _changes(voxels, values, on_reference[voxels], probability.shape)
    maxima = np.sort(lesions.maxima(probability).astype(np.float64))
    return FrocSteps(lowest, maxima, thresholds, changes)


def _changes(
    voxels: NDArray[np.int64], values: NDArray[np.float64], on_reference: NDArray[np.bool_], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    # equal values are told apart by their place, so that each voxel has a rank of its own, from 1
    order = np.argsort(values, kind="stable")
    rank = np.empty(len(voxels), np.int32)
    rank[order] = np.arange(1, len(voxels) + 1)
    root = len(voxels) + 1
    place, row, plane = on_padded_grid(voxels, shape)
    corner = plane + row + 1  # from a voxel to the farthest of its neighbours
    place = place + corner
    ranks = np.full(shape[0] * plane + 2 * corner, _NOTHING, np.int32)
    ranks[place] = rank
    steps = [plane * z + row * y + x for z, y, x in product((-1, 0, 1), repeat=3) if (z, y, x) != (0, 0, 0)]
    own = rank[~on_reference]
    summit = _summits(ranks, place[~on_reference], own, steps, rank[on_reference], root)
    tops = own[summit[own] == own]
    saddles = _saddles(ranks, place, rank, steps[: len(steps) // 2], summit, tops)
    ascending = values[order]
    # each top adds an object, each saddle takes one
    where = np.concatenate([ascending[tops - 1], ascending[saddles - 1]])
    thresholds, inverse = np.unique(where, return_inverse=True)
    changes = np.bincount(inverse[: len(tops)], minlength=len(thresholds))
    changes -= np.bincount(inverse[len(tops) :], minlength=len(thresholds))
    return _thinned(thresholds[changes != 0], changes[changes != 0])


def _thinned(
    thresholds: NDArray[np.float64], changes: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All patients' steps are in memory at once: thousands of steps below MOST_STEPS become as many sums of neighbours,
    each at the lowest of its thresholds."""
    n_below = len(thresholds) - MOST_STEPS
    if n_below <= MOST_STEPS:
        return thresholds, changes
    sums = np.arange(MOST_STEPS) * n_below // MOST_STEPS
    starts = np.concatenate([sums, np.arange(n_below, len(thresholds))])
    return thresholds[starts], np.add.reduceat(changes, starts)


def _summits(
    ranks: NDArray[np.int32],
    place: NDArray[np.int64],
    own: NDArray[np.int32],
    steps: list[int],
    on_reference: NDArray[np.int32],
    root: int,
) -> NDArray[np.int32]:
    """Rank -> rank of the local maximum, or root, that is reached by always going to the highest neighbour."""
    highest = own.copy()
    for step in steps:
        np.maximum(highest, ranks[place + step], out=highest)
    upwards = np.arange(root + 1, dtype=np.int32)
    upwards[own] = highest
    upwards[on_reference] = root
    while True:
        further = upwards[upwards]
        if np.array_equal(further, upwards):
            return upwards
        upwards = further


def _saddles(
    ranks: NDArray[np.int32],
    place: NDArray[np.int64],
    rank: NDArray[np.int32],
    steps: list[int],
    summit: NDArray[np.int32],
    tops: NDArray[np.int32],
) -> NDArray[np.int32]:
    """The ranks at which summits join, one less than summits that hang together, from a maximum spanning tree.

    steps: to one of each two neighbours that lie opposite, so that a pair of voxels is met once.
    """
    # loading them takes longer than most patients
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    root = len(summit) - 1
    nodes = np.zeros(len(summit), np.int32)  # 0 is the root
    nodes[tops] = np.arange(1, len(tops) + 1)
    nodes = nodes[summit]
    nodes[_NOTHING] = -1
    node, n = nodes[rank], len(tops) + 1
    keys = []
    for step in steps:
        other = nodes[ranks[place + step]]
        met = np.flatnonzero((other != node) & (other >= 0))
        low, high = np.sort(np.stack([node[met], other[met]]), axis=0).astype(np.int64)
        below_root = root - np.minimum(rank[met], ranks[place[met] + step])
        keys.append((low * n + high) * root + below_root)  # of 63 bits: n is at most LARGEST + 1, root below 2**25
    # of each pair the highest saddle, the tree of least weight below the root; none is 0, which would stand for no edge
    pair, weight = np.divmod(np.sort(np.concatenate(keys)), root)
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    graph = coo_array((weight[first].astype(np.float64), np.divmod(pair[first], n)), shape=(n, n))
    return (root - np.rint(minimum_spanning_tree(graph.tocsr()).data)).astype(np.int32)
