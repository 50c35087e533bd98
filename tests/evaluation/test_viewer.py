"""The viewer holds the volumes voxel by voxel, in place, and all that draws them: it asks nothing of the internet."""

import base64
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.faults import Fault
from evaluation.lesion_table import object_table
from evaluation.metrics.lesion.lesions import find_objects
from evaluation.patient import Grid
from evaluation.report import viewer as module
from evaluation.report.viewer import Viewed, viewer_page


def viewed(*, empty: bool = False) -> Viewed:
    """Two objects, of 1 and of 2 voxels, in an oblique image of 4 x 5 x 6 voxels."""
    background = sitk.GetImageFromArray(np.arange(120, dtype=np.int16).reshape(6, 5, 4))
    background.SetSpacing((1.0, 2.0, 3.0))
    background.SetOrigin((10.0, -20.0, 30.0))
    background.SetDirection((0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
    mask = np.zeros((6, 5, 4), bool)
    if not empty:
        mask[0, 0, 0] = mask[4, 3, 1:3] = True
    objects = find_objects(mask)
    probability = np.where(mask, 0.914, 0.006)
    table = object_table(objects, side="predicted", grid=Grid.of(background), probability=probability)
    return Viewed("P1", background, "t1_gd", "metastasis", objects, probability, table)


def volume(page: str, name: str, folder: Path) -> nibabel.Nifti1Image:
    found = re.search(rf'{name}: "([^"]+)"', page)
    assert found is not None
    (folder / f"{name}.nii.gz").write_bytes(base64.b64decode(found[1]))
    return nibabel.Nifti1Image.from_filename(folder / f"{name}.nii.gz")


def test_the_volumes_are_those_of_the_case(tmp_path):
    case = viewed()
    page = viewer_page(case)
    sitk.WriteImage(case.background, str(tmp_path / "background.nii.gz"))
    expected = nibabel.Nifti1Image.from_filename(tmp_path / "background.nii.gz")
    volumes = {name: volume(page, name, tmp_path) for name in ("image", "probability", "objects")}
    for each in volumes.values():
        np.testing.assert_allclose(each.affine, expected.affine, atol=1e-5)
    numbers = np.asarray(volumes["objects"].dataobj)
    assert {(*place,): int(numbers[(*place,)]) for place in np.argwhere(numbers).tolist()} == {
        (0, 0, 0): 1,
        (1, 3, 4): 2,
        (2, 3, 4): 2,
    }
    percent = np.asarray(volumes["probability"].dataobj)
    assert np.unique(percent[numbers > 0]).tolist() == [91]
    assert np.unique(percent[numbers == 0]).tolist() == [1]
    grey = np.asarray(volumes["image"].dataobj)
    assert (grey.min(), grey.max()) == (0, 255)
    assert (np.diff(grey.T.ravel().astype(int)) >= 0).all()


def test_a_button_leads_to_the_middle_of_each_object_the_largest_first():
    """The second object lies at index (1.5, 3, 4): 10 + .8 * 1.5 - .6 * 6 and so on in LPS, to the right and the front
    in the page."""
    buttons = re.findall(r'data-place="([^"]+)">(\d)<', viewer_page(viewed()))
    places = {number: [float(mm) for mm in place.split(",")] for place, number in buttons}
    assert [number for _, number in buttons] == ["2", "1"]
    np.testing.assert_allclose(places["2"], [-7.6, 14.3, 42.0], atol=1e-9)
    np.testing.assert_allclose(places["1"], [-10.0, 20.0, 30.0], atol=1e-9)


def test_the_page_is_whole_and_the_same_again():
    page = viewer_page(viewed())
    assert page == viewer_page(viewed())
    of_ours = page.replace(module.niivue(), "")
    assert not re.search(r"""(src|href)\s*=|url\(|@import|fetch\(""", of_ours)
    assert "Copyright (c) 2021, Niivue" in of_ours
    assert "nobody has checked" in of_ours
    assert page.count("</script>") == 2


def test_nothing_predicted_is_said():
    assert "Nothing was predicted as metastasis" in viewer_page(viewed(empty=True))


@pytest.mark.parametrize("lost", ["a_package_that_is_not_there", "pytest"])
def test_without_niivue_it_says_what_to_install(monkeypatch, lost):
    files = module.files
    monkeypatch.setattr(module, "files", lambda _: files(lost))
    with pytest.raises(Fault, match=r"pip install 'nnunet_seqdropout\[viewer\]'"):
        viewer_page(viewed())
