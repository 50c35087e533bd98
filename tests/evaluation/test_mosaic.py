"""A patient in pictures: every object is seen, on the right side, in its colour, in few bytes."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from scipy import ndimage

from dataset_conversion.files.pictures import grey_levels, grey_window
from evaluation.figures.colours import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE
from evaluation.figures.pictures.arrows import Status
from evaluation.figures.pictures.layers import (
    LARGEST_SIDE,
    background_layer,
    probability_colours,
    probability_layer,
)
from evaluation.figures.pictures.mosaic import CUT_PERCENT, Mark, mosaic

SPACING = (2.0, 1.0, 1.0)


def picture(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


def cube(shape, *corners, size=2):
    mask = np.zeros(shape, bool)
    for z, y, x in corners:
        mask[z : z + size, y : y + size, x : x + size] = True
    return mask


@pytest.fixture
def patient():
    """A head that fills all 20 slices; found in slices 4 and 5, missed in 8 and 9, false in 12 and 13."""
    shape = (20, 60, 50)
    reference, predicted = cube(shape, (4, 20, 10), (8, 30, 30)), cube(shape, (4, 20, 10), (12, 40, 20))
    marks = [Mark("found", (4, 20, 10)), Mark("missed", (9, 31, 31)), Mark("false", (12, 40, 20))]
    return np.full(shape, 100.0), predicted * 0.9, reference, predicted, marks, SPACING


def test_every_object_is_in_some_slice(patient):
    slices = mosaic(*patient)
    assert [sum(s.shown[status] for s in slices) for status in ("found", "missed", "false")] == [1, 1, 1]
    assert all(s.z in objects for s, objects in zip(slices, [(4, 5), (8, 9), (12, 13)], strict=True))
    assert [s.position_mm for s in slices] == [2.0 * s.z for s in slices]


def test_voxels_have_the_colour_of_their_agreement_where_they_lie(patient):
    colours, places = (TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE), ((20, 10), (30, 30), (40, 20))
    for s, colour, (y, x) in zip(mosaic(*patient), colours, places, strict=True):
        pixels = picture(s.agreement)
        assert np.allclose(pixels[y, x, :3] / 255, to_rgb(colour), atol=0.01)
        assert (pixels[..., 3] > 0).sum() == 4
        assert (pixels[y : y + 2, x : x + 2, 3] > 0).all()


def test_an_arrow_ends_beside_its_object(patient):
    for s, (y, x) in zip(mosaic(*patient), ((21, 11), (31, 31), (41, 21)), strict=True):
        (arrow,) = s.arrows
        assert s.shown[arrow.status] == 1
        assert 1 < np.hypot(arrow.tip[0] - x, arrow.tip[1] - y) < 4
        assert all(0 <= end[0] <= s.width_mm and 0 <= end[1] <= s.height_mm for end in (arrow.tail, arrow.tip))


def test_every_object_in_a_slice_has_an_outline_of_its_status(patient):
    slices = mosaic(*patient)
    assert [[status for status, _ in s.outlines] for s in slices] == [["found"], ["missed"], ["false"]]
    for s, (y, x) in zip(slices, ((21, 11), (31, 31), (41, 21)), strict=True):
        ((_, (line,)),) = s.outlines
        # the object's middle, in mm
        np.testing.assert_allclose(np.mean(line[:-1], axis=0), (x, y), atol=0.05)


def test_a_large_object_needs_no_arrow():
    lesion = cube((20, 60, 60), (5, 20, 20), size=12)
    slices = mosaic(np.ones(lesion.shape), None, lesion, lesion, [Mark("found", (5, 20, 20))], SPACING)
    assert [s.arrows for s in slices] == [()]


def test_a_voxel_without_probability_is_transparent_and_likely_ones_are_bright():
    pixels = picture(probability_layer(np.array([[0.0, 0.04, 0.3, 1.0]])))
    assert pixels[0, :2, 3].tolist() == [0, 0]
    assert 0 < pixels[0, 2, 3] < pixels[0, 3, 3]
    assert pixels[0, 2, :3].sum() < pixels[0, 3, :3].sum()


def test_a_probability_of_a_twentieth_is_the_first_that_is_drawn():
    alpha = picture(probability_layer(np.array([[0.049, 0.05]])))[0, :, 3]
    assert alpha[0] == 0 < alpha[1]


def test_the_colour_bar_goes_from_transparent_to_1():
    colours = probability_colours()
    assert colours[0][0] == 0
    assert colours[0][1].endswith("0.00)")
    assert colours[-1][0] == 0.95


def test_without_probabilities_there_is_no_map(patient):
    background, _, *others = patient
    assert all(s.probability is None for s in mosaic(background, None, *others))


def test_a_patient_without_objects_is_shown_in_five_slices():
    nothing = np.zeros((30, 20, 20), bool)
    slices = mosaic(np.ones(nothing.shape), None, nothing, nothing, [], SPACING)
    assert [s.z for s in slices] == [5, 10, 15, 20, 25]
    assert not any(sum(s.shown.values()) for s in slices)


def test_a_patient_of_one_slice_without_any_signal_is_shown():
    nothing = np.zeros((1, 20, 20), bool)
    assert [s.z for s in mosaic(np.zeros(nothing.shape), None, nothing, nothing, [], SPACING)] == [0]


def test_twelve_slices_show_the_missed_and_the_false_ones_first():
    """16 objects in 16 places along the axis: 4 found, 6 missed, 6 false."""
    places = [(3 * i, 10, 10) for i in range(16)]
    shape = (50, 30, 30)
    counts: dict[Status, int] = {"found": 4, "missed": 6, "false": 6}
    status = [each for each, n in counts.items() for _ in range(n)]
    reference = cube(shape, *places[:10], size=1)
    predicted = cube(shape, *places[:4], *places[10:], size=1)
    marks = [Mark(s, place) for s, place in zip(status, places, strict=True)]
    slices = mosaic(np.ones(shape), None, reference, predicted, marks, SPACING)
    assert len(slices) == 12
    assert [s.z for s in slices] == [place[0] for place in places[4:]]


def test_the_picture_is_cropped_to_the_head_and_keeps_its_proportions():
    head = cube((10, 80, 80), (0, 20, 30), size=30)
    nothing = np.zeros(head.shape, bool)
    first, *_ = mosaic(head * 50.0, None, nothing, nothing, [], (3.0, 0.5, 2.0))
    # a margin of 4 mm: 8 rows and 2 columns on either side
    assert (first.height_mm, first.width_mm) == (46 * 0.5, 34 * 2.0)
    assert picture(first.background).shape[:2] == (46, 34)


def test_the_patients_right_stays_on_the_left():
    """Column 0 is the patient's right: a lesion there is drawn in the left half."""
    lesion = cube((10, 40, 40), (5, 20, 3))
    (only,) = mosaic(np.ones(lesion.shape), None, lesion, np.zeros_like(lesion), [Mark("missed", (5, 20, 3))], SPACING)
    assert np.flatnonzero(picture(only.agreement)[..., 3].any(axis=0)).tolist() == [3, 4]


def test_a_large_background_is_made_smaller():
    content = background_layer(np.zeros((700, 350), np.uint8))
    assert picture(content).shape[:2] == (LARGEST_SIDE, LARGEST_SIDE // 2)


def test_one_bright_voxel_does_not_darken_the_rest():
    volume = np.full((10, 20, 20), 100.0)
    volume[0, 0, 0] = 1e6
    assert grey_levels(volume, grey_window(volume, cut_percent=CUT_PERCENT))[1, 1, 1] == 255


def test_a_mark_outside_every_object_is_refused(patient):
    background, probability, reference, predicted, _, spacing = patient
    with pytest.raises(ValueError, match="marked as missed, is not in the reference"):
        mosaic(background, probability, reference, predicted, [Mark("missed", (0, 0, 0))], spacing)


def test_volumes_of_different_shapes_are_refused(patient):
    background, *others = patient
    with pytest.raises(ValueError, match="one shape"):
        mosaic(background[1:], *others)


def test_a_patient_of_a_real_size_takes_less_than_400_kilobytes():
    """As base64, with noise everywhere and 40 objects: the worst that a report has to hold."""
    rng = np.random.default_rng(0)
    shape = (160, 256, 256)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    head = ((z - 80) / 76) ** 2 + ((y - 128) / 110) ** 2 + ((x - 128) / 85) ** 2 < 1
    texture = ndimage.zoom(rng.standard_normal((32, 52, 52)), (5, 256 / 52, 256 / 52), order=1)
    background = head * (400 + 60 * texture + rng.normal(0, 30, shape))
    probability = head * np.abs(rng.normal(0, 0.04, shape))
    places = [(int(z), int(y), int(x)) for z, y, x in rng.integers((20, 70, 80), (140, 180, 170), (40, 3))]
    lesions = cube(shape, *places, size=3)
    slices = mosaic(
        background, probability, lesions, np.zeros_like(lesions), [Mark("missed", p) for p in places], (1, 0.9, 0.9)
    )
    assert len(slices) == 12
    assert all(s.probability for s in slices)
    size = sum(len(s.background) + len(s.probability or b"") + len(s.agreement or b"") for s in slices)
    assert size * 4 / 3 < 400_000


def test_two_arrows_at_neighbours_do_not_hide_each_other():
    shape = (6, 80, 80)
    reference, predicted = cube(shape, (2, 30, 20)), cube(shape, (2, 30, 23))
    marks = [Mark("missed", (2, 30, 20)), Mark("false", (2, 30, 23))]
    (only,) = mosaic(np.ones(shape), None, reference, predicted, marks, SPACING)
    one, other = only.arrows
    assert np.hypot(one.tail[0] - other.tail[0], one.tail[1] - other.tail[1]) >= 8
