"""Compares two models on the same patients: the paper's unpaired test, the paired one, effect size, Holm correction."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats


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
