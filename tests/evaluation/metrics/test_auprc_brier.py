"""Average precision and Brier score, counted by hand and against scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, brier_score_loss

from evaluation.metrics.voxel.roc import roc
from evaluation.metrics.voxel.voxels import brier, overlap

TIED = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]) | st.floats(0, 1, width=32)
SHAPE = (2, 3, 7)
PROBABILITIES = arrays(np.float32, SHAPE, elements=TIED.map(np.float32))


def auprc(lesion: list[float], background: list[float]) -> float:
    reference = np.array([True] * len(lesion) + [False] * len(background))
    return roc(reference, np.array(lesion + background, np.float32)).auprc


def test_precision_is_weighted_with_the_rise_of_recall():
    # down to .8: 1 of 1; down to .4, with the tie: 2 of 4 (.5 and .4 are background); half of the recall each
    assert auprc([0.8, 0.4], [0.2, 0.4, 0.5]) == pytest.approx(0.5 * 1 + 0.5 * 2 / 4, abs=1e-15)


def test_one_value_everywhere_gives_the_share_of_lesion_voxels():
    assert auprc([0.3], [0.3, 0.3, 0.3]) == pytest.approx(1 / 4)


def test_without_lesion_voxels_it_is_undefined_and_without_background_perfect():
    assert math.isnan(auprc([], [0.1]))
    assert auprc([0.1, 0.2], []) == 1


@given(arrays(bool, SHAPE), PROBABILITIES)
def test_it_agrees_with_scikit_learn_with_ties(reference, probability):
    if reference.any():
        expected = average_precision_score(reference.ravel(), probability.ravel())
        assert roc(reference, probability).auprc == pytest.approx(expected, abs=1e-12)


def test_the_brier_score_is_the_mean_squared_error():
    reference = np.array([[[True, True, False, False]]])
    probability = np.array([[[0.5, 1, 0.5, 0]]])
    assert brier(reference, probability) == (0.25 + 0.25) / 4
    inside = np.array([[[True, False, False, True]]])
    assert brier(reference, probability, inside) == 0.25 / 2
    assert math.isnan(brier(reference, probability, np.zeros_like(inside)))


def test_volumes_of_different_shapes_are_refused():
    reference = np.ones((2, 2, 2), bool)
    with pytest.raises(ValueError, match="shape"):
        brier(reference, np.ones((2, 2, 3)))
    with pytest.raises(ValueError, match="shape"):
        brier(reference, np.ones((2, 2, 2)), np.ones((2, 1, 2), bool))


@given(arrays(bool, SHAPE), PROBABILITIES, arrays(bool, SHAPE))
def test_the_brier_score_agrees_with_scikit_learn(reference, probability, mask):
    if mask.any():
        expected = brier_score_loss(reference[mask], probability[mask].astype(float))
        assert brier(reference, probability, mask) == pytest.approx(expected, abs=1e-12)


def test_the_union_counts_common_voxels_once():
    a, b = np.array([1, 1, 1, 0, 0], bool), np.array([0, 0, 1, 1, 0], bool)
    assert overlap(a, b).iou == 1 / 4
    assert overlap(a, np.zeros(5, bool)).iou == 0
    assert math.isnan(overlap(np.zeros(5, bool), np.zeros(5, bool)).iou)


@given(arrays(bool, 40), arrays(bool, 40))
def test_iou_and_dice_say_the_same(a, b):
    agreement = overlap(a, b)
    assert agreement.iou == pytest.approx(agreement.dice / (2 - agreement.dice), nan_ok=True)
