"""Averages, intervals and tests: textbook values, a slow second version, and what must not change."""

from collections import Counter
from itertools import combinations, product
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluation.metrics.statistics.intervals import average, band, expanded_percentiles, p_of_mean_above_0, proportion
from evaluation.metrics.statistics.rank_tests import holm, rank_biserial, rank_sum, signed_rank

VALUES = st.sampled_from([0.0, 0.5, 1.0, 2.5]) | st.floats(-5, 5, allow_nan=False)
SAMPLE = st.lists(VALUES, min_size=1, max_size=9)
PAIRS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=30)


def test_mean_and_spread_of_the_defined_values():
    four = average([1, 2, np.nan, 3, 6])
    assert (four.mean, four.sd, four.n, four.n_undefined) == (3, pytest.approx(np.sqrt(14 / 3)), 4, 1)
    assert four.ci_low < 3 < four.ci_high


def test_one_value_has_no_spread_and_none_has_no_mean():
    one, none = average([2.0]), average([np.nan])
    assert (one.mean, one.n) == (2, 1)
    assert all(map(isnan, (one.sd, one.ci_low, none.mean, none.sd, none.ci_high)))
    assert (none.n, none.n_undefined) == (0, 1)


def test_the_interval_of_symmetric_values_is_students():
    # sd 1, t(2) = 4.30265, over the root of 3
    three = average([1, 2, 3])
    assert (three.ci_low, three.ci_high) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-6)


def test_the_interval_of_skewed_values_is_longer_on_their_side():
    """0, 0, 2, 4: mean 1.5, standard error 0.957427, t(3) = 3.182446, skewness 2.25/2.75^1.5, g = 0.246690.

    Hall at -t: 3/g ((1 + g (-t - g/6))^(1/3) - 1) = 12.16101 (cbrt(1 - 0.785078 - 0.010143) - 1) = -4.9926.
    """
    four = average([0, 0, 2, 4])
    assert (four.ci_low, four.ci_high) == pytest.approx((1.5 - 3.182446 * 0.957427, 1.5 + 4.9926 * 0.957427), abs=1e-3)
    turned = average([0, 0, -2, -4])
    assert (turned.ci_low, turned.ci_high) == pytest.approx((-four.ci_high, -four.ci_low))


def test_it_reaches_at_most_twice_as_far_as_students():
    """0, 0, 0, 4: mean and standard error 1; Hall's would reach 10.2 above, and 2 t(3) is 6.364893."""
    outlier = average([0, 0, 0, 4])
    assert (outlier.ci_low, outlier.ci_high) == pytest.approx((1 - 3.182446, 1 + 6.364893), abs=1e-4)
    turned = average([0, 0, 0, -4])
    assert (turned.ci_low, turned.ci_high) == pytest.approx((-outlier.ci_high, -outlier.ci_low))


@given(st.lists(st.floats(-5, 5, allow_nan=False), min_size=2, max_size=20))
def test_the_interval_holds_that_of_students_t_of_scipy(values):
    if np.ptp(values) > 1e-6:
        theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        ours = average(values)
        assert ours.ci_low <= theirs.low + 1e-9
        assert ours.ci_high >= theirs.high - 1e-9


def test_the_interval_ends_at_the_range_of_the_metric():
    skewed = average([0, 0, 0, 4], values_between=(0, 5))
    assert (skewed.ci_low, skewed.ci_high) == (0, 5)


@pytest.mark.parametrize("draw", ["random", "standard_exponential"])
def test_the_interval_covers_the_mean_about_as_often_as_it_says(draw):
    rng = np.random.default_rng(0)
    truth = {"random": 0.5, "standard_exponential": 1}[draw]
    hits = [a.ci_low <= truth <= a.ci_high for a in (average(getattr(rng, draw)(10)) for _ in range(400))]
    assert 0.93 <= np.mean(hits) <= 0.99


@given(st.lists(st.sampled_from([0.0, 1, 2, 7]) | st.floats(-5, 5, allow_nan=False), min_size=2, max_size=20))
def test_one_sided_p_is_where_the_interval_ends(values):
    values = np.array(values)
    mean = average(values)
    if np.ptp(values) > 1e-3:
        assert p_of_mean_above_0(values - mean.ci_low) == pytest.approx(0.025, abs=1e-6)
        assert p_of_mean_above_0(mean.ci_high - values) == pytest.approx(0.025, abs=1e-6)


def test_one_sided_p_of_symmetric_values_is_students():
    values = np.array([-1.0, 0, 1, 2, 3])
    assert p_of_mean_above_0(values) == pytest.approx(stats.ttest_1samp(values, 0, alternative="greater").pvalue)
    assert [p_of_mean_above_0(np.array(v)) for v in ([1.0, 1], [0.0, 0])] == [0, 1]
    assert isnan(p_of_mean_above_0(np.array([1.0])))


@pytest.mark.parametrize(("n", "low"), [(2, 0), (10, 0.00854), (60, 0.0218)])
def test_bootstrap_ends_are_as_far_out_as_t_over_the_spread_of_resamples(n, low):
    """n = 10: t 2.262157 by sqrt(10/9) is 2.384530 standard deviations; below lie .00855 of a normal curve."""
    assert expanded_percentiles(n) == pytest.approx((low, 1 - low), abs=1e-4)


def test_equal_values_have_an_interval_of_no_width():
    same = average([0.3] * 5)
    assert (same.ci_low, same.ci_high) == (pytest.approx(0.3), pytest.approx(0.3))


def test_the_band_is_the_t_interval_of_every_point_and_stays_within_0_and_1():
    curves = np.array([[0.0, 0.4, 1.0], [1.0, 0.5, 1.0], [0.5, 0.6, 1.0]])
    mean, low, high = band(curves)
    # t(2) = 4.30265, sd .1, n 3
    assert mean.tolist() == pytest.approx([0.5, 0.5, 1])
    assert (low[1], high[1]) == (pytest.approx(0.5 - 0.248414, abs=1e-6), pytest.approx(0.5 + 0.248414, abs=1e-6))
    assert (low[0], high[0], low[2], high[2]) == (0, 1, 1, 1)
    assert np.isnan(band(curves[:1])[1]).all()


def test_a_share_has_wilsons_interval():
    # textbook: 8 of 10 -> .490 to .943
    assert proportion(8, 10) == (0.8, pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert all(map(isnan, proportion(0, 0)))


@given(st.integers(0, 30), st.integers(1, 30))
def test_every_share_agrees_with_scipy(n_found, n):
    n_found = min(n_found, n)
    theirs = stats.binomtest(n_found, n).proportion_ci(0.95, method="wilson")
    assert proportion(n_found, n) == pytest.approx((n_found / n, theirs.low, theirs.high), abs=1e-12)


def test_rank_sum_of_small_samples_is_exact():
    # 1, 2, 3 below 4, 5: one arrangement of ten on each side
    assert rank_sum(np.array([1, 2, 3]), np.array([4, 5])) == pytest.approx(2 / 10)


def test_rank_sum_of_large_samples_is_normal_with_both_corrections():
    a, b = np.arange(10.0), np.arange(10.0) + 3
    ranks = stats.rankdata(np.concatenate([a, b]))
    ties = sum(n**3 - n for n in np.unique(ranks, return_counts=True)[1])
    variance = 10 * 10 / 12 * (21 - ties / (20 * 19))
    z = (abs(ranks[:10].sum() - 105) - 0.5) / np.sqrt(variance)
    assert rank_sum(a, b) == pytest.approx(2 * stats.norm.sf(z))


@pytest.mark.parametrize(("n_a", "n_b", "exact"), [(9, 10, True), (3, 16, True), (10, 10, False), (3, 17, False)])
def test_which_rank_sum_is_exact_goes_by_matlabs_rule(n_a, n_b, exact):
    rng = np.random.default_rng(n_a + n_b)
    a, b = rng.random(n_a), rng.random(n_b) + 0.2
    method = "exact" if exact else "asymptotic"
    assert rank_sum(a, b) == pytest.approx(stats.mannwhitneyu(a, b, method=method).pvalue)


@given(SAMPLE, st.lists(VALUES, min_size=1, max_size=6))
def test_exact_rank_sum_without_ties_agrees_with_scipy_and_with_ties_with_all_arrangements(a, b):
    p = rank_sum(np.array(a), np.array(b))
    if len(set(a + b)) == len(a + b):
        assert p == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue)
    doubled = 2 * stats.rankdata(a + b)
    sums = Counter(sum(chosen) for chosen in combinations(doubled.tolist(), len(a)))
    own = sum(doubled[: len(a)])
    tails = [sum(n for s, n in sums.items() if (s <= own if low else s >= own)) for low in (True, False)]
    assert p == pytest.approx(min(1, 2 * min(tails) / sums.total()))


def test_signed_rank_of_six_pairs_in_one_direction():
    assert signed_rank(np.arange(1, 7), np.zeros(6)) == pytest.approx(2 / 2**6)


def test_pairs_without_a_difference_have_ranks_and_no_sign():
    """Differences 0, 0, 1, -1, 2, 2: ranks 1.5, 1.5, 3.5, -3.5, 5.5, 5.5, of 21.

    The sum of signed ranks is 11; of the 16 ways to sign four ranks, 18 and 11 with both signs are as far from 0: of
    3.5, 3.5, 5.5, 5.5 all alike (18), or one of the smaller turned (11): 2 (1 + 2) of 16.
    """
    a, b = np.array([5, 5, 1, 0, 2, 2.0]), np.array([5, 5, 0, 1, 0, 0.0])
    assert signed_rank(a, b) == pytest.approx(6 / 16)
    assert rank_biserial(a, b) == pytest.approx(11 / 21)


def test_one_difference_among_ten_pairs_is_a_small_effect():
    """Nine pairs without one share the ranks 1 to 9, the tenth rank is 10 of 55. Left out, they would make it 1."""
    assert rank_biserial(np.array([1.0] + 9 * [0]), np.zeros(10)) == pytest.approx(10 / 55)


def test_equal_differences_that_rounding_parts_share_a_rank():
    """0.3 - 0.2 and 0.2 - 0.1 differ in the last digit."""
    a, b = np.array([0.3, 0.1]), np.array([0.2, 0.2])
    assert (signed_rank(a, b), rank_biserial(a, b)) == (1, 0)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_signed_rank_with_ties_agrees_with_all_signs_one_by_one(differences):
    d = np.array(differences, float)
    ranks = stats.rankdata(np.abs(d))[d != 0]
    own = abs((ranks * np.sign(d[d != 0])).sum())
    sums = [abs(np.dot(signs, ranks)) for signs in product((-1, 1), repeat=len(ranks))]
    assert signed_rank(d, np.zeros_like(d)) == pytest.approx(np.mean([s >= own - 1e-9 for s in sums]))


@given(st.lists(st.floats(-5, 5, allow_nan=False), min_size=1, max_size=60, unique_by=lambda v: round(abs(v), 9)))
def test_signed_rank_without_ties_agrees_with_scipys_exact_one(differences):
    d = np.array([v for v in differences if abs(v) > 1e-8] or [1.0])
    assert signed_rank(d, np.zeros_like(d)) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)


def test_more_than_200_pairs_are_tested_by_the_normal_curve():
    d = np.round(np.random.default_rng(0).normal(0.1, 1, 300), 1)
    theirs = stats.wilcoxon(d, zero_method="pratt", method="asymptotic")
    assert signed_rank(d, np.zeros_like(d)) == pytest.approx(theirs.pvalue, abs=1e-6)


@given(st.lists(VALUES, min_size=1, max_size=30))
def test_a_model_against_itself_gives_p_1_and_no_effect(values):
    a = np.array(values)
    assert (rank_sum(a, a), signed_rank(a, a), rank_biserial(a, a)) == (1, 1, 0)


@settings(max_examples=40)
@given(PAIRS)
def test_exchanging_the_models_changes_the_sign_of_the_effect_only(pairs):
    a, b = np.array(pairs).T
    assert rank_sum(a, b) == pytest.approx(rank_sum(b, a))
    assert signed_rank(a, b) == pytest.approx(signed_rank(b, a))
    assert rank_biserial(a, b) == pytest.approx(-rank_biserial(b, a))
    assert 0 <= signed_rank(a, b) <= 1


def test_no_patients_have_no_p_value():
    nobody = np.zeros(0)
    assert all(map(isnan, (rank_sum(nobody, nobody), signed_rank(nobody, nobody), rank_biserial(nobody, nobody))))


def test_the_effect_is_the_difference_of_the_rank_shares():
    # differences 1, -2, 3: ranks 1 and 3 up, 2 down: (4 - 2) / 6
    assert rank_biserial(np.array([1, 0, 3]), np.array([0, 2, 0])) == pytest.approx(1 / 3)


def test_holm_multiplies_by_the_tests_left_and_never_falls():
    assert holm([0.01, 0.04, 0.03, np.nan]).tolist() == pytest.approx([0.03, 0.06, 0.06, np.nan], nan_ok=True)
    assert holm([0.9, 0.8]).tolist() == [1, 1]
