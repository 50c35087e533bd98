"""One patient is not ``1 patients``, on the screen and on a page."""

import numpy as np
import pytest
from conftest import write_dataset
from example_folders import patient, save, save_npz

from dataset_conversion.plurals import all_are, n_of
from nnunet_seqdropout.cli.command import main


@pytest.mark.parametrize(
    ("n", "said"),
    [(0, "0 lesions"), (1, "1 lesion"), (1.5, "1.5 lesions"), (2.0, "2 lesions"), (1234, "1,234 lesions")],
)
def test_the_noun_follows_the_number(n, said):
    assert n_of(n, "lesion") == said


@pytest.mark.parametrize(("n", "said"), [(1, "the only label is"), (2, "all 2 labels are")])
def test_all_of_one_is_the_only_one(n, said):
    assert all_are(n, "label") == said


def test_a_check_of_one_case_with_one_fault_of_each_kind_is_in_the_singular(tmp_path, capsys):
    folder = tmp_path / "Dataset001_A"
    write_dataset(folder, {"A": (4, 5, 6)}, sequences=("t1_gd", "flair"))
    voxels = np.ones((4, 5, 6), np.float32)
    voxels[0, 0, 0] = np.nan
    save(voxels, folder / "imagesTr" / "A_0001.nii.gz")
    label = np.zeros((4, 5, 6), np.uint8)
    save(label, folder / "labelsTr" / "A.nii.gz")
    description = (folder / "dataset.json").read_text().replace('"numTraining": 1', '"numTraining": 2')
    (folder / "dataset.json").write_text(description)
    assert main(["check", "-i", str(folder)]) == 1
    label[0, 0, 0] = 7
    save(label, folder / "labelsTr" / "A.nii.gz")
    assert main(["check", "-i", str(folder)]) == 1
    printed = capsys.readouterr().out
    for said in (
        "1 voxel is NaN or infinite",
        "labelsTr: the only label is empty",
        "imagesTr has 1 case.",
        "unknown label values 7 (1 voxel)",
        "1 case, 1 of them with faults",
    ):
        assert said in printed
    assert " 1 voxels" not in printed


def test_an_evaluation_of_one_patient_with_one_lesion_is_in_the_singular(tmp_path, capsys):
    reference, probability = patient(0)
    reference[3] = 0
    save(reference, tmp_path / "gt" / "P.nii.gz")
    save_npz(probability, tmp_path / "p", "P")
    words = ("evaluate", "-gt", tmp_path / "gt", "-p", tmp_path / "p", "-o", tmp_path / "out")
    assert main([str(word) for word in words]) == 0
    printed = capsys.readouterr().out
    assert "1 patient; threshold" in printed
    assert "1 of 1 lesion found, 1 false positive\n" in printed
    page = (tmp_path / "out" / "report.html").read_text()
    assert "1 patient, 1 lesion in the reference" in page
    assert "1 lesion has a predicted object of its own" in page
    for wrong in ("1 patients", "1 lesions", "1 false positives"):
        assert f" {wrong}" not in page + printed
