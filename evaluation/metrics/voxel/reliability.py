"""Counts how often voxels of a probability are lesion: a reliability diagram is drawn from it."""

import numpy as np
from numpy.typing import NDArray

N_BINS = 10


def reliability_counts(
    reference: NDArray[np.bool_], probability: NDArray[np.floating], mask: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """(N_BINS, 3): voxels, lesion voxels, and the sum of the probabilities, in ranges of equal width from 0 to 1.

    A range includes its lower end, the last one its upper end, too. Outside the mask nothing counts. The arrays are
    (Z, Y, X). Memory: the voxels from the second range on, which are few in a brain.
    """
    counted = probability >= 1 / N_BINS
    if mask is not None:
        counted &= mask
    values, lesion = probability[counted].astype(np.float64), reference[counted]
    # multiplied, 0.3 would fall into the range below: compared with the edges, it does not
    place = np.clip(np.searchsorted(_EDGES, values, side="right") - 1, 0, N_BINS - 1)
    sums = [np.bincount(place, weights, N_BINS) for weights in (None, lesion, values)]
    counts = np.stack(sums, axis=1).astype(np.float64)  # (ranges, 3); without a voxel numpy counts in whole numbers
    inside = ... if mask is None else mask
    whole = probability[inside].size, np.count_nonzero(reference[inside]), probability[inside].sum(dtype=np.float64)
    counts[0] += whole - counts.sum(axis=0)
    return counts


_EDGES = np.arange(N_BINS + 1) / N_BINS
