"""Computes averages and proportions with confidence intervals; undefined values (NaN) are left out and counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
FARTHEST = 2
"""How many times as far as Student's interval that of a mean may reach: one outlier among ten values says little of
the skewness, and without a bound the interval of nine good patients and a bad one would reach down to the bad one."""


@dataclass(frozen=True)
class Average:
    """Mean and standard deviation (n-1) over the n patients in whom a metric is defined, and the mean's 95 % interval.

    NaN where there are too few patients: none for the mean, one for the others.
    """

    mean: float
    sd: float
    ci_low: float
    ci_high: float
    n: int
    n_undefined: int


def average(values: Sequence[float] | NDArray, *, values_between: tuple[float, float] = (-np.inf, np.inf)) -> Average:
    """Over patients; the interval is Student's, longer on the side to which the values are skewed.

    It holds Student's interval and that of Hall (1992), who removes the skewness from t, up to FARTHEST times the
    former; docs/statistics.md has what each covers. values_between: the range of the metric, at which the interval
    ends: the true mean lies within.
    Equal values have an interval without width.
    """
    given = np.asarray(values, float)
    defined = given[~np.isnan(given)]
    n, n_undefined = len(defined), len(given) - len(defined)
    if n < 2:
        return Average(float(defined.mean()) if n else np.nan, np.nan, np.nan, np.nan, n, n_undefined)
    mean, sd = float(defined.mean()), float(defined.std(ddof=1))
    low, high = _reach(defined)
    ci_low, ci_high = np.clip([mean - low * sd / np.sqrt(n), mean + high * sd / np.sqrt(n)], *values_between)
    return Average(mean=mean, sd=sd, ci_low=float(ci_low), ci_high=float(ci_high), n=n, n_undefined=n_undefined)


def p_of_mean_above_0(values: NDArray[np.float64]) -> float:
    """One-sided p of the hypothesis that the true mean is 0 or less, without NaN among the values.

    Below 0.025 where, and only where, the interval of ``average`` lies above 0. NaN with fewer than two values.
    """
    n = len(values)
    if n < 2:
        return np.nan
    if (skewness := _skewness(values)) is None:
        return float(values.mean() <= 0)
    from scipy import special

    t = values.mean() / (values.std(ddof=1) / np.sqrt(n))
    w = t / np.sqrt(n)
    unskewed = np.sqrt(n) * (w + skewness * w**2 / 3 + skewness**2 * w**3 / 27 + skewness / (6 * n))
    return float(special.stdtr(n - 1, -max(min(t, unskewed), t / FARTHEST)))


def _reach(values: NDArray[np.float64]) -> tuple[float, float]:
    """How many standard errors the interval reaches below and above the mean."""
    n, t = len(values), _t(len(values) - 1)
    if (skewness := _skewness(values)) is None:
        return t, t
    below, above = _hall(t, skewness, n), -_hall(-t, skewness, n)
    return min(max(t, below), FARTHEST * t), min(max(t, above), FARTHEST * t)


def _hall(t: float, skewness: float, n: int) -> float:
    """The t statistic of n skewed values that is as likely to be exceeded as Student's ``t`` (Hall 1992, J R Stat Soc B
    54): inverse of √n (w + g w²/3 + g² w³/27 + g/(6n)), where w is t/√n and g the skewness."""
    g = skewness / np.sqrt(n)
    # where g is all but 0 the division loses all digits, and nothing is moved
    return t if abs(g) < 1e-6 else float(3 / g * (np.cbrt(1 + g * (t - g / 6)) - 1))


def _skewness(values: NDArray[np.float64]) -> float | None:
    """None where all values are equal but for what rounding leaves."""
    deviation = values - values.mean()
    spread = np.sqrt((deviation**2).mean())
    return None if spread <= 1e-12 * np.abs(values).max() else float((deviation**3).mean() / spread**3)


def _t(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    # loading it takes longer than all the rest
    from scipy import special

    return float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2))


def band(curves: NDArray[np.float64]) -> tuple[NDArray, NDArray, NDArray]:
    """Mean, lower and upper end of the 95 % band, mean ± t·sd/sqrt(n), of (patients, points); within 0 and 1.

    One patient has no band: NaN.
    """
    n = len(curves)
    mean = curves.mean(axis=0)
    if n < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = _t(n - 1) * curves.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)


def expanded_percentiles(n: int) -> tuple[float, float]:
    """The ends of a 95 % bootstrap interval of n patients, as shares of the resamples (Hesterberg 2015, Am Stat 69).

    Resamples spread by a factor of √((n-1)/n) too little, and take no account of the tails of t: both widen the ends.
    """
    from scipy import special

    low = float(special.ndtr(-_t(n - 1) * np.sqrt(n / (n - 1))))
    return low, 1 - low


def proportion(n_found: float, n: float) -> tuple[float, float, float]:
    """A share of independent draws and its 95 % Wilson interval; NaN where n is 0.

    Lesions are no independent draws: see ``clustered_proportion``.
    """
    if not n:
        return np.nan, np.nan, np.nan
    share, z = n_found / n, NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    centre, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = ((centre + sign * half) / (1 + z**2 / n) for sign in (-1, 1))
    return share, float(max(low, 0)), float(min(high, 1))
