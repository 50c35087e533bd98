"""Dice, precision and recall, counted by hand and against scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, precision_score, recall_score

from evaluation.voxels import overlap


def mask(*voxels: int) -> np.ndarray:
    return np.isin(np.arange(12), voxels).reshape(2, 2, 3)


def test_two_of_three_found_with_one_false():
    agreement = overlap(mask(0, 1, 2), mask(1, 2, 3))
    assert (agreement.dice, agreement.precision, agreement.recall) == pytest.approx((2 / 3, 2 / 3, 2 / 3))


def test_one_empty_side_is_dice_zero_and_both_empty_is_undefined():
    missed, invented, nothing = overlap(mask(0), mask()), overlap(mask(), mask(0)), overlap(mask(), mask())
    assert (missed.dice, missed.recall, invented.dice, invented.precision) == (0, 0, 0, 0)
    assert all(map(math.isnan, (missed.precision, invented.recall, nothing.dice, nothing.precision, nothing.recall)))


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(12,\), the prediction \(2, 2, 3\)"):
        overlap(mask().ravel(), mask())


@given(arrays(bool, 40), arrays(bool, 40))
def test_it_agrees_with_scikit_learn_and_swapping_exchanges_precision_and_recall(reference, predicted):
    ours, swapped = overlap(reference, predicted), overlap(predicted, reference)
    theirs = [f(reference, predicted, zero_division=np.nan) for f in (f1_score, precision_score, recall_score)]
    assert [ours.dice, ours.precision, ours.recall] == pytest.approx(theirs, nan_ok=True)
    assert (ours.precision, ours.recall) == pytest.approx((swapped.recall, swapped.precision), nan_ok=True)
