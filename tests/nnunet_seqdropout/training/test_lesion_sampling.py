"""Every lesion is drawn alike: counted from the rows by hand, then drawn with nnU-Net's own data loader."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from scipy import ndimage

from nnunet_seqdropout.training.lesion_sampling import VOXELS_PER_LESION, BalancedByLesion, by_lesion

SMALL_Z, LARGE_Z = 2, (8, 9, 10)
"""Slices of the two lesions."""


def two_lesions() -> np.ndarray:
    """(12, 40, 48): one of 1 voxel and one of 3 x 9 x 37 = 999."""
    segmentation = np.zeros((12, 40, 48), np.int16)
    segmentation[SMALL_Z, 20, 24] = 1
    segmentation[8:11, 10:19, 5:42] = 1
    return segmentation


def rows_by_slice(rows: np.ndarray) -> dict[int, int]:
    return dict(zip(*(each.tolist() for each in np.unique(rows[:, 1], return_counts=True)), strict=True))


def test_a_lesion_of_one_voxel_has_as_many_rows_as_one_of_999():
    rows = by_lesion(two_lesions(), {1: np.zeros((1000, 4))})[1]
    assert len(rows) == 512
    of_small, of_large = rows[rows[:, 1] == SMALL_Z], rows[rows[:, 1] >= 8]
    assert (len(of_small), len(of_large)) == (256, 256)
    assert np.unique(of_small, axis=0).tolist() == [[0, SMALL_Z, 20, 24]]
    # 256 of 999 voxels, none twice, all over it: 333 voxels a slice, every 3.9th of them
    assert len(np.unique(of_large, axis=0)) == 256
    assert rows_by_slice(of_large) == {8: 86, 9: 85, 10: 85}


def test_the_rows_of_a_small_lesion_are_its_voxels_in_equal_shares():
    segmentation = np.zeros((3, 4, 5), np.int16)
    segmentation[1, 2, 1:4] = 1
    rows, counts = np.unique(by_lesion(segmentation, {1: []})[1], axis=0, return_counts=True)
    assert rows.tolist() == [[0, 1, 2, 1], [0, 1, 2, 2], [0, 1, 2, 3]]
    # 256 = 86 + 85 + 85
    assert sorted(counts.tolist()) == [85, 85, 86]


def test_voxels_that_touch_at_a_corner_are_one_lesion():
    segmentation = np.zeros((3, 4, 5), np.int16)
    segmentation[0, 0, 0] = segmentation[1, 1, 1] = 1
    assert len(by_lesion(segmentation, {1: []})[1]) == 256
    segmentation[2, 3, 3] = 1
    assert len(by_lesion(segmentation, {1: []})[1]) == 512


def test_the_lesions_of_a_region_are_those_of_its_classes_together():
    segmentation = np.zeros((3, 4, 9), np.int16)
    # a core of class 2 in a rim of class 1, and far from it class 2 alone
    segmentation[1, 1, 0:3] = [1, 2, 1]
    segmentation[1, 1, 7] = 2
    found = by_lesion(segmentation, {(1, 2): [], 1: [], 2: [], (3,): []})
    # region: two lesions; class 1: two, since the core parts them; class 2: two; class 3: none
    assert {key: len(rows) for key, rows in found.items()} == {(1, 2): 512, 1: 512, 2: 512, (3,): 0}
    assert set(found[1, 2][:, 3].tolist()) == {0, 1, 2, 7}
    assert set(found[2][:, 3].tolist()) == {1, 7}


def test_a_class_without_voxels_has_no_rows():
    rows = by_lesion(np.zeros((3, 4, 5), np.int16), {1: []})[1]
    assert rows.shape == (0, 4)


def test_what_stands_for_all_annotated_voxels_is_left_as_it_is():
    annotated = np.array([[0, 1, 1, 1], [0, 2, 2, 2]])
    found = by_lesion(two_lesions(), {1: [], (-1, 0, 1): annotated})
    assert found[-1, 0, 1] is annotated
    assert list(found) == [1, (-1, 0, 1)]


def test_keys_of_numpys_own_are_classes():
    locations: dict[Any, list] = {np.int64(1): []}
    assert len(by_lesion(two_lesions(), locations)[1]) == 512


@given(st.integers(0, 10_000), st.floats(0.01, 0.4))
def test_as_scipy_counts_them_all_lesions_have_the_same_number_of_rows_and_they_lie_on_them(seed, share):
    mask = np.random.default_rng(seed).random((4, 6, 7)) < share
    labelled, n_lesions = ndimage.label(mask, np.ones((3, 3, 3)))
    rows = by_lesion(mask.astype(np.int16), {1: []})[1]
    on = labelled[tuple(rows[:, 1:].T)]
    assert np.bincount(on, minlength=n_lesions + 1).tolist() == [0] + [VOXELS_PER_LESION] * n_lesions
    assert not rows[:, 0].any()


class DataSet:
    """A preprocessed data set of nnU-Net's kind: one case, four sequences, two lesions."""

    identifiers = ("P",)

    def load_case(self, identifier: str) -> tuple:
        segmentation = two_lesions()[None]
        locations = DefaultPreprocessor._sample_foreground_locations(segmentation, [1])
        data = np.random.default_rng(0).normal(size=(4, *segmentation.shape[1:])).astype(np.float32)
        return data, segmentation, None, {"class_locations": locations, "spacing": [1, 1, 1]}


def test_of_a_case_nothing_else_is_changed():
    stock = DataSet()
    ours = BalancedByLesion(stock)
    assert ours.identifiers == ("P",)
    (data, segmentation, previous, properties), expected = ours.load_case("P"), stock.load_case("P")
    assert np.array_equal(data, expected[0])
    assert np.array_equal(segmentation, expected[1])
    assert previous is None
    assert properties["spacing"] == [1, 1, 1]
    assert len(expected[3]["class_locations"][1]) == 1000
    assert len(properties["class_locations"][1]) == 512


@pytest.fixture
def loaders(make_trainer, monkeypatch):
    """``loaders(name, how)`` -> nnU-Net's data loaders of the case with two lesions, for training and validation."""
    monkeypatch.setattr(nnUNetTrainer, "get_tr_and_val_datasets", lambda self: (DataSet(), DataSet()))

    def make(name: str, forced_foreground: str, configuration: str):
        trainer = make_trainer(name, configuration=configuration)
        trainer.forced_foreground = forced_foreground
        trainer.initialize()
        return [augmenter.data_loader for augmenter in trainer.get_dataloaders()]

    return make


def centre_slices(loader, n: int = 400) -> np.ndarray:
    """Of patches that are centred on the foreground."""
    data, _, _, properties = loader._data.load_case("P")
    np.random.seed(0)
    boxes = [loader.get_bbox(data.shape[1:], True, properties["class_locations"]) for _ in range(n)]
    return np.array([begin[0] + loader.patch_size[0] // 2 for begin, _ in boxes])


@pytest.mark.parametrize("name", ["TinyStock", "TinyStockSeqDropout", "TinyDeepLab", "TinyPlusSeqDropout"])
def test_small_lesions_are_drawn_as_often_as_large_ones(loaders, name):
    training, validation = loaders(name, "lesions", "2d")
    drawn = centre_slices(training)
    # of 400 patches 200, within four standard deviations of 10
    assert 160 < (drawn == SMALL_Z).sum() < 240
    assert np.isin(drawn, [SMALL_Z, *LARGE_Z]).all()
    # the validation is that of nnU-Net: one voxel of a thousand
    assert (centre_slices(validation) == SMALL_Z).sum() < 5


@pytest.mark.parametrize("name", ["TinyStock", "TinyPlus"])
def test_by_default_a_lesion_is_drawn_as_often_as_it_is_large(loaders, name):
    training, _ = loaders(name, "voxels", "2d")
    assert (centre_slices(training) == SMALL_Z).sum() < 5
