"""Computes the share of lesions found with an interval that takes the lesions of one patient as alike.

Lesions of one patient are found or missed together more often than those of different patients. The model is the
beta-binomial: every patient has a probability of its own, with mean p and, between two lesions of one patient, the
correlation rho. The interval holds the middle 95 % of the posterior of p, with Jeffreys' prior for p and any rho
between 0 and 1 equally likely; rho is integrated out, since few patients do not determine it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics.statistics.intervals import CONFIDENCE

_N_MEANS, _N_CORRELATIONS = 300, 24


def clustered_proportion(
    n_found: Sequence[float] | NDArray, n_lesions: Sequence[float] | NDArray
) -> tuple[float, float, float]:
    """The share of all lesions that is found, and its 95 % interval; one value per patient in each argument.

    Patients without lesions do not count. Where none or all are found the interval ends at 0 or 1, as the estimate,
    and keeps its width. NaN without lesions. The counts may be means of several trainings.
    """
    found, lesions = np.asarray(n_found, float), np.asarray(n_lesions, float)
    if not lesions.sum() > 0:
        return np.nan, np.nan, np.nan
    # for Jeffreys' prior all arcsines of the square root are equally likely: the grid is even in them
    ends = np.linspace(0, np.pi / 2, _N_MEANS + 1)
    weights = _likelihood(found, lesions, np.sin((ends[1:] + ends[:-1]) / 2) ** 2)
    below = np.concatenate([[0], np.cumsum(weights)]) / weights.sum()
    low, high = np.sin(np.interp([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], below, ends)) ** 2
    share = float(found.sum() / lesions.sum())
    return share, float(low) if share > 0 else 0.0, float(high) if share < 1 else 1.0


def _likelihood(found: NDArray, lesions: NDArray, means: NDArray[np.float64]) -> NDArray[np.float64]:
    """(means,): up to a factor, the probability of what was found, averaged over the correlations."""
    # loading it takes longer than all the rest
    from scipy.special import betaln

    patients, n = np.unique(np.stack([found, lesions], axis=1), axis=0, return_counts=True)
    correlation = (np.arange(_N_CORRELATIONS) + 0.5) / _N_CORRELATIONS
    size = (1 - correlation) / correlation
    a, b = means[:, None] * size, (1 - means[:, None]) * size  # (means, correlations)
    logarithm = np.zeros_like(a)
    for (k, m), times in zip(patients, n, strict=True):
        logarithm += times * (betaln(k + a, m - k + b) - betaln(a, b))
    return np.exp(logarithm - logarithm.max()).sum(axis=1)
