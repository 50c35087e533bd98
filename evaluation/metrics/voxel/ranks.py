"""Counts how many voxels have a probability above given values, without sorting them all."""

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics.voxel.voxels import reaches

_BITS_PER_CELL = 8


def background_counts(
    lesion: NDArray[np.floating], probability: NDArray[np.floating], values: NDArray[np.floating], *, n_voxels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many voxels of the background have a probability above each value, and at or above it; values ascending.

    lesion: the probabilities of the lesion voxels; probability: those of all voxels, but for those that are 0 or lie
    below every value; n_voxels: of all. Curves of several patients become one pooled curve by adding these counts at
    common values.
    """
    above, at_or_above = _counts(probability, values, n_voxels=n_voxels)
    lesion = np.sort(lesion)
    return (
        above - (lesion.size - np.searchsorted(lesion, values, side="right")),
        at_or_above - (lesion.size - np.searchsorted(lesion, values, side="left")),
    )


def _counts(
    probability: NDArray[np.floating], values: NDArray[np.floating], *, n_voxels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many of all voxels lie above, and at or above each value, without sorting them all.

    Voxels are counted in cells of neighbouring numbers; only those in the cell of a value are compared with it.
    """
    above, at_or_above = np.zeros((2, len(values)), np.int64)
    if not values.size:
        return above, at_or_above
    # what lies below the lowest value is dropped first: that is most of the image
    if values[0] > 0:
        selected = probability[reaches(probability, values[0])]
        at_or_above[0] = selected.size
        selected = selected[selected > values[0]]
    else:  # nothing is lower than 0, which most voxels may have
        at_or_above[0] = n_voxels
        selected = probability[probability > values[0]]
    above[0] = selected.size
    first = _cell(values[:1])
    cells, cells_of_values = _cell(selected) - first, _cell(values[1:]) - first
    in_cell = np.bincount(cells, minlength=cells_of_values.max(initial=0) + 1)
    contested = np.zeros(len(in_cell), bool)
    contested[cells_of_values] = True
    # voxels that share a cell with a value are compared one by one below, all others are counted by cell
    in_cell[contested] = 0
    # (cells,) -> (values,)
    in_higher_cells = in_cell[::-1].cumsum()[::-1][cells_of_values]
    near = np.sort(selected[contested[cells]])
    above[1:] = in_higher_cells + len(near) - np.searchsorted(near, values[1:], side="right")
    at_or_above[1:] = in_higher_cells + len(near) - np.searchsorted(near, values[1:], side="left")
    return above, at_or_above


def _cell(values: NDArray[np.floating]) -> NDArray[np.int32]:
    """A number that never falls while the value, which is not negative, rises: the leading bits of its float32."""
    # adding 0 turns -0.0 into 0.0; read as an integer, -0.0 would be the lowest number
    return (np.asarray(values, np.float32) + np.float32(0)).view(np.int32) >> _BITS_PER_CELL
