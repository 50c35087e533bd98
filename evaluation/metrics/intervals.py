"""Computes averages and proportions with confidence intervals; undefined values (NaN) are left out and counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
_RESAMPLES = 10_000
_SEED = 20210122


@dataclass(frozen=True)
class Average:
    """Mean and standard deviation (n-1) over the n patients in whom a metric is defined, and a bootstrap interval.

    NaN where there are too few patients: none for the mean, one for the others.
    """

    mean: float
    sd: float
    ci_low: float
    ci_high: float
    n: int
    n_undefined: int


def average(values: Sequence[float] | NDArray) -> Average:
    """Over patients; the interval is the 95 % percentile bootstrap of the mean, 10,000 resamples, a fixed seed."""
    given = np.asarray(values, float)
    defined = given[~np.isnan(given)]
    n, n_undefined = len(defined), len(given) - len(defined)
    if n < 2:
        return Average(float(defined.mean()) if n else np.nan, np.nan, np.nan, np.nan, n, n_undefined)
    resampled = np.random.default_rng(_SEED).choice(defined, (_RESAMPLES, n)).mean(axis=1)
    ci_low, ci_high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Average(
        mean=float(defined.mean()),
        sd=float(defined.std(ddof=1)),
        ci_low=float(ci_low),
        ci_high=float(ci_high),
        n=n,
        n_undefined=n_undefined,
    )


def band(curves: NDArray[np.float64]) -> tuple[NDArray, NDArray, NDArray]:
    """Mean, lower and upper end of the 95 % band, mean ± t·sd/sqrt(n), of (patients, points); within 0 and 1.

    One patient has no band: NaN.
    """
    n = len(curves)
    mean = curves.mean(axis=0)
    if n < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    # loading it takes longer than all the rest
    from scipy import special

    half = special.stdtrit(n - 1, (1 + CONFIDENCE) / 2) * curves.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)


def proportion(n_found: float, n: float) -> tuple[float, float, float]:
    """A share and its 95 % Wilson interval; NaN where n is 0. The counts may be means of several trainings."""
    if not n:
        return np.nan, np.nan, np.nan
    share, z = n_found / n, NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    centre, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = ((centre + sign * half) / (1 + z**2 / n) for sign in (-1, 1))
    return share, float(max(low, 0)), float(min(high, 1))
