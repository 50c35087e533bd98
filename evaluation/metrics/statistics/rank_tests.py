"""Compares two models on the same patients: the paper's unpaired test, the paired one, effect size, Holm correction."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_LARGEST_EXACT = 200


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
    """Two-sided p of Wilcoxon's signed-rank test of paired values, with Pratt's ranks.

    Pratt (1959): pairs without a difference are ranked with the others, then have no sign. Exact up to 200 pairs, ties
    or not: of all ways to give the ranks their signs, the share that is as far from balance; normal with more. 1 where
    no pair differs, NaN without pairs.
    """
    signed = _signed_ranks(a, b)
    if not len(signed):
        return np.nan
    total, ranks = abs(signed.sum()), np.abs(signed[signed != 0])
    if len(signed) > _LARGEST_EXACT:
        return float(2 * stats.norm.sf(total / np.sqrt((ranks**2).sum()))) if len(ranks) else 1.0
    # twice a midrank is whole: place i holds the probability that the positive ones add up to i / 2
    doubled = np.rint(2 * ranks).astype(int)
    probability = np.zeros(doubled.sum() + 1)
    probability[0] = 1
    for rank in doubled:
        moved = np.zeros_like(probability)
        moved[rank:] = probability[: len(probability) - rank]
        probability = (probability + moved) / 2
    # positive less negative ranks, doubled, of each place; from the middle at least as far as observed
    balance = np.abs(2 * np.arange(len(probability)) - doubled.sum())
    return float(min(1, probability[balance >= np.rint(2 * total)].sum()))


def rank_biserial(a: NDArray, b: NDArray) -> float:
    """Effect size of paired values, -1 to 1: the share of rank sum where a is higher less that where b is (Kerby 2014).

    The ranks are those of ``signed_rank``, so that pairs without a difference draw it towards 0: theirs is the share of
    rank sum that neither has. No difference in any pair: 0. No pair: NaN.
    """
    signed = _signed_ranks(a, b)
    return float(signed.sum() / (len(signed) * (len(signed) + 1) / 2)) if len(signed) else np.nan


def _signed_ranks(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Of every pair the rank of its difference among all, with the sign of the difference; 0 without one."""
    difference = np.asarray(a, float) - np.asarray(b, float)
    # what subtraction leaves of equal differences must not rank them
    size = np.round(np.abs(difference), 12)
    return np.where(size > 0, stats.rankdata(size) * np.sign(difference), 0)


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Holm's adjusted p values of one family of tests (Holm 1979); a NaN is no member of the family and stays."""
    p = np.asarray(p_values, float)
    adjusted = np.full_like(p, np.nan)
    members = np.flatnonzero(~np.isnan(p))
    order = members[np.argsort(p[members], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * p[order]))
    return adjusted
