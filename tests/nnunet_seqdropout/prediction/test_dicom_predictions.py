"""``predict --dicom`` writes what it found as DICOM, too: on the source's voxels, or not at all, and says so."""

import json
from pathlib import Path

import dicom_oracle as oracle
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from example_dicom import OBLIQUE, pydicom, write_series

from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.prediction.model import Model, Segmentation

FOUND = np.zeros((5, 6, 8), np.uint8)
FOUND[1:4, 1:5, 1:4] = 1
FOUND[2, 2:4, 2] = 0  # a hole
FOUND[0, 0, 7] = FOUND[4, 5, 6:] = 1


@pytest.fixture
def study(tmp_path) -> Path:
    folder = tmp_path / "study" / "Doe_Jane"
    write_series(folder, "Ax BRAVO +C", number=7, agent="Gadavist", inversion_time_ms=450, orientation=OBLIQUE)
    write_series(folder, "CUBE T2 FLAIR", number=4, inversion_time_ms=1850, orientation=OBLIQUE)
    return tmp_path / "study"


@pytest.fixture
def found(monkeypatch):
    """``found(labels)``: what the model is going to find."""

    def call(labels: np.ndarray) -> None:
        probabilities = np.stack([labels == 0, labels == 1]).astype(np.float32)
        monkeypatch.setattr(Model, "segmentation", lambda *_: Segmentation(labels, probabilities))

    call(FOUND)
    return call


@pytest.fixture
def predict(make_model, study, tmp_path):
    def call(*options: object) -> int:
        words = ["predict", "--dicom", study, "-o", tmp_path / "out", "-m", make_model("TinySeqDropout"), "-f", 0]
        words += ["--register", "never", "-device", "cpu", "--disable_tta", *options]
        return main([str(word) for word in words])

    return call


def written(folder: Path) -> set[str]:
    return {file.name for file in (folder / "out").iterdir()} - {"dataset.json", "summary.json"}


def record(folder: Path, case: str = "case") -> dict:
    return json.loads((folder / "out" / f"{case}.json").read_text())


USUAL = {"case.json", "case.nii.gz", "case_lesions.csv"}


def test_the_lesions_of_the_table_are_segments_and_contours_on_the_reference_series(found, predict, study, tmp_path):
    assert predict("--dicom-seg", "--rtstruct") == 0
    assert written(tmp_path) == USUAL | {"case_seg.dcm", "case_rtstruct.dcm"}
    seg, rtstruct = (tmp_path / "out" / f"case_{name}.dcm" for name in ("seg", "rtstruct"))
    labels = sitk.ReadImage(str(tmp_path / "out" / "case.nii.gz"))
    uid = next(s.SeriesInstanceUID for s in headers(study) if s.SeriesDescription == "Ax BRAVO +C")
    assert pydicom.dcmread(seg).ReferencedSeriesSequence[0].SeriesInstanceUID == uid
    of_bravo = {str(s.SOPInstanceUID) for s in headers(study) if s.SeriesInstanceUID == uid}
    planes = [plane for plane in oracle.source_planes(study) if plane.uid in of_bravo]
    segments = oracle.segmentation_masks(seg, labels)
    contours = oracle.structure_masks(rtstruct, planes, labels)
    assert segments.keys() == contours.keys() == {"lesion 1", "lesion 2", "lesion 3"}
    voxels = sitk.GetArrayFromImage(labels)
    assert voxels.sum() == FOUND.sum()
    table = pd.read_csv(tmp_path / "out" / "case_lesions.csv")
    for masks in (segments, contours):
        assert oracle.dice(sum(masks.values(), np.zeros(voxels.shape, bool)), voxels > 0) == 1
        for number, mm3 in zip(table["object"], table["volume_mm3"], strict=True):
            assert masks[f"lesion {number}"].sum() * 0.75 == pytest.approx(mm3)  # of a voxel: 0.5 x 1 x 1.5 mm
    if oracle.DCIODVFY is not None:
        assert oracle.errors_of(seg) == oracle.errors_of(rtstruct) == []
    assert record(tmp_path)["dicom_results"] == {"segments": "lesion", "structure_set": True}
    assert record(tmp_path)["files"].keys() == written(tmp_path) - {"case.json"}


def headers(folder: Path) -> list:
    return [pydicom.dcmread(file) for file in folder.rglob("*") if file.is_file()]


def test_a_class_is_one_segment(found, predict, tmp_path):
    assert predict("--dicom-seg", "--segments", "class") == 0
    assert written(tmp_path) == USUAL | {"case_seg.dcm"}
    labels = sitk.ReadImage(str(tmp_path / "out" / "case.nii.gz"))
    masks = oracle.segmentation_masks(tmp_path / "out" / "case_seg.dcm", labels)
    assert masks.keys() == {"lesion"}
    np.testing.assert_array_equal(masks["lesion"], sitk.GetArrayFromImage(labels) == 1)


@pytest.mark.parametrize("segments", ["lesion", "class"])
def test_where_nothing_was_found_there_is_no_dicom_result_and_the_record_says_so(
    found, predict, tmp_path, caplog, segments
):
    found(FOUND * 0)
    assert predict("--dicom-seg", "--segments", segments, "--rtstruct") == 0
    assert written(tmp_path) == USUAL
    for name in ("case_seg.dcm", "case_rtstruct.dcm"):
        said = f"nothing was found, so that there is no {name}"
        assert said in caplog.text
        assert any(said in warning for warning in record(tmp_path)["warnings"])
    assert predict("--dicom-seg", "--segments", segments, "--rtstruct", "--c") == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["cases"]["case"]["status"] == "skipped"


def test_results_of_another_run_do_not_stay(found, predict, tmp_path):
    assert predict("--dicom-seg", "--rtstruct") == 0
    found(FOUND * 0)
    assert predict("--dicom-seg", "--rtstruct") == 0
    assert written(tmp_path) == USUAL


def status_of(folder: Path) -> str:
    return json.loads((folder / "out" / "summary.json").read_text())["cases"]["case"]["status"]


def test_a_resumed_run_redoes_what_is_changed_missing_or_of_another_kind(found, predict, study, tmp_path):
    assert predict("--dicom-seg") == 0
    for options, status in (
        (["--dicom-seg"], "skipped"),
        (["--dicom-seg", "--segments", "class"], "ok"),
        (["--dicom-seg", "--rtstruct"], "ok"),
        (["--dicom-seg", "--rtstruct"], "skipped"),
    ):
        assert predict(*options, "--c") == 0
        assert status_of(tmp_path) == status
    (tmp_path / "out" / "case_seg.dcm").write_bytes(b"")
    assert predict("--dicom-seg", "--rtstruct", "--c") == 0
    assert status_of(tmp_path) == "ok"
    # the name of the patient is corrected in the archive
    for file in (file for file in study.rglob("*") if file.is_file()):
        one = pydicom.dcmread(file)
        one.PatientName = "Doe^Janet"
        one.save_as(file)
    assert predict("--dicom-seg", "--rtstruct", "--c") == 0
    assert status_of(tmp_path) == "ok"
    assert pydicom.dcmread(tmp_path / "out" / "case_seg.dcm").PatientName == "Doe^Janet"


def test_under_a_key_the_results_name_neither_the_patient_nor_the_source(found, predict, study, tmp_path):
    assert predict("--dicom-seg", "--rtstruct", "--key", tmp_path / "key") == 0
    results = sorted((tmp_path / "out").glob("P_*.dcm"))
    assert len(results) == 2
    names = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
    uids = {str(one[name].value).encode() for one in headers(study) for name in names}
    for file in (tmp_path / "out").iterdir():
        for word in (b"Doe", b"HOSP-4711", b"Charit", b"19610203", b"20200304", b"BRAVO +C", *uids):
            assert word not in file.read_bytes()
    assert {pydicom.dcmread(file).PatientID for file in results} == {results[0].name.removesuffix("_rtstruct.dcm")}


@pytest.mark.parametrize("option", ["--dicom-seg", "--rtstruct"])
def test_a_series_without_a_frame_of_reference_fails_its_case_before_the_model_is_loaded(
    found, predict, study, tmp_path, capsys, option, monkeypatch
):
    for file in (file for file in study.rglob("*") if file.is_file()):
        one = pydicom.dcmread(file)
        del one.FrameOfReferenceUID
        one.save_as(file)
    monkeypatch.setattr("nnunet_seqdropout.cli.prediction.load", None)
    assert predict(option) == 2
    assert "series 7 (5 slices) has no FrameOfReferenceUID: no DICOM result can refer to it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-i", "IN", "--dicom-seg"], "--dicom-seg requires --dicom"),
        (["-i", "IN", "--rtstruct"], "--rtstruct requires --dicom"),
        (["--patients", "IN", "--layout", "hospital_a", "--rtstruct"], "--rtstruct requires --dicom"),
        (["--dicom", "IN", "--segments", "class"], "--segments requires --dicom-seg"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_words(make_model, tmp_path, capsys, options, said):
    (tmp_path / "IN").mkdir()
    options = [str(tmp_path / word) if word == "IN" else word for word in options]
    model = make_model("TinySeqDropout")
    assert main(["predict", *options, "-o", str(tmp_path / "out"), "-m", str(model)]) == 2
    assert said in capsys.readouterr().err


def test_without_highdicom_the_extra_is_named(make_model, study, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "highdicom", None)
    words = ["predict", "--dicom", study, "-o", tmp_path / "out", "-m", make_model("TinySeqDropout"), "--dicom-seg"]
    assert main([str(word) for word in words]) == 2
    assert "highdicom is not installed. Run: pip install 'nnunet_seqdropout[dicom]'" in capsys.readouterr().err


def test_without_the_options_a_study_is_predicted_as_before(found, predict, study, tmp_path):
    for file in (file for file in study.rglob("*") if file.is_file()):
        one = pydicom.dcmread(file)
        del one.FrameOfReferenceUID
        one.save_as(file)
    assert predict() == 0
    assert written(tmp_path) == USUAL
    assert "dicom_results" not in record(tmp_path)
    assert "dicom" not in record(tmp_path)["inputs"]
