"""Averages with their intervals, and tests of two models; undefined values (NaN) are left out and counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

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
    interval = stats.bootstrap(
        (defined,),
        np.mean,
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return Average(
        mean=float(defined.mean()),
        sd=float(defined.std(ddof=1)),
        ci_low=float(interval.low),
        ci_high=float(interval.high),
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
    half = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * curves.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)


def proportion(n_found: int, n: int) -> tuple[float, float, float]:
    """A share and its 95 % Wilson interval; NaN where n is 0."""
    if not n:
        return np.nan, np.nan, np.nan
    interval = stats.binomtest(n_found, n).proportion_ci(CONFIDENCE, method="wilson")
    return n_found / n, float(interval.low), float(interval.high)


def rank_sum(a: NDArray, b: NDArray) -> float:
    """Two-sided p of Wilcoxon's rank sum test by the rules of MATLAB's ``ranksum``, which the paper's authors use.

    Exact, over all arrangements of the (mid-)ranks, if the smaller sample has fewer than 10 values and both have fewer
    than 20; otherwise normal, corrected for ties and continuity. The samples are taken as independent. NaN where
    one of them is empty.
    """
    if not len(a) or not len(b):
        return np.nan
    if min(len(a), len(b)) >= 10 or len(a) + len(b) >= 20:
        if np.ptp(np.concatenate([a, b])) == 0:
            return 1.0
        return float(stats.mannwhitneyu(a, b, method="asymptotic", use_continuity=True).pvalue)
    ranks = stats.rankdata(np.concatenate([a, b]))
    sums = ranks[list(combinations(range(len(ranks)), len(a)))].sum(axis=1)
    own = ranks[: len(a)].sum()
    return float(min(1, 2 * min((sums <= own).mean(), (sums >= own).mean())))


def signed_rank(a: NDArray, b: NDArray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test of paired values; pairs without a difference are left out.

    Exact up to 50 pairs without ties or up to 13 with; otherwise normal. 1 where no pair differs, NaN without pairs.
    """
    difference = np.asarray(a, float) - np.asarray(b, float)
    if not len(difference):
        return np.nan
    difference = difference[difference != 0]
    return float(stats.wilcoxon(difference).pvalue) if len(difference) else 1.0


def rank_biserial(a: NDArray, b: NDArray) -> float:
    """Effect size of paired values, -1 to 1: the share of rank sum where a is higher less that where b is (Kerby 2014).

    No difference in any pair: 0. No pair: NaN.
    """
    difference = np.asarray(a, float) - np.asarray(b, float)
    if not len(difference):
        return np.nan
    difference = difference[difference != 0]
    ranks = stats.rankdata(np.abs(difference))
    return float((ranks * np.sign(difference)).sum() / ranks.sum()) if len(difference) else 0.0


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Holm's adjusted p values of one family of tests (Holm 1979); a NaN is no member of the family and stays."""
    p = np.asarray(p_values, float)
    adjusted = np.full_like(p, np.nan)
    members = np.flatnonzero(~np.isnan(p))
    order = members[np.argsort(p[members], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * p[order]))
    return adjusted
