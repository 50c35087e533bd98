"""Chooses pairs so that nothing stands in two of them."""

import numpy as np
from numpy.typing import NDArray


def best_assignment(pairs: NDArray[np.int64], gain: NDArray[np.floating]) -> NDArray[np.int64]:
    """The rows of pairs with the highest total gain, ascending, in which each number of either column occurs once at
    most. pairs: (pairs, 2), none twice; gain: of each, above 0."""
    taken = np.ones(len(pairs), bool)
    contested = _occurs_again(pairs[:, 0]) | _occurs_again(pairs[:, 1])
    if not contested.any():
        return np.flatnonzero(taken)
    # takes a tenth of a second, which most calls can do without
    from scipy.optimize import linear_sum_assignment

    first, rows = np.unique(pairs[contested, 0], return_inverse=True)
    second, columns = np.unique(pairs[contested, 1], return_inverse=True)
    gains = np.zeros((len(first), len(second)))
    gains[rows, columns] = gain[contested]
    chosen = np.zeros(gains.shape, bool)
    chosen[linear_sum_assignment(gains, maximize=True)] = True
    # cells that are no pair, with no gain, may be chosen, too; they are not looked at
    taken[contested] = chosen[rows, columns]
    return np.flatnonzero(taken)


def _occurs_again(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which entries have an equal one elsewhere."""
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return counts[inverse] > 1
