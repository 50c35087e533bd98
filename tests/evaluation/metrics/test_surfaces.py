"""HD95 and normalised surface Dice, counted by hand and against a slow second version."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from evaluation.metrics.voxel.surfaces import NO_COUNTERPART_MM, surface_agreement

BOOLS = arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6)), fill=st.booleans())
SPACINGS = st.tuples(*[st.sampled_from([0.5, 0.8594, 1.0, 1.2, 4.0])] * 3)


def box(*corners: tuple[int, int], shape: tuple[int, ...] = (8, 8, 12)) -> np.ndarray:
    """corners: first and last index of each axis, z, y, x."""
    mask = np.zeros(shape, bool)
    mask[tuple(slice(first, last + 1) for first, last in corners)] = True
    return mask


def test_each_axis_has_its_own_spacing():
    # one voxel each, two planes apart; 3 mm a plane
    a, b = box((1, 1), (2, 2), (3, 3)), box((3, 3), (2, 2), (3, 3))
    assert surface_agreement(a, b, spacing_mm=(0.5, 1, 3)).hd95_mm == pytest.approx(6, abs=1e-12)
    a, b = box((1, 1), (2, 2), (3, 3)), box((1, 1), (2, 2), (5, 5))
    assert surface_agreement(a, b, spacing_mm=(0.5, 1, 3)).hd95_mm == pytest.approx(1, abs=1e-12)


def test_the_inside_of_a_mask_is_no_surface():
    # all but the innermost of 5 x 5 x 5 voxels, 26 + 98: its surface has 98 voxels, that of the inner voxel is itself
    a, b = box((1, 5), (1, 5), (1, 5)), box((3, 3), (3, 3), (3, 3))
    agreement = surface_agreement(a, b)
    # of 99 distances the eight corners have sqrt(12), 24 beside them on the edges 3: place .95 * 98 = 93.1 is a corner
    assert agreement.hd95_mm == pytest.approx(12**0.5, abs=1e-12)
    assert agreement.nsd == 0


def test_a_corner_taken_from_a_mask_does_not_bare_what_lies_behind_it():
    a = box((1, 4), (1, 4), (1, 4))
    b = a.copy()
    b[1, 1, 1] = False
    # the voxel is 1 mm from three others of the surface; the voxel behind it, a corner further, has all its faces
    agreement = surface_agreement(a, b, spacing_mm=(1, 1, 1))
    assert agreement.hd95_mm == 0
    assert agreement.nsd == 1
    narrow = surface_agreement(a, b, spacing_mm=(2, 2, 1))  # along z one voxel is near enough
    assert narrow.nsd == 1


def test_the_border_of_the_image_is_surface():
    whole = np.ones((3, 3, 3), bool)
    hollow = whole.copy()
    hollow[1, 1, 1] = False
    # 26 voxels of the outside are surface of both
    assert surface_agreement(whole, hollow).hd95_mm == 0
    assert surface_agreement(whole, hollow).nsd == 1


def test_percentiles_are_of_both_directions_together():
    # 19 voxels that agree, and one on one side only, 10 mm off: of 39 distances one is not 0
    a = box((0, 0), (0, 0), (0, 18), shape=(1, 1, 40))
    b = a.copy()
    b[0, 0, 28] = True
    assert surface_agreement(a, b).hd95_mm == 0
    # of its own direction that one would be the 95th percentile of 20: 0.95 * 19 = 18.05, so .5 mm
    a, b = a[:, :, 9:], b[:, :, 9:]  # 10 agree, one in 21 differs: place .95 * 20 = 19 is the last 0
    assert surface_agreement(a, b).hd95_mm == 0
    a, b = a[:, :, 1:], b[:, :, 1:]  # 9 agree, one in 19 differs: place 17.1 lies a tenth between 0 and 10
    assert surface_agreement(a, b).hd95_mm == pytest.approx(1)


def test_a_step_of_the_smallest_spacing_is_tolerated_whatever_single_precision_says():
    a, b = box((2, 2), (2, 4), (2, 7)), box((2, 2), (3, 5), (2, 7))
    x = float(np.float32(0.8594))
    assert surface_agreement(a, b, spacing_mm=(0.8594, x, 3)).nsd == 1
    assert surface_agreement(a, b, spacing_mm=(x, 0.8594, 3)).nsd == 1
    assert surface_agreement(a, b, spacing_mm=(0.85, x, 3)).nsd < 1


def test_one_empty_side_is_far_away_and_two_are_undefined():
    full, empty = box((0, 0), (0, 0), (0, 0)), np.zeros((8, 8, 12), bool)
    for pair in ((full, empty), (empty, full)):
        agreement = surface_agreement(*pair)
        assert (agreement.hd95_mm, agreement.nsd) == (NO_COUNTERPART_MM, 0) == (373, 0)
    nothing = surface_agreement(empty, empty)
    assert math.isnan(nothing.hd95_mm)
    assert math.isnan(nothing.nsd)


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 2, 2\), the prediction \(2, 2, 3\)"):
        surface_agreement(np.ones((2, 2, 2), bool), np.ones((2, 2, 3), bool))


def slow_agreement(a: np.ndarray, b: np.ndarray, spacing_mm: tuple[float, ...]) -> tuple[float, float]:
    """Of every surface voxel the distance to every other; neither mask is empty."""
    sides = [np.argwhere(m & ~ndimage.binary_erosion(m)) * np.array(spacing_mm[::-1]) for m in (a, b)]
    distances = np.linalg.norm(sides[0][:, None] - sides[1][None], axis=-1)
    forth, back = distances.min(axis=1), distances.min(axis=0)
    near = min(spacing_mm) + 1e-6
    nsd = ((forth <= near).mean() + (back <= near).mean()) / 2
    return float(np.percentile([*forth, *back], 95)), float(nsd)


@given(BOOLS, st.data(), SPACINGS)
def test_it_agrees_with_the_slow_version(a, data, spacing_mm):
    b = data.draw(arrays(bool, a.shape, fill=st.booleans()))
    if not a.any() or not b.any():
        return
    agreement = surface_agreement(a, b, spacing_mm=spacing_mm)
    assert (agreement.hd95_mm, agreement.nsd) == pytest.approx(slow_agreement(a, b, spacing_mm), abs=1e-12)
