"""Shares of lesions with patients as clusters: counted by hand, against a slow second version, and what must hold."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from evaluation.metrics.statistics.proportions import clustered_proportion

PATIENTS = st.lists(
    st.integers(1, 8).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=12
)


def width(found, lesions) -> float:
    _, low, high = clustered_proportion(found, lesions)
    return high - low


def test_the_share_is_that_of_all_lesions():
    assert clustered_proportion([1, 4], [2, 8])[0] == 0.5
    assert all(map(isnan, clustered_proportion([0, 0], [0, 0])))
    assert all(map(isnan, clustered_proportion([], [])))


def test_one_lesion_per_patient_has_jeffreys_interval():
    """Then no two lesions are of one patient, and rho has no part: Beta(8.5, 2.5), .025 and .975 quantiles."""
    _, low, high = clustered_proportion([1] * 8 + [0] * 2, [1] * 10)
    assert (low, high) == pytest.approx(tuple(stats.beta.ppf([0.025, 0.975], 8.5, 2.5)), abs=2e-4)


def test_it_agrees_with_an_integration_over_both_parameters():
    found, lesions = [3, 0, 2], [3, 2, 4]

    def density(share: float, correlation: float) -> float:
        size = (1 - correlation) / correlation
        of_each = stats.betabinom.pmf(found, lesions, share * size, (1 - share) * size)
        return float(of_each.prod()) * stats.beta.pdf(share, 0.5, 0.5)

    def up_to(end: float) -> float:
        return integrate.dblquad(density, 0, 1, 0, end, epsabs=1e-7)[0]

    _, low, high = clustered_proportion(found, lesions)
    whole = up_to(1)
    assert (up_to(low) / whole, up_to(high) / whole) == pytest.approx((0.025, 0.975), abs=2e-3)


def test_all_found_in_ten_patients_is_no_certainty():
    share, low, high = clustered_proportion([2] * 10, [2] * 10)
    assert (share, high) == (1, 1)
    # were the patients the draws, the rule of three would say .7
    assert 0.7 < low < 0.9
    assert clustered_proportion([0] * 10, [2] * 10)[1] == 0


def test_lesions_that_are_alike_within_patients_say_less():
    alike = width([6, 6, 0, 0, 6, 0], [6] * 6)
    apart = width([3] * 6, [6] * 6)
    assert alike > 1.3 * apart


@settings(max_examples=40)
@given(PATIENTS)
def test_missed_for_found_turns_the_interval_and_patients_without_lesions_change_nothing(patients):
    found, lesions = np.array(patients).T
    share, low, high = clustered_proportion(found, lesions)
    turned = clustered_proportion(lesions - found, lesions)
    assert turned == pytest.approx((1 - share, 1 - high, 1 - low), abs=1e-9)
    assert clustered_proportion([*found, 0], [*lesions, 0]) == pytest.approx((share, low, high))
    assert 0 <= low <= share <= high <= 1
    assert high > low
