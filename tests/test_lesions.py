"""Lesions found and false alarms, counted by hand and against cc3d."""

import cc3d
import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import arrays

from evaluation.lesions import Detection, detect


def mask(*voxels: tuple[int, int, int]) -> np.ndarray:
    volume = np.zeros((5, 6, 7), bool)
    for voxel in voxels:
        volume[voxel] = True
    return volume


def test_voxels_that_touch_at_a_corner_are_one_lesion():
    touching, apart = mask((0, 0, 0), (1, 1, 1)), mask((0, 0, 0), (2, 2, 2))
    assert detect(touching, mask()) == Detection(n_lesions=1, n_found=0, false_positives=0)
    assert detect(apart, mask()) == Detection(n_lesions=2, n_found=0, false_positives=0)


def test_one_prediction_over_two_lesions_finds_both():
    reference, predicted = mask((0, 0, 0), (0, 0, 2)), mask((0, 0, 0), (0, 0, 1), (0, 0, 2))
    assert detect(reference, predicted) == Detection(n_lesions=2, n_found=2, false_positives=0)


def test_two_predictions_on_one_lesion_are_no_false_alarms():
    reference, predicted = mask((0, 0, 0), (0, 0, 1), (0, 0, 2)), mask((0, 0, 0), (0, 0, 2))
    assert detect(reference, predicted) == Detection(n_lesions=1, n_found=1, false_positives=0)


def test_a_prediction_beside_every_lesion_is_a_false_alarm():
    assert detect(mask((0, 0, 0)), mask((0, 0, 1), (4, 4, 4))) == Detection(1, 0, 2)


@given(arrays(bool, (3, 4, 5)), arrays(bool, (3, 4, 5)))
def test_it_agrees_with_cc3d_object_by_object(reference, predicted):
    lesions, n_lesions = cc3d.connected_components(reference, connectivity=26, return_N=True)
    objects, n_objects = cc3d.connected_components(predicted, connectivity=26, return_N=True)
    found = sum(predicted[lesions == i].any() for i in range(1, n_lesions + 1))
    false = sum(not reference[objects == i].any() for i in range(1, n_objects + 1))
    assert detect(reference, predicted) == Detection(n_lesions, found, false)
