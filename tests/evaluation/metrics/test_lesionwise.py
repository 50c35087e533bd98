"""Lesion-wise figures: the rule in small, what they say of predictions that mislead others, and a slow version."""

from collections.abc import Iterator, Sequence
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from evaluation.metrics.lesion.lesions import detect, find_objects
from evaluation.metrics.lesion.lesionwise import LesionWise, lesion_wise
from evaluation.metrics.voxel.surfaces import surface_agreement, surface_of
from evaluation.patient import evaluate_patient

SHAPE = (12, 12, 30)
SPARSE = arrays(bool, (3, 5, 9), elements=st.integers(0, 3).map(lambda n: n == 0))
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def boxes(*of: Box, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Each: first and last index along z, y, x."""
    mask = np.zeros(shape, bool)
    for box in of:
        mask[tuple(slice(first, last + 1) for first, last in box)] = True
    return mask


def scored(reference: np.ndarray, predicted: np.ndarray, spacing_mm: Sequence[float] = (1, 1, 1)) -> LesionWise:
    lesions, objects = find_objects(reference), find_objects(predicted)
    detection = detect(lesions, objects, voxel_mm3=float(np.prod(spacing_mm)))
    return lesion_wise(detection, surface_of(lesions, spacing_mm), surface_of(objects, spacing_mm))


# two lesions of 4 x 4 x 4 mm and one of 2 x 2 x 2, in an image of 4,320 voxels of 1 mm3
LARGE: tuple[Box, Box] = (((4, 7), (4, 7), (4, 7)), ((4, 7), (4, 7), (18, 21)))
SMALL: Box = ((5, 6), (5, 6), (25, 26))
REFERENCE = boxes(*LARGE, SMALL)
PREDICTIONS = {
    "the perfect prediction": REFERENCE,
    "copies shifted by 1 mm": np.roll(REFERENCE, 1, axis=2),
    "copies shifted by 3 mm": np.roll(REFERENCE, 3, axis=2),
    "a blob over the brain": np.ones(SHAPE, bool),
    "one object over all lesions": boxes(((4, 7), (4, 7), (4, 26))),
    "one voxel per lesion": boxes(*(((5, 5), (5, 5), (x, x)) for x in (5, 19, 25))),
    "nothing": np.zeros(SHAPE, bool),
}
BLOB, BOX = 2 * 64 / (4320 + 64), 2 * 64 / (368 + 64)
"""The Dice of a large lesion with the whole image, and with the box around all lesions, 4 x 4 x 23 mm."""

# by hand; columns as in docs/evaluation.md: Dice, lesions found by touching them, false positives;
# F1, Dice, small-lesion F1, lesion-wise
TABLE = {
    "the perfect prediction": (1, 3, 0, 1, 1, 1),
    # 48 of 64 voxels of the large ones in common, 4 of 8 of the small one
    "copies shifted by 1 mm": (2 * 100 / 272, 3, 0, 1, 48 / 64, 1),
    # 16 of 64, and none of the small one, whose copy is a false positive
    "copies shifted by 3 mm": (2 * 32 / 272, 2, 1, 2 * 2 / (2 * 2 + 1 + 1), (16 / 64 + 16 / 64 + 0) / 3, 0),
    # one match, below 0.1; the other large lesion is missed
    "a blob over the brain": (2 * 136 / (4320 + 136), 3, 0, 0, BLOB / 2, 0),
    # one match of three, which is good enough
    "one object over all lesions": (2 * 136 / (368 + 136), 3, 0, 2 / (2 + 2), BOX / 2, 0),
    # matches of 2/65, and of 2/9 for the small lesion
    "one voxel per lesion": (2 * 3 / (136 + 3), 3, 0, 2 / (2 + 2), 2 / 65, 1),
    "nothing": (0, 0, 0, 0, 0, 0),
}


@pytest.mark.parametrize("name", PREDICTIONS)
def test_what_each_measure_says_of_a_prediction(name):
    measures = evaluate_patient(REFERENCE, predicted=PREDICTIONS[name]).measures
    columns = ("dice", "n_found", "fp", "lesion_f1", "lesion_dice", "lesion_f1_small")
    assert [measures[column] for column in columns] == pytest.approx(TABLE[name], abs=1e-12)


# by hand: HD95 and NSD of the whole, then the lesion-wise ones
SURFACES = {
    "the perfect prediction": (0, 1, 0, 1),
    # the two faces across the shift, 20 of 56 surface voxels, are 1 mm off, all others on the other's surface
    "copies shifted by 1 mm": (1, 1, 1, 1),
    # of 56 surface voxels of a large lesion three are 1 mm from the voxel, one (2, 2, 2) mm and six (2, 2, 1) mm:
    # place .95 * 56 = 53.2 of 57 distances. All lesions: 10 of 120 are near, twelve at 3 mm before the last two of 123
    "one voxel per lesion": (3, (10 / 120 + 1) / 2, 3, (3 / 56 + 1) / 2),
    "nothing": (373, 0, 373, 0),
}


@pytest.mark.parametrize("name", SURFACES)
def test_what_the_distances_of_surfaces_say_of_a_prediction(name):
    measures = evaluate_patient(REFERENCE, predicted=PREDICTIONS[name]).measures
    columns = ("hd95_mm", "nsd", "lesion_hd95_mm", "lesion_nsd")
    assert [measures[column] for column in columns] == pytest.approx(SURFACES[name], abs=1e-12)


def test_the_surface_of_a_blob_over_the_brain_is_far_from_every_lesion():
    measures = evaluate_patient(REFERENCE, predicted=PREDICTIONS["a blob over the brain"]).measures
    assert (measures["nsd"], measures["lesion_nsd"]) == (0, 0)
    # every lesion is at least 3 mm from the border; between the large ones an edge of the image is (4, 4, 5) mm away
    assert 3 < measures["hd95_mm"] <= (16 + 16 + 25) ** 0.5
    # either large lesion may be the matched one: its far end of the image is 18 or 22 mm away, the corners a bit more
    assert (373 + 16) / 2 < measures["lesion_hd95_mm"] < (373 + 23) / 2


def test_a_missed_lesion_and_a_false_positive_count_with_the_worst_value():
    # of two large lesions one perfect, one missed, and one object elsewhere: one of three values is good
    predicted = boxes(LARGE[0], ((0, 1), (0, 1), (12, 13)))
    figures = scored(boxes(*LARGE), predicted)
    assert figures.lesion_dice == pytest.approx(1 / 3)
    assert figures.lesion_nsd == pytest.approx(1 / 3)
    assert figures.lesion_hd95_mm == pytest.approx(2 * 373 / 3)
    assert figures.lesion_f1 == pytest.approx(2 / 4)
    assert isnan(figures.lesion_f1_small)


def test_the_second_object_on_a_lesion_is_a_false_positive():
    halves = boxes(((4, 7), (4, 7), (4, 5)), ((4, 7), (4, 7), (7, 7)))  # 32 and 16 of 64 voxels
    figures = scored(boxes(LARGE[0]), halves)
    assert figures.lesion_f1 == pytest.approx(2 / 3)
    assert figures.lesion_dice == pytest.approx(2 * 32 / 96 / 2)


def test_a_lesion_is_found_from_a_dice_of_a_tenth_on():
    # 1 of 10 voxels and 10 predicted: 2 / 20; one predicted voxel more is too many
    reference = boxes(((0, 0), (0, 0), (0, 9)), shape=(1, 3, 24))
    exactly, less = (boxes(((0, 0), (0, 0), (9, last)), shape=(1, 3, 24)) for last in (18, 19))
    assert scored(reference, exactly).lesion_f1 == 1
    assert scored(reference, less).lesion_f1 == 0
    assert scored(reference, less).lesion_f1_small == 0


def test_from_20_mm3_on_a_lesion_is_large():
    ten = boxes(((0, 0), (0, 0), (0, 9)), shape=(1, 3, 24))
    assert isnan(scored(ten, ten, (1, 1, 1.99)).lesion_dice)
    assert scored(ten, ten, (1, 1, 1.99)).lesion_f1_small == 1
    single = (1, 1, float(np.nextafter(np.float32(2), np.float32(0))))  # 2 mm, in single precision
    for spacing in ((1, 1, 2), single):
        assert scored(ten, ten, spacing).lesion_dice == 1
        assert isnan(scored(ten, ten, spacing).lesion_f1_small)


def test_the_highest_total_decides_and_not_the_best_pair():
    # x 0-9 and 12-21; one object has 6 and 3 of their voxels, the other one voxel of the first
    reference = boxes(((0, 0), (0, 0), (0, 9)), ((0, 0), (0, 0), (12, 21)), shape=(1, 3, 24))
    predicted = boxes(((0, 0), (0, 0), (4, 14)), ((0, 0), (0, 0), (0, 1)), shape=(1, 3, 24))
    # object 2 (11 voxels): 12/21 with the first, 6/21 with the second; object 1 (2 voxels): 4/12 with the first
    # the first to object 2 alone: .57; the second to object 2 and the first to object 1: .29 + .33
    figures = scored(reference, predicted, (2, 1, 1))
    assert figures.lesion_dice == pytest.approx((6 / 21 + 4 / 12) / 2)
    assert figures.lesion_f1 == 1


def test_of_equal_totals_that_with_more_matches_is_taken():
    # the left object shares 3 voxels with the left lesion and 6 with the right one, the right object 3 with the latter;
    # ten voxels each: the right lesion with the left object, .6, or each with its own, .3 + .3
    reference = boxes(((0, 0), (0, 0), (0, 9)), ((0, 0), (0, 0), (11, 20)), shape=(1, 3, 30))
    predicted = boxes(((0, 0), (0, 0), (7, 16)), ((0, 0), (0, 0), (18, 27)), shape=(1, 3, 30))
    for flip in (1, -1):
        figures = scored(reference[:, :, ::flip], predicted[:, :, ::flip], (2, 1, 1))
        assert figures.lesion_f1 == 1
        assert figures.lesion_dice == pytest.approx(0.3)


def test_nothing_to_find_is_undefined_unless_something_was_invented():
    nothing, something = boxes(), boxes(SMALL)
    assert all(isnan(value) for value in vars(scored(nothing, nothing)).values())
    invented = scored(nothing, something)
    assert invented.lesion_f1 == 0
    others = (invented.lesion_dice, invented.lesion_hd95_mm, invented.lesion_nsd, invented.lesion_f1_small)
    assert all(map(isnan, others))


def matchings(pairs: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """All choices of pairs in which nothing occurs twice."""
    if not pairs:
        yield []
        return
    (lesion, other), rest = pairs[0], pairs[1:]
    yield from matchings(rest)
    for chosen in matchings([p for p in rest if p[0] != lesion and p[1] != other]):
        yield [(lesion, other), *chosen]


def slow_figures(reference: np.ndarray, predicted: np.ndarray, spacing_mm: Sequence[float]) -> list[list[float]] | None:
    """The figures of every best matching, mask by mask; None where there are too many matchings."""
    masks = []
    for volume in (reference, predicted):
        labels, n = ndimage.label(volume, np.ones((3, 3, 3)))
        masks.append([labels == i for i in range(1, n + 1)])
    lesions, objects = masks
    dice = {
        (i, j): 2 * (a & b).sum() / (a.sum() + b.sum())
        for i, a in enumerate(lesions)
        for j, b in enumerate(objects)
        if (a & b).any()
    }
    if len(dice) > 10:
        return None
    choices = list(matchings(list(dice)))
    best = max(sum(dice[p] + 1e-6 for p in chosen) for chosen in choices)
    volumes_mm3 = [a.sum() * np.prod(spacing_mm) for a in lesions]
    found = []
    for chosen in choices:
        if sum(dice[p] + 1e-6 for p in chosen) < best - 1e-9:
            continue
        false = len(objects) - len(chosen)
        rows = [[0.0, 373.0, 0.0] for _ in range(false)]
        partner = dict(chosen)
        hits, small_hits = 0, 0
        for i, a in enumerate(lesions):
            value = dice[i, partner[i]] if i in partner else 0
            hits += value >= 0.1
            if volumes_mm3[i] < 20 - 1e-6:
                small_hits += value >= 0.1
            elif i in partner:
                surfaces = surface_agreement(a, objects[partner[i]], spacing_mm=spacing_mm)
                rows.append([value, surfaces.hd95_mm, surfaces.nsd])
            else:
                rows.append([0.0, 373.0, 0.0])
        n_small = sum(v < 20 - 1e-6 for v in volumes_mm3)
        whole, small = 2 * hits + false + len(lesions) - hits, 2 * small_hits + false + n_small - small_hits
        means: list[float] = [nan] * 3
        if n_small < len(lesions):
            means = np.mean(rows, axis=0).tolist()
        found.append([2 * hits / whole if whole else nan, *means, 2 * small_hits / small if n_small else nan])
    return found


@given(SPARSE, SPARSE, st.sampled_from([(1, 1, 1), (1, 2, 5), (2, 3, 4)]))
def test_it_agrees_with_the_slow_version(reference, predicted, spacing_mm):
    expected = slow_figures(reference, predicted, spacing_mm)
    if expected is not None:
        ours = list(vars(scored(reference, predicted, spacing_mm)).values())
        assert any(ours == pytest.approx(figures, abs=1e-9, nan_ok=True) for figures in expected)


@given(SPARSE, SPARSE)
def test_of_every_object_the_best_partner_is_named(reference, predicted):
    lesions, objects = find_objects(reference), find_objects(predicted)
    detection = detect(lesions, objects)
    for side, other, of_objects in ((lesions, objects, False), (objects, lesions, True)):
        masks = [[set(s.voxels[s.number == i].tolist()) for i in range(1, s.count + 1)] for s in (side, other)]
        best = [max((2 * len(a & b) / (len(a) + len(b)) for b in masks[1]), default=0) for a in masks[0]]
        assert detection.best_dice(of_objects=of_objects).tolist() == pytest.approx(best)
