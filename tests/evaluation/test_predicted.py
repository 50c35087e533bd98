"""A prediction in pictures: every object with its number, on its side, and no verdict on it."""

import re

import numpy as np
import pytest
import SimpleITK as sitk
from example_reports import prediction
from pages import CHROMIUM, chromium

from evaluation.figures.pictures.numbers import APART_MM, numbers_at
from evaluation.figures.pictures.predicted import predicted_mosaic
from evaluation.metrics.lesion.lesions import find_objects
from evaluation.report.prediction import prediction_page

SHAPE = (12, 60, 50)


@pytest.fixture
def mask():
    """One voxel in slice 2 on the patient's right, five slices of a plate on the left."""
    mask = np.zeros(SHAPE, bool)
    mask[2, 30, 5] = mask[6:11, 20:24, 40:44] = True
    return mask


def on_grid(voxels) -> sitk.Image:
    image = sitk.GetImageFromArray(np.asarray(voxels, np.float32))
    image.SetSpacing((1, 1, 3))
    return image


def test_an_object_is_told_by_line_arrow_and_number_and_has_no_fate(mask):
    slices = predicted_mosaic(on_grid(np.ones(SHAPE)), find_objects(mask), mask * 0.5, sequence="flair")
    # 5 mm apart are two slices of 3 mm
    assert [each.z for each in slices] == [2, 6, 8, 10]
    assert [[number.value for number in each.numbers] for each in slices] == [[1], [2], [2], [2]]
    for each in slices:
        assert each.shown == {"found": 0, "missed": 0, "false": 0, "predicted": 1}
        assert [status for status, _ in each.outlines] == [arrow.status for arrow in each.arrows] == ["predicted"]
        assert each.agreement is None
        assert each.probability is not None
        assert each.sequence == "flair"


@pytest.mark.parametrize("order", ["RAS", "PIR", "LAI"])
def test_objects_keep_number_and_place_in_whatever_order_the_axes_are_stored(mask, order):
    """The numbers are those of the stored voxels, as in the table: from behind, the plate may come first."""
    background = np.random.default_rng(0).uniform(1, 9, SHAPE)
    stored = sitk.DICOMOrient(on_grid(mask), order)
    objects = find_objects(sitk.GetArrayFromImage(stored) > 0)
    small = int(np.argmin(objects.n_voxels)) + 1
    turned = sitk.DICOMOrient(on_grid(background), order)
    straight = predicted_mosaic(on_grid(background), find_objects(mask), None, sequence="")
    slices = predicted_mosaic(turned, objects, None, sequence="")
    assert [(each.z, each.background, each.outlines) for each in slices] == [
        (each.z, each.background, each.outlines) for each in straight
    ]
    assert [number.value for each in slices for number in each.numbers] == [small, *[3 - small] * 3]


def test_a_number_lies_on_the_inner_side_and_numbers_lie_apart():
    """A picture of 60 x 60 mm; left of its middle the inner side is the right one: 0.5 + 5.5 mm from the centre."""
    at = [(1, np.array([[29, 10], [30, 10]])), (0, np.array([[5, 5]])), (2, np.array([[29, 13], [30, 13]]))]
    one, other = numbers_at([(value, voxels) for value, voxels in at], shape=(60, 60), spacing_mm=(1, 1))
    assert (one.value, other.value) == (1, 2)
    assert one.place == pytest.approx((10.5 + 5.5, 30))
    assert np.hypot(*np.subtract(one.place, other.place)) >= APART_MM


def test_a_page_names_the_model_by_its_folder_and_no_other_path():
    text = prediction_page(prediction())
    assert "Dataset001_Mets/T__P__2d" in text
    assert "dice of fold_0/thresholds.json" in text
    assert "/models" not in text
    assert "A sequence is doubtful." in text


def test_names_on_a_page_are_text_and_never_markup():
    evil = "<script>alert(1)</script>"
    text = prediction_page(prediction(case=evil, warnings=[evil]))
    assert text.count("<script>") == prediction_page(prediction()).count("<script>") == 1


CLICK = """
<pre id="seen"></pre>
<script>
const shown = () => [...document.querySelectorAll(".slices > figure")]
  .filter(figure => getComputedStyle(figure).display !== "none").map(figure => figure.id).join();
const seen = [shown()];
document.querySelector('table a[href$="-4"]').click();
seen.push(shown(), document.querySelector("output").value);
document.getElementById("seen").textContent = seen.join("|");
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the page was not rendered")
def test_the_largest_object_is_seen_first_and_a_slice_of_the_table_leads_to_its_picture(tmp_path):
    page = tmp_path / "P1.html"
    page.write_text(prediction_page(prediction()).replace("</body>", CLICK + "</body>"), encoding="utf-8")
    dom, log = chromium(page, "--dump-dom")
    assert "CONSOLE" not in log
    seen = re.search(r'<pre id="seen">(.*?)</pre>', dom)
    assert seen is not None
    # object 2 is the larger one and in the second picture
    assert seen[1] == "case-slice-9|case-slice-4|1 of 2"
