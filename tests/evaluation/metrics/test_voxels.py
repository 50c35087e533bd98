"""Dice, precision, recall and ROC, counted by hand and against scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score, roc_curve

from evaluation.metrics.voxel.ranks import background_counts
from evaluation.metrics.voxel.roc import Roc, roc
from evaluation.metrics.voxel.voxels import overlap

COARSE = st.sampled_from([0.0, 1e-30, 0.1, 0.25, np.nextafter(np.float32(0.25), 1, dtype=np.float32), 0.5, 0.9, 1.0])
SMALL = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        arrays(bool, n),
        st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
            lambda kind: arrays(np.float64, n, elements=COARSE | st.floats(0, 1)).map(lambda a: a.astype(kind))
        ),
    )
)


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


def curve(lesion: list[float], background: list[float]) -> Roc:
    reference = np.array([True] * len(lesion) + [False] * len(background))
    return roc(reference, np.array(lesion + background, np.float32))


def test_area_of_two_lesion_voxels_among_three_others():
    # .8 beats all three, .4 beats .2, ties with .4, loses to .5: (3 + 1.5) of 6 pairs
    assert curve([0.8, 0.4], [0.2, 0.4, 0.5]).auc == pytest.approx(4.5 / 6, abs=1e-15)


def test_the_area_of_one_class_is_undefined():
    assert math.isnan(curve([], [0.1]).auc)
    assert math.isnan(curve([0.1], []).auc)
    assert all(map(math.isnan, curve([], [0.1]).youden()))


def test_youden_is_the_highest_of_equally_good_thresholds():
    # at .9: 1/2 - 0; at .5: 2/2 - 1/2 = the same; the higher one counts
    assert curve([0.9, 0.5], [0.6, 0.1]).youden() == (pytest.approx(0.9), 0.5)


def test_sensitivity_between_the_corners_lies_on_a_straight_line_and_at_a_step_on_top():
    # corners: (0, 0), (0, .5) at .8, then the tie at .4: (1/4, .5) to (3/4, 1), (1, 1)
    rising = curve([0.8, 0.4], [0.6, 0.4, 0.4, 0.1])
    assert rising.sensitivity_at(np.array([0, 0.25, 0.5, 0.75, 1])).tolist() == pytest.approx([0.5, 0.5, 0.75, 1, 1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(ValueError, match="negative, infinite or not a number"):
        curve([0.5], [bad, 0.2])


def test_minus_zero_is_zero():
    assert curve([0.5, -0.0], [0.0]).auc == 0.75


@given(SMALL)
def test_the_curve_agrees_with_scikit_learn(volume):
    reference, probability = volume
    ours = roc(reference, probability)
    if reference.all() or not reference.any():
        assert math.isnan(ours.auc)
        return
    assert ours.auc == pytest.approx(roc_auc_score(reference, probability), abs=1e-12)
    fpr, tpr, thresholds = roc_curve(reference, probability, drop_intermediate=False)
    best = np.flatnonzero(np.isclose(tpr - fpr, (tpr - fpr).max(), rtol=0, atol=1e-12))
    value, index = ours.youden()
    if index > 0:
        assert value == float(thresholds[best[0]])
        assert index == pytest.approx((tpr - fpr).max(), abs=1e-12)
    for rate in np.unique(fpr):
        assert ours.sensitivity_at(np.array([rate]))[0] == pytest.approx(tpr[fpr == rate].max(), abs=1e-12)


@given(st.lists(SMALL, min_size=1, max_size=4))
def test_the_pooled_curve_of_patients_is_that_of_all_their_voxels(patients):
    reference, probability = (np.concatenate([np.asarray(p[i], float) for p in patients]) for i in (0, 1))
    pooled = roc(reference > 0, probability)
    counts = [background_counts(p[r], p, pooled.values, n_voxels=p.size) for r, p in patients]
    assert np.sum([above for above, _ in counts], axis=0).tolist() == pooled.background_above.tolist()
    assert np.sum([at for _, at in counts], axis=0).tolist() == pooled.background_from.tolist()
