"""Odd files and odd arguments of ``seqdropout evaluate``: a bad patient is named in one line, the others go on."""

import json
import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk
from example_folders import SHAPE, evaluate, patient, save, save_npz, write_folders
from hypothesis import given
from hypothesis import strategies as st

from dataset_conversion.faults import Fault
from evaluation.inputs.calibration import calibrate
from evaluation.inputs.folders import Folders
from evaluation.tables.evaluate import evaluate_folders

REFERENCE, PREDICTED = "test_gt/P0.nii.gz", "test_p/P0.npz"


@pytest.fixture
def folders(tmp_path):
    return write_folders(tmp_path)


def problem_of_p0(folders):
    """The problem of P0 and its remedy, once the two others have been evaluated and one case has failed."""
    assert evaluate(folders) == 1
    cases = json.loads((folders / "out" / "summary.json").read_text())["cases"]
    assert (cases["P1"]["status"], cases["P2"]["status"]) == ("ok", "ok")
    assert "\n" not in cases["P0"]["problem"]
    return f"{cases['P0']['problem']}. {cases['P0']['remedy']}"


def save_2d(file):
    sitk.WriteImage(sitk.GetImageFromArray(np.ones(SHAPE[1:], np.uint8)), str(file))


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        (REFERENCE, b"", "the file is empty"),
        (REFERENCE, b"no image" * 100, "it is not compressed"),
        (PREDICTED, b"", "not a probability file of nnU-Net (File is not a zip file)"),
        (PREDICTED, b"no archive", "not a probability file of nnU-Net (File is not a zip file)"),
        ("test_p/P0.nii.gz", b"no image", "it is not compressed"),
        ("test_p/P0.json", b"nothing", "not the record of a prediction"),
        ("test_p/P0.json", b'{"pattern": null}', "not the record of a prediction"),
        ("test_p/P0_prob.nii.gz", b"no image" * 100, "it is not compressed"),
    ],
)
def test_a_file_that_is_something_else_is_named(folders, file, content, problem):
    (folders / file).write_bytes(content)
    said = problem_of_p0(folders)
    assert problem in said
    assert (folders / file).name in said


@pytest.mark.parametrize("file", [REFERENCE, "test_p/P0_prob.nii.gz", PREDICTED])
def test_a_file_cut_short_is_named(folders, file):
    save(patient(0)[1], folders / "test_p" / "P0_prob.nii.gz")
    if file == PREDICTED:
        (folders / "test_p" / "P0_prob.nii.gz").unlink()
    content = (folders / file).read_bytes()
    (folders / file).write_bytes(content[: len(content) * 2 // 3])
    assert (folders / file).name in problem_of_p0(folders)


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_a_flipped_bit_of_probabilities_changes_nothing_or_is_found(tmp_path_factory, place, bit):
    folder = tmp_path_factory.mktemp("flip")
    reference, probability = patient(0)
    save(reference, folder / "gt" / "P0.nii.gz")
    save_npz(probability, folder / "p", "P0")
    file = folder / "p" / "P0.npz"
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= 1 << bit
    file.write_bytes(content)
    try:
        volumes = Folders(folder / "gt", folder / "p").read("P0")
    except Fault:
        return
    assert volumes.probability is not None
    assert np.array_equal(volumes.probability, probability)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"softmax": np.zeros((2, *SHAPE))}, "not a probability file of nnU-Net"),
        ({"probabilities": np.array(["a", "b"])}, "shape ()"),
        ({"probabilities": np.array([None])}, "not a probability file of nnU-Net"),
        ({"probabilities": np.zeros((2, *SHAPE), np.complex64)}, "its values have the type complex64"),
        ({"probabilities": np.zeros((1, *SHAPE))}, "no probability of 1"),
    ],
)
def test_an_archive_of_something_else_is_named(folders, content, problem):
    np.savez(folders / PREDICTED, **content)
    assert problem in problem_of_p0(folders)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, bool])
def test_probabilities_of_0_and_1_may_be_stored_as_whole_numbers(folders, kind):
    reference, _ = patient(0)
    if kind is bool:
        np.savez(folders / PREDICTED, probabilities=np.stack([reference == 0, reference == 1]))
    else:
        save(reference.astype(kind), folders / "test_p" / "P0_prob.nii.gz")
    assert evaluate(folders) == 0
    assert "P0,,1.0,1.0," in (folders / "out" / "cases.csv").read_text()


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_a_patient_of_one_slice_without_a_third_axis_is_refused(folders, ending):
    for file in ("test_gt/P0", "test_p/P0"):
        (folders / f"{file}.nii.gz").unlink()
        save_2d(folders / f"{file}{ending}")
    (folders / PREDICTED).unlink()
    assert "this is not one volume (2D" in problem_of_p0(folders)


@pytest.mark.parametrize(
    ("voxels", "problem"),
    [
        (np.full(SHAPE, 0.5, np.float32), "values that are not whole numbers: 0.5 (192 voxels)"),
        (np.full(SHAPE, 9, np.uint8), "unknown label values 9 (192 voxels)"),
        (np.ones((3, 6, 8), np.uint8), "size (8, 6, 3)"),
    ],
)
def test_a_bad_label_map_without_probabilities_is_named(folders, voxels, problem):
    (folders / PREDICTED).unlink()
    save(voxels, folders / "test_p" / "P0.nii.gz")
    assert problem in problem_of_p0(folders)


def test_label_maps_count_inside_the_masks_only(folders):
    for seed in range(3):
        (folders / "test_p" / f"P{seed}.npz").unlink()
        mask = np.zeros(SHAPE, np.uint8)
        mask[0] = 1
        save(mask, folders / "masks" / f"P{seed}.nii.gz")
    assert evaluate(folders, "--mask", folders / "masks") == 0
    totals = json.loads((folders / "out" / "summary.json").read_text())["totals"]
    assert (totals["n_lesions"], totals["n_found"], totals["n_objects"], totals["fp"]) == (3, 3, 3, 0)


@pytest.mark.parametrize(
    ("mask", "problem"),
    [
        (None, "masks/P0.nii.gz. Add the mask"),
        (np.zeros(SHAPE, np.uint8), "the mask is empty"),
        (np.ones((3, 6, 8), np.uint8), "size (8, 6, 3)"),
    ],
)
def test_a_bad_mask_is_named(folders, mask, problem):
    for seed in range(3):
        save(np.ones(SHAPE, np.uint8), folders / "masks" / f"P{seed}.nii.gz")
    (folders / "masks" / "P0.nii.gz").unlink()
    if mask is not None:
        save(mask, folders / "masks" / "P0.nii.gz")
    assert evaluate(folders, "--mask", folders / "masks") == 1
    outcome = json.loads((folders / "out" / "summary.json").read_text())["cases"]["P0"]
    assert problem in f"{outcome['problem']}. {outcome['remedy']}"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("test_p/dataset.json", "nothing"),
        ("test_p/dataset.json", "[]"),
        ("test_p/dataset.json", '{"labels": [0, 1]}'),
        ("test_p/dataset.json", '{"labels": {"lesion": "one"}}'),
        ("test_p/dataset.json", '{"channel_names": {"a": "t1_gd"}}'),
        ("manifest.json", "nothing"),
        ("manifest.json", "[]"),
    ],
)
def test_a_bad_description_of_the_data_set_is_named(folders, capsys, file, content):
    (folders / file).write_text(content)
    assert evaluate(folders) == 2
    assert file.split("/")[-1] in capsys.readouterr().err


def threshold_file(folder, *, value=0.5, method="fixed", settings=None):
    content = {"value": value, "n_patients": None, "youden": None}
    file = folder / "t.json"
    file.write_text(
        json.dumps({"target": "1", "method": method, "settings": settings or {}, "thresholds": {"": content}})
    )
    return file


def test_a_threshold_file_written_by_hand_is_taken(folders):
    assert evaluate(folders, "--threshold-file", threshold_file(folders, value=0.4)) == 0
    summary = json.loads((folders / "out" / "summary.json").read_text())
    assert summary["threshold"]["values"][""]["value"] == 0.4
    # the second lesion of every patient has 0.4
    assert summary["totals"]["n_found"] == 6


@pytest.mark.parametrize(
    "change",
    [{"value": v} for v in ("x", None, float("nan"), -1, 7, True)] + [{"method": "magic"}, {"method": "fp_budget"}],
)
def test_a_threshold_file_without_sense_is_refused(folders, capsys, change):
    assert evaluate(folders, "--threshold-file", threshold_file(folders, **change)) == 2
    said = capsys.readouterr().err
    assert any(f"t.json: {key} " in said for key in ("thresholds[''].value", "method", "settings.fp_budget"))
    assert "Give a thresholds.json that evaluate or calibrate wrote." in said


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--label", "0"), "label 0"),
        (("--label", "-1"), "label -1"),
        (("--region", "0,1"), "label 0"),
        (("--fp-budget", "nan"), "the budget of false positives is nan"),
        (("--fp-budget", "-1"), "the budget of false positives is -1"),
    ],
)
def test_arguments_without_sense_end_with_two(folders, capsys, options, problem):
    validation = ("--val-gt", folders / "val_gt", "--val-p", folders / "val_p")
    assert evaluate(folders, *validation, *options) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("argument", [*(f"--min-volume-mm3={v}" for v in ("nan", "-5", "inf", "ten", "")), "-np=0"])
def test_a_number_without_sense_ends_with_two(folders, capsys, argument):
    with pytest.raises(SystemExit) as stopped:
        evaluate(folders, argument)
    assert stopped.value.code == 2
    assert argument.partition("=")[0] in capsys.readouterr().err


def many_patients(folder, n):
    """Patients of the same 260,000 voxels, of which half are lesion."""
    rng = np.random.default_rng(0)
    for case in range(n):
        reference = rng.random((64, 64, 64)) < 0.5
        save(reference.astype(np.uint8), folder / "gt" / f"P{case:02}.nii.gz")
        save(rng.random(reference.shape, np.float32), folder / "p" / f"P{case:02}_prob.nii.gz")
    return Folders(folder / "gt", folder / "p")


def peak_bytes(work):
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("work", [lambda f: evaluate_folders(f, name="model"), calibrate])
def test_memory_does_not_hold_the_volumes_of_all_patients(tmp_path, work):
    work(many_patients(tmp_path / "warm", 1))
    two, eight = (peak_bytes(lambda n=n: work(many_patients(tmp_path / str(n), n))) for n in (2, 8))
    volume = 64**3 * 4
    # what is kept of six patients more are their lesion voxels' values and counts, below 150 bytes each
    assert eight - two < (6 * 64**3 / 2 * 150 if work is calibrate else volume)
