"""An outline goes around all of an object's voxels and hides none of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path

from evaluation.figures.pictures.outlines import DISTANCE_MM, outline

ONE_MM = np.array([1.0, 1.0])


def test_the_outline_of_one_voxel_lies_a_millimetre_outside_its_border():
    """Voxel 3, 5 of 1 mm: its centre is at x = 5.5 mm, y = 3.5 mm; the line is 1.5 mm from there along the axes."""
    (line,) = outline(np.array([[3, 5]]), ONE_MM)
    x, y = np.transpose(line)
    assert (x.min(), x.max()) == (pytest.approx(4.0, abs=0.01), pytest.approx(7.0, abs=0.01))
    assert (y.min(), y.max()) == (pytest.approx(2.0, abs=0.01), pytest.approx(5.0, abs=0.01))
    assert line[0] == line[-1]


def test_parts_far_apart_have_a_line_each_and_near_ones_share_it():
    assert len(outline(np.array([[0, 0], [0, 9]]), ONE_MM)) == 2
    assert len(outline(np.array([[0, 0], [0, 2]]), ONE_MM)) == 1


def test_a_hole_has_a_line_of_its_own():
    ring = np.ones((12, 12), bool)
    ring[2:10, 2:10] = False
    assert len(outline(np.argwhere(ring), ONE_MM)) == 2


@given(arrays(bool, (6, 7)).filter(np.any), st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([0.5, 0.9, 2.0]))
def test_every_voxel_lies_inside_an_outline_and_no_line_touches_one(mask, height_mm, width_mm):
    spacing_mm = np.array([height_mm, width_mm])
    voxels = np.argwhere(mask)
    lines = outline(voxels, spacing_mm)
    centres = ((voxels + 0.5) * spacing_mm)[:, ::-1]
    inside = np.sum([Path(line).contains_points(centres) for line in lines], axis=0)
    assert (inside % 2 == 1).all()
    points = np.concatenate([np.array(line) for line in lines])
    beyond_border = np.abs(points[:, None] - centres) - spacing_mm[::-1] / 2
    distance = np.hypot(*np.moveaxis(np.maximum(beyond_border, 0), -1, 0)).min(axis=1)
    assert (distance > 0).all()
    assert distance.max() < DISTANCE_MM + spacing_mm.max()
