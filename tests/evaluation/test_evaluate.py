"""``seqdropout evaluate`` and ``compare`` from folders to tables: thresholds, bad input, what stands in the files."""

import json
from dataclasses import replace
from math import isnan

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from example_evaluation import example
from example_folders import SHAPE, evaluate, patient, rows, save, save_npz, write_folders
from joblib import parallel_config

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.nifti_writing import write_probability
from evaluation.inputs.calibration import BUDGET_GRID, calibrate, lowest_within_budget
from evaluation.inputs.folders import Folders
from evaluation.inputs.target import Target
from evaluation.inputs.thresholds import Threshold, Thresholds, read_thresholds
from evaluation.tables.comparison import compare as compare_evaluations
from evaluation.tables.evaluate import evaluate_folders
from evaluation.tables.results import SINCE_0_2, read_evaluation
from nnunet_seqdropout.cli.command import main


@pytest.fixture
def folders(tmp_path):
    return write_folders(tmp_path)


def test_the_tables_hold_what_was_counted_by_hand(folders, capsys):
    assert evaluate(folders) == 0
    out = folders / "out"
    assert (out / "cases.csv").read_text().splitlines()[0] == (
        "case,pattern,auc,dice,precision,recall,n_lesions,n_found,sensitivity,n_objects,fp,fp_10mm3,found_10mm3,"
        "volume_reference_mm3,volume_predicted_mm3,voxel_mm3,iou,hd95_mm,nsd,auprc,brier,"
        "lesion_f1,lesion_dice,lesion_hd95_mm,lesion_nsd,lesion_f1_small"
    )
    for row in rows(out / "cases.csv"):
        # 8 lesion voxels of 2.5 mm3, 7 predicted, 4 common; the object of 6 voxels finds the larger lesion
        assert float(row["dice"]) == pytest.approx(2 * 4 / 15)
        assert (row["n_lesions"], row["n_found"], row["n_objects"], row["fp"]) == ("2", "1", "2", "1")
        assert (row["fp_10mm3"], row["found_10mm3"]) == ("0", "1")
        # 8 and 7 voxels, 4 of them common; the found lesion of 10 mm3 and object of 15 have a Dice of 8 / 10
        assert float(row["iou"]) == pytest.approx(4 / 11)
        assert (float(row["lesion_f1"]), row["lesion_dice"]) == (2 / 4, "")
        assert (float(row["volume_reference_mm3"]), float(row["volume_predicted_mm3"])) == (20, 17.5)
    assert (out / "lesions.csv").read_text().splitlines()[0] == (
        "case,side,object,volume_mm3,diameter_mm,x_mm,y_mm,z_mm,status,matches,p_max,p_mean,iou,dice"
    )
    assert [row["status"] for row in rows(out / "lesions.csv")] == ["found", "missed", "true", "false"] * 3
    assert list(rows(out / "roc.csv")[0]) == ["fpr", "tpr_mean", "tpr_low", "tpr_high", "n"]
    froc = {float(row["threshold"]): row for row in rows(out / "froc.csv")}
    # from .7 down to .45 the false object counts, at .4 the second lesion is found, too
    assert [froc[t]["sensitivity"] for t in (0.4, 0.5, 0.75)] == ["1.0", "0.5", "0.5"]
    assert [float(froc[t]["fp_per_patient"]) for t in (0.4, 0.7, 0.75)] == [1, 1, 0]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["metrics"]["dice"]["mean"] == pytest.approx(8 / 15)
    assert summary["threshold"]["method"] == "default"
    assert "0.5" in summary["threshold"]["source"]
    assert "3 of 6 lesions found, 3 false positives" in capsys.readouterr().out


def test_a_map_in_sixteen_bits_gives_the_same(folders):
    assert evaluate(folders) == 0
    for file in list((folders / "test_p").glob("*.npz")):
        _, probability = patient(int(file.stem[1:]))
        grid = sitk.ReadImage(str(folders / "test_gt" / f"{file.stem}.nii.gz"))
        write_probability(probability, grid, folders / "test_p" / f"{file.stem}_prob.nii.gz")
        file.unlink()
    assert evaluate(folders, out="bits") == 0
    exact, coded = (read_evaluation(folders / out).cases for out in ("out", "bits"))
    pd.testing.assert_frame_equal(exact, coded, rtol=1e-4)


def test_probabilities_too_small_for_sixteen_bits_are_said_and_counted_as_float32(folders):
    """A hundred-thousandth is enough for a curve, but rounded to steps of 1/65535 it is 0."""
    assert evaluate(folders) == 0
    for file in list((folders / "test_p").glob("*.npz")):
        file.unlink()
    found = {}
    for stored_as in ("uint16", "float32"):
        for file in (folders / "test_gt").glob("*.nii.gz"):
            _, probability = patient(int(file.name[1:].removesuffix(".nii.gz")))
            tiny, grid = probability.astype(np.float32) / 2**17, sitk.ReadImage(str(file))
            path = folders / "test_p" / f"{file.name.removesuffix('.nii.gz')}_prob.nii.gz"
            write_probability(tiny, grid, path, stored_as=stored_as)
        assert evaluate(folders, out=stored_as) == 0
        found[stored_as] = read_evaluation(folders / stored_as)
    (warning,) = found["uint16"].summary["warnings"]
    assert "of the lesion voxels have the probability 0" in warning
    assert "--save_probabilities float32" in warning
    assert not found["float32"].summary["warnings"]
    exact = read_evaluation(folders / "out").cases["auc"]
    np.testing.assert_allclose(found["float32"].cases["auc"], exact)
    assert (found["uint16"].cases["auc"] < exact).all()


def test_limits_make_columns_of_their_own(folders):
    assert evaluate(folders, "--min-volume-mm3", "2.5,15,15.1") == 0
    row = rows(folders / "out" / "cases.csv")[0]
    assert [row[name] for name in ("fp_2.5mm3", "fp_15mm3", "found_15mm3", "found_15.1mm3")] == ["1", "0", "1", "0"]


def test_youden_of_the_validation_patients_is_used_and_written_down_where_it_is_asked_for(folders):
    validation = ("--val-gt", folders / "val_gt", "--val-p", folders / "val_p")
    assert evaluate(folders, *validation, "--threshold-from", "youden") == 0
    content = json.loads((folders / "out" / "thresholds.json").read_text())
    pooled = [patient(seed) for seed in (3, 4)]
    reference = np.concatenate([r.ravel() for r, _ in pooled]) > 0
    probability = np.concatenate([p.ravel() for _, p in pooled])
    index = [
        (np.mean(probability[reference] >= v) - np.mean(probability[~reference] >= v), v)
        for v in np.unique(probability)
    ]
    assert content["thresholds"][""]["value"] == max(index)[1]
    assert content["thresholds"][""]["youden"] == pytest.approx(max(index)[0])
    assert (content["method"], content["target"], content["thresholds"][""]["n_patients"]) == ("youden_pooled", "1", 2)
    before = (folders / "out" / "cases.csv").read_bytes()
    assert evaluate(folders, "--threshold-file", folders / "out" / "thresholds.json", out="again") == 0
    assert (folders / "again" / "cases.csv").read_bytes() == before


def test_a_budget_of_false_positives_takes_the_lowest_threshold_that_keeps_to_it(folders):
    found, _ = calibrate(Folders(folders / "val_gt", folders / "val_p"), fp_budget=0.5)
    threshold = found["fp_budget"].by_pattern[""]
    # the false object of .72 is gone from .73 on, and so is the second lesion of each patient
    assert (threshold.value, threshold.n_patients, threshold.fp_per_patient) == (0.73, 2, 0)
    assert (threshold.n_found, threshold.n_lesions) == (2, 4)


def test_a_budget_that_is_used_up_exactly_is_kept():
    # one and three false positives up to .2, one and one from .21 on: 2 each, then 1
    counts = {case: np.zeros((len(BUDGET_GRID), 2), int) for case in "PQ"}
    counts["P"][:, 1] = 1
    counts["Q"][:, 1] = [3] * 20 + [1] * 79
    assert [lowest_within_budget([*counts.values()], budget) for budget in (1, 1.9, 2)] == [0.21, 0.21, 0.01]


def test_a_budget_that_cannot_be_kept_is_an_error():
    counts = np.zeros((len(BUDGET_GRID), 2), int)
    counts[:, 1] = 3
    with pytest.raises(Fault, match=r"3 false positives per patient even at 0\.99"):
        lowest_within_budget([counts], 1)


@pytest.mark.parametrize(("options", "value"), [((), 0.6), (("--fp-budget", 0), 0.31)])
def test_a_threshold_is_chosen_by_what_lies_inside_the_validation_patients_masks(tmp_path, options, value):
    """Inside lie a lesion of .8 and .6 and a false object of .3: at .6 all is found, from .31 on nothing is false.

    Outside lie a lesion of .1 and a false object of .9: with these it would be .1, and .91.
    """
    reference, probability = np.zeros((1, 1, 12), np.uint8), np.zeros((1, 1, 12), np.float32)
    reference[..., [0, 1, 6, 7]] = 1
    probability[..., [0, 1, 3, 6, 7, 9, 10]] = (0.8, 0.6, 0.3, 0.1, 0.1, 0.9, 0.9)
    for kind in ("test", "val"):
        save(reference, tmp_path / f"{kind}_gt" / f"{kind}.nii.gz")
        save_npz(probability, tmp_path / f"{kind}_p", kind)
        save((np.arange(12) < 5).astype(np.uint8)[None, None], tmp_path / "masks" / f"{kind}.nii.gz")
    validation = ("--val-gt", tmp_path / "val_gt", "--val-p", tmp_path / "val_p", "--mask", tmp_path / "masks")
    assert evaluate(tmp_path, *validation, *options) == 0
    content = json.loads((tmp_path / "out" / "thresholds.json").read_text())
    assert content["thresholds"][""]["value"] == pytest.approx(value)


@pytest.mark.parametrize("fp_budget", [None, 0.5])
def test_references_of_others_may_lie_beside_those_of_the_validation_patients(folders, fp_budget):
    validation = Folders(folders / "val_gt", folders / "val_p")
    alone, _ = calibrate(validation, fp_budget=fp_budget)
    save(patient(0)[0], folders / "val_gt" / "P0.nii.gz")
    thresholds, outcomes = calibrate(validation, fp_budget=fp_budget)
    assert thresholds == alone
    assert {case: outcome.status for case, outcome in outcomes.items()} == {"P3": "ok", "P4": "ok"}


def test_label_maps_give_all_but_the_curves(folders):
    for file in (folders / "test_p").glob("*.npz"):
        file.unlink()
    assert evaluate(folders) == 0
    assert [row["auc"] for row in rows(folders / "out" / "cases.csv")] == ["", "", ""]
    assert (rows(folders / "out" / "roc.csv"), rows(folders / "out" / "froc.csv")) == ([], [])
    assert [float(row["dice"]) for row in rows(folders / "out" / "cases.csv")] == pytest.approx([8 / 15] * 3)


def test_the_froc_counts_the_lesions_of_those_who_have_probabilities(folders):
    (folders / "test_p" / "P2.npz").unlink()
    assert evaluate(folders) == 0
    # two patients of two lesions; at .4 all are found
    row = next(row for row in rows(folders / "out" / "froc.csv") if float(row["threshold"]) == 0.4)
    assert (row["n_lesions"], float(row["sensitivity"])) == ("4", 1)


@pytest.mark.parametrize(("n_at_0", "is_said"), [(1, False), (3, True)])
def test_of_2000_lesion_voxels_one_with_probability_0_is_not_worth_a_word(tmp_path, n_at_0, is_said):
    probability = np.full((2, 40, 25), 0.9, np.float32)
    probability.flat[:n_at_0] = 0
    save(np.ones((2, 40, 25), np.uint8), tmp_path / "gt" / "P.nii.gz")
    save_npz(probability, tmp_path / "p", "P")
    warnings = evaluate_folders(Folders(tmp_path / "gt", tmp_path / "p"), name="m")[0].summary["warnings"]
    assert [f"{n_at_0 / 20:.1f} % of the lesion voxels" in warning for warning in warnings] == [True] * is_said


def test_patients_without_a_lesion_are_named(folders):
    for seed in (0, 2):
        save(np.zeros(SHAPE, np.uint8), folders / "test_gt" / f"P{seed}.nii.gz")
    evaluation, _ = evaluate_folders(Folders(folders / "test_gt", folders / "test_p"), name="m")
    assert evaluation.summary["warnings"] == ["2 patients have no lesion: P0, P2."]


def test_a_region_is_the_union_of_its_labels(folders):
    reference, _ = patient(0)
    labels = reference * 3
    labels[0, 0, 0] = 1
    labels[1] = 2
    save(labels, folders / "region_gt" / "P.nii.gz")
    save(labels, folders / "region_p" / "P.nii.gz")
    command = [
        "evaluate",
        "-gt",
        folders / "region_gt",
        "-p",
        folders / "region_p",
        "-o",
        folders / "out",
        "--no-report",
    ]
    assert main([str(word) for word in [*command, "--region", "1,3"]]) == 0
    (row,) = rows(folders / "out" / "cases.csv")
    assert (row["dice"], row["n_lesions"], float(row["volume_reference_mm3"])) == ("1.0", "2", 20)


@pytest.mark.parametrize("regions", [False, True])
def test_the_classes_of_a_region_are_added_unless_the_model_has_the_region(folders, regions):
    reference, probability = patient(0)
    names = (
        {"background": 0, "whole": [1, 2, 3], "core": [1, 3]} if regions else {"background": 0, "a": 1, "b": 2, "c": 3}
    )
    channels = (
        [probability * 0, probability]
        if regions
        else [1 - probability, probability / 2, probability * 0, probability / 2]
    )
    folder = folders / "regions_p"
    folder.mkdir()
    (folder / "dataset.json").write_text(json.dumps({"labels": names}))
    np.savez_compressed(folder / "P0.npz", probabilities=np.stack(channels))
    save(reference, folder / "P0.nii.gz")
    volumes = Folders(folders / "test_gt", folder, Target((1, 3))).read("P0")
    assert volumes.probability is not None
    assert np.array_equal(volumes.probability, probability)


def test_only_what_lies_inside_the_masks_counts(folders):
    for seed in range(3):
        mask = np.zeros(SHAPE, np.uint8)
        mask[0] = 1
        save(mask, folders / "masks" / f"P{seed}.nii.gz")
    assert evaluate(folders, "--mask", folders / "masks") == 0
    assert {(row["n_lesions"], row["n_found"], row["fp"]) for row in rows(folders / "out" / "cases.csv")} == {
        ("1", "1", "0")
    }


def test_a_bad_patient_is_named_and_the_others_go_on(folders, caplog):
    (folders / "test_p" / "P1.npz").write_bytes((folders / "test_p" / "P1.npz").read_bytes()[:300])
    (folders / "test_p" / "P2.npz").unlink()
    (folders / "test_p" / "P2.nii.gz").unlink()
    assert evaluate(folders) == 1
    assert [row["case"] for row in rows(folders / "out" / "cases.csv")] == ["P0"]
    cases = json.loads((folders / "out" / "summary.json").read_text())["cases"]
    assert {case: outcome["status"] for case, outcome in cases.items()} == {"P0": "ok", "P1": "failed", "P2": "failed"}
    assert "P1.npz" in cases["P1"]["problem"]
    assert "Predict the case" in cases["P2"]["remedy"]
    assert "P1: " in caplog.text


def test_a_prediction_without_a_reference_is_mentioned(folders):
    (folders / "test_gt" / "P2.nii.gz").unlink()
    assert evaluate(folders) == 0
    cases = json.loads((folders / "out" / "summary.json").read_text())["cases"]
    assert cases["P2"]["status"] == "skipped"


def test_hidden_files_are_no_references(folders):
    (folders / "test_gt" / "._P0.nii.gz").write_bytes(b"of a Mac")
    assert Folders(folders / "test_gt", folders / "test_p").cases() == ["P0", "P1", "P2"]


def test_a_probability_map_belongs_to_its_case(folders):
    """P0 has a map alone, P1 nnU-Net's files, P2 a map without a reference."""
    for case in ("P0", "P2"):
        for file in (folders / "test_p").glob(f"{case}*"):
            file.unlink()
        save(patient(0)[1], folders / "test_p" / f"{case}_prob.nii.gz")
    (folders / "test_gt" / "P2.nii.gz").unlink()
    of_test = Folders(folders / "test_gt", folders / "test_p")
    assert of_test.without_reference() == ["P2"]
    assert of_test.is_predicted("P0")


def changed(folders, **change):
    """One voxel of the reference of P0 set to another value, or its prediction replaced."""
    reference, probability = patient(0)
    if "value" in change:
        voxels = reference.astype(change.get("dtype", np.int16))
        voxels[2, 2, 2] = change["value"]
        save(voxels, folders / "test_gt" / "P0.nii.gz")
    if "origin" in change:
        save(reference, folders / "test_gt" / "P0.nii.gz", origin=change["origin"])
    if "probability" in change:
        probability = probability.copy()
        probability[0, 0, 0] = change["probability"]
        save_npz(probability, folders / "test_p", "P0")
    if "shape" in change:
        save_npz(probability[:3], folders / "test_p", "P0")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"value": 255}, "unknown label values 255 (1 voxel)"),
        ({"value": 4}, "unknown label values 4 (1 voxel)"),
        ({"value": -1}, "unknown label values -1 (1 voxel)"),
        ({"value": 0.5, "dtype": np.float32}, "values that are not whole numbers: 0.5 (1 voxel)"),
        ({"value": np.nan, "dtype": np.float32}, "1 voxel is NaN or infinite"),
        ({"origin": (0, 0, 3.0)}, "the corners are up to 3.0 mm apart"),
        ({"probability": np.nan}, "its values go from nan"),
        ({"probability": 7}, "its values go from"),
        ({"shape": True}, "size (8, 6, 3)"),
    ],
)
def test_bad_input_is_named(folders, change, problem):
    changed(folders, **change)
    assert evaluate(folders) == 1
    assert problem in json.loads((folders / "out" / "summary.json").read_text())["cases"]["P0"]["problem"]


def test_masks_of_0_and_255_can_be_mapped(folders):
    for seed in range(3):
        reference, _ = patient(seed)
        save((reference * 255).astype(np.uint8), folders / "test_gt" / f"P{seed}.nii.gz")
    assert evaluate(folders) == 2
    assert evaluate(folders, "--map", "255=1") == 0
    assert rows(folders / "out" / "cases.csv")[0]["n_lesions"] == "2"


def test_labels_stored_as_whole_floats_are_labels(folders):
    reference, _ = patient(0)
    save(reference.astype(np.float32), folders / "test_gt" / "P0.nii.gz")
    assert evaluate(folders) == 0
    assert rows(folders / "out" / "cases.csv")[0]["n_lesions"] == "2"


def test_nobody_with_a_lesion_is_evaluated_and_said(folders):
    for seed in range(3):
        save(np.zeros(SHAPE, np.uint8), folders / "test_gt" / f"P{seed}.nii.gz")
    assert evaluate(folders) == 0
    summary = json.loads((folders / "out" / "summary.json").read_text())
    assert summary["metrics"]["auc"] == {
        "mean": None,
        "sd": None,
        "ci_low": None,
        "ci_high": None,
        "n": 0,
        "n_undefined": 3,
    }
    assert "No patient has a lesion" in summary["warnings"][0]
    assert rows(folders / "out" / "roc.csv") == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--threshold", "0.5", "--threshold-file", "x"), "more than one kind of threshold"),
        (("--threshold", "7"), "the threshold is 7. Give a --threshold between 0 and 1"),
        (("--val-gt", "x"), "Give both --val-gt and --val-p"),
        (("--fp-budget", "0"), "Give both --val-gt and --val-p"),
        (("--threshold-file", "nowhere.json"), "nowhere.json"),
        (("--mask", "nowhere"), "nowhere is not a folder"),
        (("--label", "5"), "no patient can be evaluated"),
    ],
)
def test_what_cannot_be_done_ends_with_two(folders, capsys, options, problem):
    assert evaluate(folders, *options) == 2
    assert problem in capsys.readouterr().err
    assert not (folders / "out" / "cases.csv").exists()


def test_each_patient_takes_the_threshold_of_his_pattern(folders):
    for seed, pattern in enumerate(("a+b", "b", "a+c")):
        (folders / "test_p" / f"P{seed}.json").write_text(json.dumps({"pattern": pattern}))
    by_pattern = {"a+b": Threshold(0.95, 5), "a+b+c": Threshold(0.1, 3), "b+c": Threshold(0.8, 2)}
    Thresholds("1", "youden_pooled", by_pattern).write(folders / "t.json")
    assert read_thresholds(folders / "t.json", target="1").by_pattern == by_pattern
    assert evaluate(folders, "--threshold-file", folders / "t.json") == 0
    # own; the superset of two with more validation patients; the only superset
    found = {row["case"]: (row["pattern"], row["n_objects"]) for row in rows(folders / "out" / "cases.csv")}
    assert found["P0"] == ("a+b", "0")
    assert found["P1"] == ("b", "0")
    assert found["P2"][0] == "a+c"
    source = json.loads((folders / "out" / "summary.json").read_text())["threshold"]["source"]
    assert "b was never calibrated and takes that of a+b" in source


def test_a_pattern_that_nothing_calibrated_contains_is_an_error():
    thresholds = Thresholds("1", "fixed", {"a+b": Threshold(0.5), "c": Threshold(0.5)})
    with pytest.raises(Fault, match="no threshold for a\\+c"):
        thresholds.for_pattern("a+c")
    with pytest.raises(Fault, match="no threshold for a case without a pattern"):
        thresholds.for_pattern("")


def test_of_two_supersets_alike_the_first_in_channel_order_lends_its_threshold():
    thresholds = Thresholds("1", "fixed", {"a+c": Threshold(0.2, 3), "a+b": Threshold(0.3, 3)})
    assert thresholds.for_pattern("a", channel_names=("a", "b", "c"))[0] == "a+b"
    assert thresholds.for_pattern("a", channel_names=("a", "c", "b"))[0] == "a+c"


def test_a_threshold_may_be_as_little_above_1_as_a_probability(tmp_path):
    # the sum of two classes' float16 probabilities may be 1.0005
    for value, is_one in ((1.0005, True), (1.002, False)):
        Thresholds("1", "fixed", {"": Threshold(value)}).write(tmp_path / "t.json")
        if is_one:
            assert read_thresholds(tmp_path / "t.json", target="1").by_pattern[""].value == value
        else:
            with pytest.raises(Fault, match=r"should be a number from 0 to 1, and is 1\.002"):
                read_thresholds(tmp_path / "t.json", target="1")


def test_thresholds_of_another_label_are_refused(tmp_path):
    Thresholds("1,3", "fixed", {"": Threshold(0.5)}).write(tmp_path / "t.json")
    with pytest.raises(Fault, match="for 1,3, not for 1"):
        read_thresholds(tmp_path / "t.json", target="1")


def test_more_workers_change_nothing(folders):
    assert evaluate(folders) == 0
    assert evaluate(folders, "-np", 2, out="two") == 0
    for table in ("cases", "lesions", "roc", "froc"):
        assert (folders / "out" / f"{table}.csv").read_bytes() == (folders / "two" / f"{table}.csv").read_bytes()


def test_two_workers_of_a_dask_cluster_evaluate_the_patients(folders):
    distributed = pytest.importorskip("distributed")
    alone, _ = evaluate_folders(Folders(folders / "test_gt", folders / "test_p"), name="m")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        parallel_config(backend="dask"),
    ):
        together, _ = evaluate_folders(Folders(folders / "test_gt", folders / "test_p"), name="m", n_workers=None)
    pd.testing.assert_frame_equal(alone.cases, together.cases)
    pd.testing.assert_frame_equal(alone.froc, together.froc)


def compare(folders, *options):
    command = ["compare", folders / "out", folders / "other", "-o", folders / "compared", *options]
    return main([str(word) for word in command])


def test_a_model_against_itself_differs_in_nothing(folders):
    evaluate(folders)
    evaluate(folders, out="other")
    assert compare(folders) == 0
    for row in rows(folders / "compared" / "comparison.csv"):
        assert (row["mean_a"], row["n"]) == (row["mean_b"], "3")
        assert [float(row[name]) for name in ("p_rank_sum", "p_signed_rank", "p_signed_rank_holm", "effect")] == [
            1,
            1,
            1,
            0,
        ]
    assert (folders / "compared" / "report.html").is_file()


def test_a_better_model_has_a_positive_effect_on_dice(folders):
    evaluate(folders, "--threshold", 0.4)
    evaluate(folders, "--threshold", 0.95, out="other")
    assert compare(folders) == 0
    table = {row["metric"]: row for row in rows(folders / "compared" / "comparison.csv")}
    assert list(table) == ["auc", "dice", "precision", "recall", "sensitivity", "fp", "fp_10mm3"]
    assert (table["dice"]["effect"], table["dice"]["mean_b"]) == ("1.0", "0.0")
    # precision is 0/0 where nothing is predicted
    assert (table["precision"]["n"], table["precision"]["p_signed_rank"]) == ("0", "")


def test_an_evaluation_of_version_0_1_0_is_compared_with_one_of_today(folders):
    evaluate(folders)
    evaluate(folders, out="other")
    old = folders / "other"
    pd.read_csv(old / "cases.csv").drop(columns=list(SINCE_0_2)).to_csv(old / "cases.csv", index=False)
    summary = json.loads((old / "summary.json").read_text()) | {"version": "0.1.0"}
    for row in (summary, *summary["strata"]):
        row["metrics"] = {name: value for name, value in row["metrics"].items() if name not in SINCE_0_2}
    summary["metrics"]["dice"] |= {"ci_low": 0.123, "ci_high": 0.124}  # of another method
    (old / "summary.json").write_text(json.dumps(summary))
    assert compare(folders) == 0
    read, today = read_evaluation(old), read_evaluation(folders / "out")
    assert list(read.cases.columns) == list(today.cases.columns)
    assert read.cases["lesion_f1"].isna().all()
    undefined = {"mean": None, "sd": None, "ci_low": None, "ci_high": None, "n": 0, "n_undefined": 3}
    assert read.summary["metrics"]["lesion_f1"] == undefined
    assert [row["metrics"]["iou"]["n_undefined"] for row in read.summary["strata"]] == [3, 0]
    assert read.summary["metrics"]["dice"] == today.summary["metrics"]["dice"]
    (warning,) = read.summary["warnings"]
    assert warning in (folders / "compared" / "report.html").read_text()
    assert "other was evaluated by version 0.1.0, which did not measure iou, hd95_mm" in warning
    assert not today.summary["warnings"]


def test_patients_on_one_side_only_are_an_error_unless_allowed(folders, capsys):
    evaluate(folders)
    (folders / "test_gt" / "P2.nii.gz").unlink()
    evaluate(folders, out="other")
    assert compare(folders) == 2
    assert "only one of out and other has P2" in capsys.readouterr().err
    assert compare(folders, "--allow-missing") == 0
    assert rows(folders / "compared" / "comparison.csv")[0]["n"] == "2"


def test_two_models_measured_on_different_references_are_not_compared(folders, capsys):
    evaluate(folders)
    changed(folders, value=1)
    evaluate(folders, out="other")
    assert compare(folders) == 2
    assert "differs between" in capsys.readouterr().err


def test_two_models_under_different_limits_are_not_compared(folders, capsys):
    evaluate(folders)
    evaluate(folders, "--min-volume-mm3", "5", out="other")
    assert compare(folders) == 2
    assert "limits of volume" in capsys.readouterr().err


def test_volumes_that_differ_by_rounding_are_of_one_reference():
    a, b = example("a"), example("b")
    for factor, is_one in ((1 + 1e-7, True), (1 + 1e-5, False)):
        scaled = replace(b, cases=b.cases.assign(volume_reference_mm3=b.cases["volume_reference_mm3"] * factor))
        if is_one:
            assert "dice" in compare_evaluations(a, scaled)["metric"].tolist()
        else:
            with pytest.raises(Fault, match="volume_reference_mm3 of one patient differs between a and b"):
                compare_evaluations(a, scaled)


def test_two_models_evaluated_on_different_labels_are_not_compared():
    other = example("b", settings={**example().summary["settings"], "target": "2"})
    with pytest.raises(Fault, match="a and b were evaluated on different labels"):
        compare_evaluations(example("a"), other)


@pytest.mark.parametrize("n", [1, 2])
def test_one_and_two_patients_are_evaluated_and_compared_with_figures_and_report(folders, n):
    for seed in range(n, 3):
        (folders / "test_gt" / f"P{seed}.nii.gz").unlink()
    paths = ("-gt", folders / "test_gt", "-p", folders / "test_p", "-o", folders / "out")
    assert main([str(word) for word in ("evaluate", *paths, "--name", "out")]) == 0
    evaluate(folders, "--threshold", 0.8, out="other")
    assert compare(folders) == 0
    dice = next(row for row in rows(folders / "compared" / "comparison.csv") if row["metric"] == "dice")
    # of two against two there are six arrangements, of which one in each direction is as extreme; of two pairs four
    assert (float(dice["p_rank_sum"]), float(dice["p_signed_rank"])) == ((1, 1) if n == 1 else (2 / 6, 2 / 4))
    assert (dice["sd_a"] == "") == (n == 1)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("summary.json", "[]"),
        ("summary.json", "{}"),
        ("summary.json", '{"command": "evaluate"}'),
        ("cases.csv", ""),
        ("cases.csv", "a,b\n1,2\n"),
        ("cases.csv", 'case\n"P0\n'),
    ],
)
def test_what_is_no_evaluation_is_not_compared(folders, capsys, file, content):
    evaluate(folders)
    evaluate(folders, out="other")
    (folders / "other" / file).write_text(content)
    assert compare(folders) == 2
    assert "Give a folder that seqdropout evaluate wrote." in capsys.readouterr().err


def test_an_evaluation_is_read_as_it_was_written(folders):
    evaluate(folders)
    evaluation = read_evaluation(folders / "out")
    assert evaluation.name == "out"
    assert evaluation.cases["case"].tolist() == ["P0", "P1", "P2"]
    assert not isnan(evaluation.cases["auc"][0])
    with pytest.raises(Fault, match="Give a folder that seqdropout evaluate wrote"):
        read_evaluation(folders)


def test_a_second_run_leaves_nothing_of_the_first_that_contradicts_it(folders):
    assert evaluate(folders, "--threshold", 0.7) == 0
    assert (folders / "out" / "thresholds.json").is_file()
    assert evaluate(folders) == 0
    assert not (folders / "out" / "thresholds.json").exists()


def test_a_missing_background_costs_the_picture_and_not_the_patient(folders):
    for seed in (0, 1):
        _, probability = patient(seed)
        save((1000 * probability).astype(np.int16), folders / "images" / f"P{seed}_0000.nii.gz")
    paths = ("-gt", folders / "test_gt", "-p", folders / "test_p", "-i", folders / "images", "-o", folders / "out")
    assert main([str(word) for word in ("evaluate", *paths)]) == 0
    assert len(rows(folders / "out" / "cases.csv")) == 3
    (warning,) = json.loads((folders / "out" / "summary.json").read_text())["warnings"]
    assert "P2 has no pictures" in warning
    assert "<svg" in (folders / "out" / "report.html").read_text()


def test_pictures_are_drawn_of_the_patients_named_alone(folders, capsys):
    for seed in range(3):
        save((1000 * patient(seed)[1]).astype(np.int16), folders / "images" / f"P{seed}_0000.nii.gz")
    folders_of = ["evaluate", "-gt", folders / "test_gt", "-p", folders / "test_p"]

    def shown(out: str, *options: object) -> int:
        return main([str(word) for word in (*folders_of, "-o", folders / out, *options)])

    images = ("-i", folders / "images")
    assert shown("all", *images) == shown("one", *images, "--show", "P1") == 0
    anchors = [(folders / out / "report.html").read_text().count('class="patient" id=') for out in ("all", "one")]
    assert anchors == [3, 1]
    assert (folders / "all" / "cases.csv").read_bytes() == (folders / "one" / "cases.csv").read_bytes()
    assert shown("other", *images, "--show", "P1", "P7") == 2
    assert "--show names P7: there is no such patient" in capsys.readouterr().err
    assert shown("other", "--show", "P1") == 2
    assert "--show is given without -i" in capsys.readouterr().err


def test_validation_patients_without_a_lesion_have_failed(folders):
    for seed in (3, 4):
        (folders / "val_p" / f"P{seed}.json").write_text(json.dumps({"pattern": "ab"[seed - 3]}))
    save(np.zeros(SHAPE, np.uint8), folders / "val_gt" / "P4.nii.gz")
    for seed in range(3):
        (folders / "test_p" / f"P{seed}.json").write_text(json.dumps({"pattern": "a"}))
    assert evaluate(folders, "--val-gt", folders / "val_gt", "--val-p", folders / "val_p") == 1
    cases = json.loads((folders / "out" / "summary.json").read_text())["cases"]
    assert "no patient of this pattern has a lesion" in cases["validation P4"]["problem"]


def test_two_models_of_one_name_are_not_compared(folders, capsys):
    evaluate(folders)
    evaluate(folders, "--name", "out", out="other")
    assert compare(folders) == 2
    assert "both models are called out" in capsys.readouterr().err


def test_a_region_is_the_same_in_any_order():
    assert str(Target((3, 1, 3))) == "1,3"


def test_a_patient_may_be_called_na(folders):
    for name in ("test_gt/P0.nii.gz", "test_p/P0.nii.gz", "test_p/P0.npz"):
        (folders / name).rename(folders / name.replace("P0", "NA"))
    assert evaluate(folders) == evaluate(folders, out="other") == 0
    assert "NA" in read_evaluation(folders / "out").cases["case"].tolist()


def test_pictures_of_others_in_the_folder_of_figures_stay(folders):
    assert evaluate(folders) == 0
    (folders / "out" / "figures").mkdir(exist_ok=True)
    for name in ("mine.png", "dice.png", "fp_10mm3.pdf"):
        (folders / "out" / "figures" / name).write_text("a picture")
    assert evaluate(folders) == 0
    assert [file.name for file in (folders / "out" / "figures").iterdir()] == ["mine.png"]
