"""The laws that sequence dropout draws by, as probabilities counted by hand."""

from math import inf, nan
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_seqdropout.subsets import Presence, SubsetLaw, subset_probabilities, subsets

PRESENCE = st.lists(st.booleans(), min_size=1, max_size=6).filter(any)


def test_three_present_sequences_have_seven_non_empty_subsets():
    assert len(subsets([True, True, True])) == 7
    assert len(subsets([True, True, False, True])) == 7


def test_a_sequence_that_is_always_kept_is_in_every_subset():
    # the other two are in or out: 2 x 2
    assert subsets([True, True, True], always_keep=[False, True, False]) == [
        (False, True, False),
        (False, True, True),
        (True, True, False),
        (True, True, True),
    ]


def test_an_always_kept_sequence_that_a_patient_lacks_stays_absent():
    assert subsets([True, False], always_keep=[False, True]) == [(True, False)]


def test_uniform_subsets_are_equally_probable():
    assert set(subset_probabilities([True, True, True]).values()) == {1 / 7}


def test_independent_dropout_is_conditioned_on_something_being_left():
    # p = 1/4, two sequences: both 9/16, one of them 3/16 each, none 1/16 is excluded: divide by 15/16
    drawn = subset_probabilities([True, True], law="independent", drop_probability=0.25)
    assert drawn == pytest.approx({(True, True): 9 / 15, (True, False): 3 / 15, (False, True): 3 / 15})


def test_independent_dropout_leaves_the_kept_one_out_of_the_bargain():
    drawn = subset_probabilities([True, True], law="independent", drop_probability=0.25, always_keep=[True, False])
    assert drawn == pytest.approx({(True, True): 3 / 4, (True, False): 1 / 4})


def test_uniform_number_draws_first_how_many():
    # three sequences: 0, 1 or 2 dropped, a third each; 1 and 2 each have three ways
    drawn = subset_probabilities([True, True, True], law="uniform_number")
    assert drawn[True, True, True] == pytest.approx(1 / 3)
    assert sorted(drawn.values())[:6] == pytest.approx([1 / 9] * 6)


def test_weights_are_shared_out_and_a_subset_without_one_weighs_one():
    # three sequences, seven subsets: weights 4, 0 and five times 1, together 9
    drawn = subset_probabilities([True] * 3, law="weights", weights={(True,) * 3: 4, (True, False, False): 0})
    assert len(drawn) == 7
    assert drawn[True, True, True] == pytest.approx(4 / 9)
    assert drawn[True, False, False] == 0
    assert sorted(drawn.values())[1:6] == pytest.approx([1 / 9] * 5)


def test_without_weights_the_subsets_weigh_alike():
    nothing: dict[Presence, float] = {}
    for weights in (None, nothing):
        assert set(subset_probabilities([True] * 3, law="weights", weights=weights).values()) == {1 / 7}


def test_weights_go_by_what_a_patient_has():
    # without the first sequence three subsets are left: weights 2, 1 and 1; that of the full set concerns others
    weights: dict[Presence, float] = {(False, True, True): 2, (True, True, True): 9}
    drawn = subset_probabilities([False, True, True], law="weights", weights=weights)
    assert drawn == {(False, True, True): 1 / 2, (False, True, False): 1 / 4, (False, False, True): 1 / 4}


def test_weights_and_kept_sequences_go_together():
    # the first is always there: four subsets, weights 3, 1, 1 and 0; that of a subset without it plays no part
    weights: dict[Presence, float] = {(True, True, True): 3, (True, False, False): 0, (False, True, True): 50}
    drawn = subset_probabilities([True] * 3, law="weights", weights=weights, always_keep=[True, False, False])
    assert drawn == {
        (True, True, True): 3 / 5,
        (True, True, False): 1 / 5,
        (True, False, True): 1 / 5,
        (True, False, False): 0,
    }


def test_whoever_has_impossible_subsets_alone_is_shown_whole():
    weights: dict[Presence, float] = {(True, False, False): 0, (False, True, False): 0, (True, True, False): 0}
    assert subset_probabilities([True, True, False], law="weights", weights=weights) == {(True, True, False): 1}
    # where a kept sequence leaves nothing else
    kept = subset_probabilities([True, True, False], law="weights", weights=weights, always_keep=[True, True, False])
    assert kept == {(True, True, False): 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"present": [False, False]}, "No sequence is present"),
        ({"present": [True], "law": "bernoulli"}, "Unknown subset law 'bernoulli'"),
        ({"present": [True], "drop_probability": 1.0}, "drop_probability is 1.0"),
        ({"present": [True], "drop_probability": -0.01}, "drop_probability is -0.01"),
        ({"present": [True], "weights": {(True,): 2}}, "under the law 'weights', not under 'uniform_subsets'"),
        ({"present": [True], "law": "weights", "weights": {(True,): -1}}, r"\[-1\]: give numbers of at least 0"),
        ({"present": [True], "law": "weights", "weights": {(True,): nan}}, r"\[nan\]: give numbers of at least 0"),
        ({"present": [True], "law": "weights", "weights": {(True,): "2"}}, r"\['2'\]: give numbers of at least 0"),
        ({"present": [True], "law": "weights", "weights": {(True,): inf}}, r"\[inf\]: give numbers of at least 0"),
    ],
)
def test_a_law_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        subset_probabilities(options.pop("present"), **options)


@given(PRESENCE, st.sampled_from(get_args(SubsetLaw)), st.data())
def test_every_law_draws_only_what_is_present_keeps_the_kept_and_sums_to_one(present, law, data):
    keep = data.draw(st.lists(st.booleans(), min_size=len(present), max_size=len(present)))
    probabilities = subset_probabilities(present, law=law, always_keep=keep)
    assert sum(probabilities.values()) == pytest.approx(1)
    for subset in probabilities:
        assert any(subset)
        assert all(p or not s for s, p in zip(subset, present, strict=True))
        assert all(s for s, p, k in zip(subset, present, keep, strict=True) if p and k)
