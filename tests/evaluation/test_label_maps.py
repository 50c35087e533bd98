"""Which voxels of a label map are the target, which count on neither side, and which labels there can be."""

import json

import nibabel as nib
import numpy as np
import pytest
from example_folders import evaluate, rows, save, save_npz, write_folders

from evaluation.inputs.folders import Folders
from nnunet_seqdropout.cli.command import main

SHAPE = (6, 12, 12)


def declare(folder, **labels):
    description = {"channel_names": {"0": "t1_gd"}, "labels": {"background": 0, **labels}, "file_ending": ".nii.gz"}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({**description, "numTraining": 1}))


@pytest.fixture
def partly_ignored(tmp_path):
    """One lesion of 8 voxels, found exactly; the right half is ignored, and holds an object and high probabilities."""
    reference = np.zeros(SHAPE, np.uint8)
    reference[2:4, 2:4, 2:4] = 1
    predicted = reference.copy()
    predicted[2:4, 2:4, 8:10] = 1
    probability = np.where(predicted, 0.9, 0.1).astype(np.float32)
    probability[:, :, 6:] = 0.95
    reference[:, :, 6:] = 2
    for part in ("test", "val"):
        save(reference, tmp_path / f"{part}_gt" / "P0.nii.gz")
    save(predicted, tmp_path / "test_p" / "P0.nii.gz")
    save_npz(probability, tmp_path / "test_pp", "P0")
    for folder in ("test_p", "test_pp"):
        declare(tmp_path / folder, lesion=1, ignore=2)
    return tmp_path


def test_the_ignore_label_counts_on_neither_side_of_label_maps(partly_ignored):
    assert evaluate(partly_ignored) == 0
    (row,) = rows(partly_ignored / "out" / "cases.csv")
    assert (row["dice"], row["fp"], row["n_objects"], row["n_lesions"]) == ("1.0", "0", "1", "1")


def test_the_ignore_label_counts_on_neither_side_of_probabilities(partly_ignored):
    (partly_ignored / "test_p").rename(partly_ignored / "maps")
    (partly_ignored / "test_pp").rename(partly_ignored / "test_p")
    assert evaluate(partly_ignored) == 0
    (row,) = rows(partly_ignored / "out" / "cases.csv")
    assert (row["dice"], row["auc"], row["fp"]) == ("1.0", "1.0", "0")


def test_the_summary_names_the_ignore_label(partly_ignored):
    evaluate(partly_ignored)
    summary = json.loads((partly_ignored / "out" / "summary.json").read_text())
    assert summary["settings"]["ignore_label"] == 2
    assert "Voxels that a reference marks to be ignored (label 2) count on neither side." in summary["warnings"]


def test_a_threshold_is_calibrated_on_the_voxels_that_count(partly_ignored):
    """Counted with the right half, no threshold between 0.1 and 0.9 would be better than another above 0.95."""
    file = partly_ignored / "thresholds.json"
    folders = ("-gt", partly_ignored / "test_gt", "-p", partly_ignored / "test_pp", "-o", file)
    assert main(["calibrate", *map(str, folders), "--method", "youden"]) == 0
    (threshold,) = json.loads(file.read_text())["thresholds"].values()
    assert threshold["value"] == pytest.approx(0.9)
    assert threshold["youden"] == 1


def test_a_mask_and_the_ignore_label_leave_out_what_either_does(partly_ignored):
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, :, 3:] = 1  # half of the lesion
    save(mask, partly_ignored / "masks" / "P0.nii.gz")
    assert evaluate(partly_ignored, "--mask", partly_ignored / "masks") == 0
    (row,) = rows(partly_ignored / "out" / "cases.csv")
    assert (float(row["volume_reference_mm3"]), row["dice"]) == (4 * 2.5, "1.0")


def test_a_patient_of_whom_all_is_ignored_is_named(partly_ignored, capsys):
    save(np.full(SHAPE, 2, np.uint8), partly_ignored / "test_gt" / "P0.nii.gz")
    assert evaluate(partly_ignored) == 2
    assert "no voxel counts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "option", "problem"),
    [
        ({"lesion": 1}, ("--label", 7), "no label 7. Choose among its labels and regions: lesion (1)"),
        ({"lesion": 1, "ignore": 2}, ("--label", 2), "no label 2"),
        (
            {"whole": [1, 2], "core": [2]},
            ("--label", 1),
            "no label 1. Choose among its labels and regions: whole (1,2)",
        ),
        ({"whole": [1, 2], "core": [2]}, ("--region", "1,3"), "no region 1,3"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
def test_a_label_that_does_not_exist_is_refused_before_the_first_case(
    tmp_path, capsys, labels, option, problem, command
):
    folders = write_folders(tmp_path)
    declare(folders / "test_p", **labels)
    paths = map(str, ("-gt", folders / "test_gt", "-p", folders / "test_p", "-o", folders / "out"))
    assert main([command, *paths, *map(str, option)]) == 2
    said = capsys.readouterr().err
    assert problem in said
    assert "P0" not in said
    assert not (folders / "out").exists()


def test_a_label_that_occurs_nowhere_is_refused_without_a_dataset_json(tmp_path, capsys):
    folders = write_folders(tmp_path)
    for file in (folders / "test_p").glob("*.npz"):
        file.unlink()
    assert evaluate(folders, "--label", 7) == 2
    assert "label 7 occurs in no reference and in no prediction" in capsys.readouterr().err


def test_the_probabilities_of_another_label_are_refused(tmp_path):
    folders = write_folders(tmp_path)
    save(np.zeros((4, 6, 8), np.float32), folders / "test_p" / "P0_prob.nii.gz")
    (folders / "test_p" / "P0.json").write_text(json.dumps({"pattern": "t1_gd", "target": "2"}))
    assert evaluate(folders) == 1
    problem = json.loads((folders / "out" / "summary.json").read_text())["cases"]["P0"]["problem"]
    assert "the probabilities of 2, not of 1" in problem


@pytest.mark.parametrize("content", ["[1, 2]", '{"EchoTime": 0.02}'])
def test_the_sidecar_of_another_tool_is_not_read(tmp_path, content):
    folders = write_folders(tmp_path)
    (folders / "test_p" / "P0.json").write_text(content)
    assert Folders(folders / "test_gt", folders / "test_p").pattern("P0") == ""
    assert evaluate(folders) == 0


@pytest.mark.parametrize("top", [255, 65535])
def test_a_mask_stored_with_a_slope_is_one_of_whole_numbers(tmp_path, top):
    """top times 1/top is not 1 in single precision, and is meant to be."""
    folders = write_folders(tmp_path)
    file = folders / "test_gt" / "P0.nii.gz"
    stored = nib.Nifti1Image.from_filename(file)
    image = nib.Nifti1Image(np.asarray(stored.dataobj).astype(np.uint16) * np.uint16(top), stored.affine)
    image.header.set_slope_inter(1 / top, 0)
    expected = Folders(folders / "test_gt", folders / "test_p").read("P0").reference
    nib.save(image, file)
    assert np.array_equal(Folders(folders / "test_gt", folders / "test_p").read("P0").reference, expected)
    assert evaluate(folders) == 0


def test_values_that_are_replaced_by_the_ignore_label_are_ignored(partly_ignored):
    """5 stands for 2: as the reference with 2 itself."""
    assert evaluate(partly_ignored, out="two") == 0
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[2:4, 2:4, 2:4] = 1
    voxels[:, :, 6:] = 5
    save(voxels, partly_ignored / "test_gt" / "P0.nii.gz")
    assert evaluate(partly_ignored, "--map", "5=2", out="five") == 0
    two, five = (rows(partly_ignored / out / "cases.csv") for out in ("two", "five"))
    assert two == five


@pytest.mark.parametrize("written", ["2", [2]])
def test_the_ignore_label_may_be_written_as_other_labels_may(partly_ignored, written):
    declare(partly_ignored / "test_p", lesion=1, ignore=written)
    assert evaluate(partly_ignored) == 0
    (row,) = rows(partly_ignored / "out" / "cases.csv")
    assert (row["dice"], row["fp"]) == ("1.0", "0")


def test_several_ignore_labels_are_refused(partly_ignored, capsys):
    declare(partly_ignored / "test_p", lesion=1, ignore=[2, 3])
    assert evaluate(partly_ignored) == 2
    assert "labels.ignore should be a single label, and is [2, 3]" in capsys.readouterr().err
