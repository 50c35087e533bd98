"""Lesions found and false alarms, counted by hand and against cc3d, scipy and a slow second version."""

from itertools import permutations

import cc3d
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from evaluation.metrics.lesion.lesions import Detection, detect, find_objects

BOOLS = arrays(bool, (3, 4, 5))


def mask(*voxels: tuple[int, int, int]) -> np.ndarray:
    volume = np.zeros((5, 6, 7), bool)
    for voxel in voxels:
        volume[voxel] = True
    return volume


def detected(reference: np.ndarray, predicted: np.ndarray, *, voxel_mm3: float = 1) -> Detection:
    return detect(find_objects(reference), find_objects(predicted), voxel_mm3=voxel_mm3)


def counts(detection: Detection) -> tuple[int, int, int, int]:
    """Lesions, found, objects, false positives."""
    return detection.n_lesions, detection.n_found(), detection.n_objects, detection.n_false_positives()


def test_voxels_that_touch_at_a_corner_are_one_lesion():
    assert find_objects(mask((0, 0, 0), (1, 1, 1))).count == 1
    assert find_objects(mask((0, 0, 0), (2, 2, 2))).count == 2


def test_objects_at_the_border_of_the_volume_do_not_touch_across_it():
    assert find_objects(mask((0, 0, 0), (0, 0, 6), (4, 5, 6))).count == 3


def test_one_prediction_over_two_lesions_finds_both():
    reference, predicted = mask((0, 0, 0), (0, 0, 2)), mask((0, 0, 0), (0, 0, 1), (0, 0, 2))
    assert counts(detected(reference, predicted)) == (2, 2, 1, 0)


def test_two_predictions_on_one_lesion_are_no_false_alarms():
    reference, predicted = mask((0, 0, 0), (0, 0, 1), (0, 0, 2)), mask((0, 0, 0), (0, 0, 2))
    assert counts(detected(reference, predicted)) == (1, 1, 2, 0)


def test_a_prediction_beside_every_lesion_is_a_false_alarm():
    assert counts(detected(mask((0, 0, 0)), mask((0, 0, 1), (4, 4, 4)))) == (1, 0, 2, 2)


def test_a_limit_counts_whole_objects_and_includes_its_own_volume():
    # objects of 1 and of 2 voxels of 5 mm3 each, both false; and one of 1 voxel that finds the lesion
    reference, predicted = mask((4, 5, 6)), mask((0, 0, 0), (2, 2, 2), (2, 2, 3), (4, 5, 6))
    detection = detected(reference, predicted, voxel_mm3=5)
    assert [detection.n_false_positives(limit) for limit in (0, 5, 5.1, 10, 10.1)] == [2, 2, 1, 1, 0]
    assert [detection.n_found(limit) for limit in (0, 5, 5.1)] == [1, 1, 0]


def test_single_precision_in_a_header_does_not_take_an_object_below_the_limit():
    voxel_mm3 = float(np.float32(0.9) * np.float32(0.9) * np.float32(1.2))
    detection = detected(mask(), mask((0, 0, 0)), voxel_mm3=voxel_mm3)
    assert detection.n_false_positives(0.9 * 0.9 * 1.2) == 1
    assert detection.n_false_positives(0.9 * 0.9 * 1.2 * 1.00001) == 0


def test_one_to_one_matching_prefers_more_pairs_to_more_overlap():
    # object 1 lies on lesion 1 (three voxels) and on lesion 2 (one); object 2 on lesion 1 only (one voxel)
    reference = mask(*[(0, 0, x) for x in range(5)], (2, 0, 2), (2, 0, 3))
    predicted = mask((0, 0, 0), (0, 0, 2), (0, 0, 3), (0, 0, 4), (1, 0, 3), (2, 0, 3))
    detection = detected(reference, predicted)
    assert detection.pairs.tolist() == [[1, 1, 1], [1, 2, 3], [2, 2, 1]]
    assert detection.one_to_one().tolist() == [[1, 1], [2, 2]]


def test_the_central_voxel_lies_in_the_object_even_if_its_centroid_does_not():
    ring = np.zeros((1, 5, 5), bool)
    ring[0, [0, 4], :] = ring[0, :, [0, 4]] = True
    (centre,) = find_objects(ring).central_voxels()
    assert ring[tuple(centre)]


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(5, 6, 7\), the prediction \(3, 4, 5\)"):
        detected(mask(), np.zeros((3, 4, 5), bool))


@given(BOOLS)
def test_objects_agree_with_scipy_voxel_by_voxel(volume):
    labels, n = ndimage.label(volume, np.ones((3, 3, 3)))
    values = np.random.default_rng(0).random(volume.shape)
    objects = find_objects(volume)
    assert objects.count == n
    assert objects.number.tolist() == labels[volume].tolist()
    numbers = range(1, n + 1)
    assert np.allclose(objects.centroids, np.reshape(ndimage.center_of_mass(volume, labels, numbers), (-1, 3)))
    assert objects.maxima(values).tolist() == list(ndimage.maximum(values, labels, numbers))
    assert np.allclose(objects.means(values), ndimage.mean(values, labels, numbers) if n else [])
    assert all(labels[tuple(voxel)] == i for i, voxel in enumerate(objects.central_voxels(), start=1))


@given(BOOLS, BOOLS, st.sampled_from([0, 1, 2, 5, 10]))
def test_it_agrees_with_cc3d_object_by_object(reference, predicted, limit):
    lesions, n_lesions = cc3d.connected_components(reference, connectivity=26, return_N=True)
    objects, n_objects = cc3d.connected_components(predicted, connectivity=26, return_N=True)
    large = [i for i in range(1, n_objects + 1) if (objects == i).sum() * 1.5 >= limit]
    found = sum(np.isin(objects[lesions == i], large).any() for i in range(1, n_lesions + 1))
    false = sum(not reference[objects == i].any() for i in large)
    detection = detected(reference, predicted, voxel_mm3=1.5)
    assert (detection.n_lesions, detection.n_objects) == (n_lesions, n_objects)
    assert (detection.n_found(limit), detection.n_false_positives(limit)) == (found, false)


@given(BOOLS, BOOLS)
def test_one_to_one_is_the_best_of_all_matchings(reference, predicted):
    detection = detected(reference, predicted)
    shared = {(lesion, other): n for lesion, other, n in detection.pairs.tolist()}
    lesions, objects = (sorted({pair[i] for pair in shared}) for i in (0, 1))
    if max(len(lesions), len(objects)) > 5:
        return
    padded = objects + [None] * len(lesions)
    best = max(
        (
            (len(chosen), sum(shared[pair] for pair in chosen))
            for order in set(permutations(padded, len(lesions)))
            for chosen in [[p for p in zip(lesions, order, strict=True) if p in shared]]
        ),
        default=(0, 0),
    )
    ours = [tuple(pair) for pair in detection.one_to_one().tolist()]
    assert (len(ours), sum(shared[pair] for pair in ours)) == best


@given(BOOLS, BOOLS)
def test_flipping_both_changes_no_count(reference, predicted):
    flipped = detected(reference[::-1, :, ::-1], predicted[::-1, :, ::-1])
    assert counts(detected(reference, predicted)) == counts(flipped)
