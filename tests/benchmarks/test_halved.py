"""Cases on half the grid: the same places in space, tissue averaged, labels by majority."""

import numpy as np
import pytest
import SimpleITK as sitk

from benchmarks.halved import halved, write_halved


def image(voxels: np.ndarray) -> sitk.Image:
    made = sitk.GetImageFromArray(voxels)
    made.SetSpacing((1.0, 1.5, 3.0))
    made.SetOrigin((10.0, -20.0, 5.0))
    return made


def test_a_voxel_is_the_mean_of_eight_and_zero_where_one_of_them_is():
    voxels = np.arange(1, 17, dtype=np.float32).reshape(2, 2, 4)
    voxels[0, 0, 2] = 0
    half = halved(image(voxels), is_label=False)
    # of the left eight: (1 + 2 + 5 + 6 + 9 + 10 + 13 + 14) / 8
    assert sitk.GetArrayFromImage(half).tolist() == [[[7.5, 0.0]]]


def test_a_label_is_the_most_frequent_of_eight_and_the_higher_of_two_that_are():
    left, right = [1, 1, 1, 1, 1, 0, 0, 2], [0, 0, 0, 0, 4, 4, 4, 4]
    voxels = np.stack([np.reshape(block, (2, 2, 2)) for block in (left, right)], axis=3).transpose(0, 1, 3, 2)
    half = halved(image(voxels.reshape(2, 2, 4).astype(np.uint8)), is_label=True)
    assert sitk.GetArrayFromImage(half).tolist() == [[[1, 4]]]


def test_what_lies_where_stays_there():
    half = halved(image(np.ones((4, 6, 8), np.float32)), is_label=False)
    assert half.GetSize() == (4, 3, 2)
    assert half.GetSpacing() == (2.0, 3.0, 6.0)
    # the middle of the first eight voxels
    assert half.GetOrigin() == pytest.approx((10.5, -19.25, 6.5))


@pytest.mark.parametrize("name", ["seg.nii.gz", "P1_seg.nii.gz", "P1-seg.nii.gz"])
def test_a_label_is_known_by_its_name(tmp_path, name):
    label = np.zeros((2, 2, 2), np.uint8)
    label[0] = 3
    (tmp_path / "in" / "P1").mkdir(parents=True)
    sitk.WriteImage(image(label), str(tmp_path / "in" / "P1" / name))
    write_halved(tmp_path / "in", tmp_path / "out")
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "P1" / name))).tolist() == [[[3]]]
