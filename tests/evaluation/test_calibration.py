"""Thresholds of validation patients: counted by hand, against a slow second version, and through the commands."""

import json
import math

import numpy as np
import pytest
from example_folders import evaluate, patient, rows, save, save_npz, write_folders
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evaluation.inputs.calibration import FLAT_WITHIN, calibrate
from evaluation.inputs.folders import Folders
from evaluation.inputs.thresholds import Threshold, Thresholds, read_thresholds
from evaluation.metrics.voxel.voxels import overlap
from nnunet_seqdropout.cli.command import main


def write(folder, **patients):
    """patients: name -> reference and probabilities, along x."""
    for name, (reference, probability) in patients.items():
        save(np.array(reference, np.uint8)[None, None], folder / "val_gt" / f"{name}.nii.gz")
        save_npz(np.array(probability, np.float32)[None, None], folder / "val_p", name)
    return Folders(folder / "val_gt", folder / "val_p")


def test_the_highest_mean_dice_counted_by_hand(tmp_path):
    """P: two lesion voxels of .8 and .4, background of .6 and 0. Q: a lesion voxel of .9, background of .5 and 0.

    Dice of P and Q at .4: 4/5, 2/3; at .8: 2/3, 1; at .9: 0, 1. The highest mean, .833, is that at .8.
    """
    folders = write(tmp_path, P=([1, 1, 0, 0], [0.8, 0.4, 0.6, 0.0]), Q=([1, 0, 0, 0], [0.9, 0.5, 0.0, 0.0]))
    threshold = calibrate(folders)[0]["dice"].by_pattern[""]
    assert threshold.value == pytest.approx(0.8)
    assert threshold.dice == pytest.approx((2 / 3 + 1) / 2)
    assert (threshold.n_patients, threshold.n_lesions, threshold.n_found, threshold.fp_per_patient) == (2, 2, 2, 0)


def test_the_range_in_which_the_dice_hardly_changes_is_named(tmp_path):
    """100 lesion voxels of .5, one of .4, one of .3: without the last the Dice is 202/203, without both 200/202."""
    lesion = [0.5] * 100 + [0.4, 0.3]
    folders = write(tmp_path, P=([1] * 102 + [0], [*lesion, 0.0]))
    threshold = calibrate(folders)[0]["dice"].by_pattern[""]
    assert threshold.dice == 1
    assert (threshold.value, threshold.flat_from, threshold.flat_to) == pytest.approx((0.3, 0.3, 0.5))
    assert FLAT_WITHIN > 1 - 200 / 202


def test_of_equally_good_thresholds_the_highest_is_taken(tmp_path):
    """At .3 all four voxels, two of them lesion; at .9 one of the two lesion voxels: a Dice of 2/3 both times."""
    folders = write(tmp_path, P=([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.4]))
    assert calibrate(folders)[0]["dice"].by_pattern[""].value == pytest.approx(0.9)


def test_the_range_ends_where_the_dice_falls_on_either_side(tmp_path):
    """Lesion voxels of .9, .8 and .2, twenty of the background at .5: Dice 1/2, 4/5 and 6/26."""
    folders = write(tmp_path, P=([1, 1, 1] + [0] * 20, [0.9, 0.8, 0.2] + [0.5] * 20))
    threshold = calibrate(folders)[0]["dice"].by_pattern[""]
    assert (threshold.value, threshold.flat_from, threshold.flat_to) == pytest.approx((0.8, 0.8, 0.8))


def test_a_threshold_far_below_a_hundredth_is_found(tmp_path):
    """No grid: the lesion has .0004, the background .0002."""
    folders = write(tmp_path, P=([1, 0, 0], [0.0004, 0.0002, 0.0]))
    assert calibrate(folders)[0]["dice"].by_pattern[""].value == pytest.approx(0.0004)


probabilities = st.sampled_from([step / 8 for step in range(9)])


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(arrays(bool, 12, elements=st.booleans()), arrays(np.float32, 12, elements=probabilities)),
        min_size=1,
        max_size=3,
    ).filter(lambda patients: any(reference.any() for reference, _ in patients))
)
def test_no_other_value_has_a_higher_mean_dice(tmp_path_factory, patients):
    folder = tmp_path_factory.mktemp("dice")
    folders = write(folder, **{f"P{i}": each for i, each in enumerate(patients)})
    threshold = calibrate(folders)[0]["dice"].by_pattern[""]

    def mean_dice(value):
        dice = [overlap(reference, probability >= value).dice for reference, probability in patients]
        defined = [each for each in dice if not math.isnan(each)]
        return np.mean(defined) if defined else 0

    every = {float(value) for _, probability in patients for value in probability}
    assert threshold.dice == pytest.approx(max(mean_dice(value) for value in every))
    assert threshold.dice == pytest.approx(mean_dice(threshold.value))


@pytest.fixture
def folders(tmp_path):
    return write_folders(tmp_path)


def calibrated(folders, *options):
    paths = ("-gt", folders / "val_gt", "-p", folders / "val_p", "-o", folders / "t.json")
    return main([str(word) for word in ("calibrate", *paths, *options)])


def test_calibrate_takes_the_dice_and_says_what_it_does(folders, capsys):
    """The second object of .72 is no lesion: at .9, half of the first lesion less, the Dice is lower than at .4."""
    assert calibrated(folders) == 0
    content = json.loads((folders / "t.json").read_text())
    assert content["method"] == "dice"
    said = capsys.readouterr().out
    value = content["thresholds"][""]["value"]
    assert f"{value:.4g}  all (2 patients)" in said
    assert "lesions found" in said
    assert "the mean Dice is within 0.01 of the highest" in said


@pytest.mark.parametrize(
    ("options", "method"),
    [
        ((), "dice"),
        (("--threshold-from", "dice"), "dice"),
        (("--method", "youden"), "youden_pooled"),
        (("--fp-budget", 1), "fp_budget"),
    ],
)
def test_the_method_is_chosen_by_a_flag(folders, options, method):
    assert calibrated(folders, *options, "--force") == 0
    assert read_thresholds(folders / "t.json", target="1").method == method


def test_a_threshold_below_a_hundredth_is_written_only_if_forced(tmp_path, capsys):
    write(tmp_path, P=([1, 0, 0], [0.004, 0.002, 0.0]))
    assert calibrated(tmp_path) == 2
    said = capsys.readouterr().err
    assert "the threshold is 0.004" in said
    assert "--force" in said
    assert not (tmp_path / "t.json").exists()
    assert calibrated(tmp_path, "--force") == 0
    written = json.loads((tmp_path / "t.json").read_text())
    assert written["thresholds"][""]["value"] == pytest.approx(0.004)
    assert written["settings"]["forced"].startswith("the threshold is 0.004")


def test_evaluate_sets_the_papers_threshold_beside_the_best_dice(folders):
    validation = ("--val-gt", folders / "val_gt", "--val-p", folders / "val_p")
    assert evaluate(folders, *validation) == 0
    assert evaluate(folders, *validation, "--threshold-from", "youden", out="youden") == 0
    by_method: dict[str, list] = {}
    for row in rows(folders / "out" / "protocols.csv"):
        by_method.setdefault(row["method"], []).append(row)
    assert list(by_method) == ["dice", "youden_pooled"]
    for out, method in (("out", "dice"), ("youden", "youden_pooled")):
        cases = rows(folders / out / "cases.csv")
        for metric in ("auc", "dice", "recall", "precision", "fp", "fp_10mm3"):
            assert [row[metric] for row in by_method[method]] == [row[metric] for row in cases]
        used = json.loads((folders / out / "summary.json").read_text())["threshold"]
        assert used["method"] == method
        assert {float(row["threshold"]) for row in by_method[method]} == {used["values"][""]["value"]}


def test_the_averages_of_both_are_in_the_summary(folders):
    assert evaluate(folders, "--val-gt", folders / "val_gt", "--val-p", folders / "val_p") == 0
    summary = json.loads((folders / "out" / "summary.json").read_text())
    assert [each["method"] for each in summary["protocols"]] == ["dice", "youden_pooled"]
    assert summary["protocols"][0]["metrics"]["dice"] == summary["metrics"]["dice"]


def test_without_validation_patients_there_is_one_row_only(folders):
    assert evaluate(folders, "--val-gt", folders / "val_gt", "--val-p", folders / "val_p") == 0
    assert evaluate(folders, "--threshold", 0.5) == 0
    assert not (folders / "out" / "protocols.csv").exists()
    assert json.loads((folders / "out" / "summary.json").read_text())["protocols"] == []


def test_a_patient_cannot_be_validation_and_test_at_once(folders, capsys):
    reference, probability = patient(0)
    save(reference, folders / "val_gt" / "P0.nii.gz")
    save_npz(probability, folders / "val_p", "P0")
    assert evaluate(folders, "--val-gt", folders / "val_gt", "--val-p", folders / "val_p") == 2
    assert "P0 is a validation patient and is evaluated, too" in capsys.readouterr().err
    assert evaluate(folders, "--val-gt", folders / "test_gt", "--val-p", folders / "test_p") == 2


def test_the_same_patient_in_another_file_is_the_same(folders, capsys):
    reference, probability = patient(0)
    save(reference, folders / "val_gt" / "P0.nii")
    save_npz(probability, folders / "val_p", "P0")
    assert evaluate(folders, "--val-gt", folders / "val_gt", "--val-p", folders / "val_p") == 2
    assert "P0 is a validation patient and is evaluated, too" in capsys.readouterr().err


def test_intervals_of_all_ways_end_at_the_range_of_the_metric(folders):
    assert evaluate(folders, "--val-gt", folders / "val_gt", "--val-p", folders / "val_p") == 0
    for way in json.loads((folders / "out" / "summary.json").read_text())["protocols"]:
        assert all(average["ci_low"] >= 0 for average in way["metrics"].values())
        assert way["metrics"]["auc"]["ci_high"] <= 1


def test_the_budget_is_kept_from_the_threshold_on_counted_by_hand(tmp_path):
    """Two false objects at .3 that a bridge of .1 joins: one up to .1, two up to .3, none from .31 on."""
    folders = write(tmp_path, P=([0, 0, 0, 0, 1], [0.3, 0.1, 0.3, 0.0, 0.9]))
    lowest = {budget: calibrate(folders, fp_budget=budget)[0]["fp_budget"].by_pattern[""] for budget in (0, 1, 2)}
    assert {budget: threshold.value for budget, threshold in lowest.items()} == {0: 0.31, 1: 0.31, 2: 0.01}


def test_a_pattern_without_lesions_has_the_budget_alone_and_is_evaluated(tmp_path):
    """Nobody to calibrate the Dice on, and nothing predicted: no Dice, which JSON has no NaN for."""
    write(tmp_path, P=([0, 0, 0], [0.0, 0.0, 0.0]), Q=([1, 0, 0], [0.9, 0.1, 0.0]))
    (tmp_path / "val_p" / "P.json").write_text('{"pattern": "b"}')
    (tmp_path / "val_p" / "Q.json").write_text('{"pattern": "a"}')
    save(np.array([[[1, 0, 0]]], np.uint8), tmp_path / "test_gt" / "T.nii.gz")
    save_npz(np.array([[[0.9, 0.1, 0.0]]], np.float32), tmp_path / "test_p", "T")
    (tmp_path / "test_p" / "T.json").write_text('{"pattern": "b"}')
    validation = ("--val-gt", tmp_path / "val_gt", "--val-p", tmp_path / "val_p", "--fp-budget", 0)
    assert evaluate(tmp_path, *validation) == 0
    written = json.loads((tmp_path / "out" / "thresholds.json").read_text(), parse_constant=pytest.fail)
    assert written["thresholds"]["b"]["dice"] is None
    assert [row["method"] for row in rows(tmp_path / "out" / "protocols.csv")] == ["fp_budget"]


def test_a_threshold_below_a_hundredth_stands_in_the_warnings(tmp_path):
    write(tmp_path, P=([1, 0, 0], [0.004, 0.002, 0.0]))
    save(np.array([[[1, 0, 0]]], np.uint8), tmp_path / "test_gt" / "T.nii.gz")
    save_npz(np.array([[[0.9, 0.1, 0.0]]], np.float32), tmp_path / "test_p", "T")
    assert evaluate(tmp_path, "--val-gt", tmp_path / "val_gt", "--val-p", tmp_path / "val_p") == 0
    warnings = json.loads((tmp_path / "out" / "summary.json").read_text())["warnings"]
    assert any(said.startswith("The threshold is 0.004") for said in warnings)


@pytest.mark.parametrize("changed", [{"dice": "high"}, {"n_patients": True}, {"fp_per_patient": []}])
def test_a_field_that_is_no_number_is_named(folders, changed, capsys):
    assert calibrated(folders) == 0
    content = json.loads((folders / "t.json").read_text())
    content["thresholds"][""] |= changed
    (folders / "t.json").write_text(json.dumps(content))
    assert evaluate(folders, "--threshold-file", folders / "t.json") == 2
    assert f"thresholds[''].{next(iter(changed))} should be a " in capsys.readouterr().err


def test_thresholds_of_an_earlier_version_are_read_and_described(folders):
    Thresholds("1", "youden_pooled", {"a+b": Threshold(0.2, 3, 0.9)}).write(folders / "t.json")
    content = json.loads((folders / "t.json").read_text())
    content["thresholds"]["a+b"] = {"value": 0.2, "n_patients": 3, "youden": 0.9}
    (folders / "t.json").write_text(json.dumps(content))
    described = list(read_thresholds(folders / "t.json", target="1").described())
    assert described == ["0.2  a+b (3 patients)", "    Youden index of the pooled voxels 0.9"]
