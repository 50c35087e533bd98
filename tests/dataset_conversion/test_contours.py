"""Outlines run along the edges of pixels, and hold the pixels' centres, whatever rule fills them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from matplotlib.path import Path as Polygon
from PIL import Image, ImageDraw

from dataset_conversion.dicom.results.contours import outlines


def mask_of(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


def test_a_pixel_is_a_square():
    (square,) = outlines(mask_of("...", ".#.", "..."))
    assert {*map(tuple, square)} == {(0.5, 0.5), (0.5, 1.5), (1.5, 1.5), (1.5, 0.5)}
    assert len(square) == 4


def test_parts_are_polygons_of_their_own_even_where_their_corners_touch():
    assert len(outlines(mask_of("#.#", "...", "#.."))) == 3
    assert len(outlines(mask_of("#..", ".#.", "..#"))) == 3


def test_a_hole_is_entered_and_left_by_one_line():
    """The ring's corners, the hole's corners, and where the line between them begins and ends."""
    (ring,) = outlines(mask_of("###", "#.#", "###"))
    points = [*map(tuple, ring)]
    outer = [(-0.5, -0.5), (-0.5, 2.5), (2.5, 2.5), (2.5, -0.5)]
    hole = [(0.5, 0.5), (0.5, 1.5), (1.5, 1.5), (1.5, 0.5)]
    line = [(0.5, -0.5), (0.5, -0.5)]
    assert sorted(points) == sorted(outer + hole + line)


def test_an_island_in_a_hole_is_a_polygon():
    rings = outlines(mask_of("#####", "#...#", "#.#.#", "#...#", "#####"))
    assert sorted(map(len, rings)) == [4, 10]


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_every_rule_of_filling_gives_the_mask_and_its_area(mask):
    """Even-odd and non-zero winding by two programs; polygons joined by *or* and by *exclusive or*."""
    centres = np.argwhere(np.ones_like(mask))
    any_of, odd = np.zeros_like(mask), np.zeros_like(mask)
    area = 0.0
    for polygon in outlines(mask):
        inside = Polygon(np.concatenate([polygon, polygon[:1]]), closed=True).contains_points(centres)
        np.testing.assert_array_equal(inside, windings(polygon, centres) != 0)
        np.testing.assert_array_equal(inside.reshape(mask.shape), drawn(polygon, mask.shape))
        any_of |= inside.reshape(mask.shape)
        odd ^= inside.reshape(mask.shape)
        (y, x), (y_next, x_next) = polygon.T, np.roll(polygon, -1, axis=0).T
        area += abs((y * x_next - y_next * x).sum() / 2)
    np.testing.assert_array_equal(any_of, mask)
    np.testing.assert_array_equal(odd, mask)
    assert area == mask.sum()


def windings(polygon: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """How often the polygon goes round each point: its vertical edges to the right of it, those up less those down."""
    found = np.zeros(len(centres), int)
    for (row, column), (row_next, _) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        beside = (min(row, row_next) < centres[:, 0]) & (centres[:, 0] < max(row, row_next))
        found += np.sign(row_next - row).astype(int) * (beside & (column > centres[:, 1]))
    return found


def drawn(polygon: np.ndarray, shape: tuple[int, ...], scale: int = 8) -> np.ndarray:
    """Pillow's polygon, at eight times the size, at the pixels' centres."""
    picture = Image.new("1", (shape[1] * scale, shape[0] * scale))
    corners = [((column + 0.5) * scale, (row + 0.5) * scale) for row, column in polygon]
    ImageDraw.Draw(picture).polygon(corners, fill=1)
    return np.array(picture)[scale // 2 :: scale, scale // 2 :: scale]


@given(st.integers(0, 2**16 - 1))
def test_no_polygon_has_a_point_on_a_straight_line(code):
    mask = np.array([bool(code >> i & 1) for i in range(16)]).reshape(4, 4)
    for polygon in outlines(mask):
        steps = np.sign(np.roll(polygon, -1, axis=0) - polygon)
        assert (np.abs(steps).sum(axis=1) == 1).all()
        assert (steps != np.roll(steps, 1, axis=0)).any(axis=1).all()
