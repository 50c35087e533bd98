"""A predicted case has a page that says what its files say, belongs to them, and names nobody."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import write_case
from example_moved import write_moved_patient
from pages import Page
from predict_folders import predict

from evaluation.report import viewer
from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.prediction.folder import Preflight, bytes_needed, cases_there
from nnunet_seqdropout.prediction.model import Model, Segmentation
from nnunet_seqdropout.prediction.outputs import Choices
from nnunet_seqdropout.prediction.page import Page as WrittenPage

SHAPE = (12, 20, 24)
NO_REFERENCE = "No reference: nobody has checked these findings."
SYNTHETIC, PATIENT_DATA = "Synthetic patients:", "Treat this file as patient data."


@pytest.fixture
def images(tmp_path) -> Path:
    """Two of four sequences, voxels of 1 x 1 x 2 mm."""
    write_case(tmp_path, "P", SHAPE, spacing=(1.0, 1.0, 2.0))
    for channel in (0, 1):
        (tmp_path / "imagesTr" / f"P_000{channel}.nii.gz").unlink()
    return tmp_path / "imagesTr"


@pytest.fixture
def two_objects(monkeypatch):
    """What every model predicts: one voxel of 2 mm3, and above it a cube of 27 voxels."""
    probability = np.full(SHAPE, 0.1, np.float32)
    probability[1, 10, 15] = 0.6
    probability[3:6, 4:7, 6:9] = 0.8
    probability[4, 5, 7] = 0.95
    found = Segmentation((probability > 0.5).astype(np.uint8), np.stack([1 - probability, probability]))
    monkeypatch.setattr(Model, "logits", lambda *_, **__: None)
    monkeypatch.setattr(Model, "segmentation", lambda *_: found)


def files_of(folder: Path) -> list[str]:
    return [*json.loads((folder / "P.json").read_text())["files"]]


def test_the_page_says_what_was_predicted_from_what(make_model, images, two_objects, tmp_path):
    model = make_model("TinySeqDropout")
    assert predict(images, tmp_path / "out", model, "--page") == 0
    page = Page(tmp_path / "out" / "P.html")
    heads, *rows = page.table("Place (mm)")
    assert heads[:3] == ["Object", "Volume (mm³)", "Diameter (mm)"]
    # the largest first; (6 V / pi)^(1/3) of 54 and 2 mm3; means (26 x 0.8 + 0.95) / 27 and 0.6
    assert rows == [
        ["2", "54.0", "4.7", "0.95", "0.81", "L 7 P 5 S 8", "4 , 6"],
        ["1", "2.0", "1.6", "0.60", "0.60", "L 15 P 10 S 2", "2"],
    ]
    for said in (
        "P: lesion What a network predicts from t1_gd, flair, without bravo, t1_pre.",
        "Research use only. Not a medical device.",
        NO_REFERENCE,
        "Predicted objects 2 the largest as a sphere of 4.7 mm across Volume of all 56 mm³ 0.06 ml",
        "Sequences 2 of 4 absent: bravo, t1_pre",
        "Axial slices over t1_gd, seen from the feet",
        "Preparation none: the images were taken as they are",
        f"Model bravo-t1_pre-t1_gd-flair/{model.name} Folds 0; checkpoint_final.pth; mirroring off",
        "Trained on these sequences yes Factor 2: what the network multiplies",
        "Threshold none: the most probable label",
        "nnunet_seqdropout",
    ):
        assert said in page.text
    for slice_, mm, number in ((2, 2, 1), (4, 6, 2), (6, 10, 2)):
        assert f"Slice {slice_}, {mm} mm above the lowest: object {number}" in page.text
    # of each slice the background and the probability
    assert sum(address.startswith("data:image/webp") for address in page.addresses) == 3 * 2
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert str(tmp_path) not in (tmp_path / "out" / "P.html").read_text()


def test_a_threshold_is_said_with_its_source(make_model, images, two_objects, tmp_path):
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout"), "--page", "--threshold", 0.7) == 0
    page = Page(tmp_path / "out" / "P.html")
    assert [row[0] for row in page.table("Place (mm)")] == ["Object", "1"]
    assert "Threshold p ≥ 0.7 : as given" in page.text
    assert "line: threshold 0.7" in page.text


def test_nothing_predicted_is_not_nothing_there(make_model, images, two_objects, tmp_path):
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout"), "--page", "--threshold", 0.99) == 0
    page = Page(tmp_path / "out" / "P.html")
    assert "Nothing was predicted as lesion. That does not mean that there is none." in page.text
    assert "5 slices at even distances." in page.text
    assert page.tables == []


def test_a_combination_that_was_never_trained_is_said(make_model, images, two_objects, tmp_path):
    assert predict(images, tmp_path / "out", make_model("TinyDeepLab"), "--page") == 0
    page = Page(tmp_path / "out" / "P.html")
    assert "Trained on these sequences no: what it makes of them may be anything" in page.text
    assert "A sequence is absent, and the model was trained without sequence dropout." in page.text


def test_without_the_option_there_is_no_page_and_a_former_one_goes(make_model, images, two_objects, tmp_path):
    model, out = make_model("TinySeqDropout"), tmp_path / "out"
    assert predict(images, out, model, "--page") == 0
    assert predict(images, out, model) == 0
    assert files_of(out) == ["P.nii.gz", "P_lesions.csv"]
    assert not (out / "P.html").exists()


def test_resuming_writes_a_page_that_is_missing_or_changed(make_model, images, two_objects, tmp_path):
    model, out = make_model("TinySeqDropout"), tmp_path / "out"

    def status(*options) -> str:
        assert predict(images, out, model, "--continue_prediction", *options) == 0
        return json.loads((out / "summary.json").read_text())["cases"]["P"]["status"]

    assert status() == "ok"
    assert status("--page") == "ok"
    assert "P.html" in files_of(out)
    first = (out / "P.html").read_bytes()
    assert status("--page") == "skipped"
    assert status() == "skipped"
    for broken in (lambda: (out / "P.html").write_text("x"), (out / "P.html").unlink):
        broken()
        assert status("--page") == "ok"
        assert (out / "P.html").read_bytes() == first


@pytest.mark.parametrize(
    ("file", "content", "synthetic"),
    [
        (None, "", False),
        ("manifest.json", '{"settings": {"synthetic": true}}', True),
        ("manifest.json", '{"settings": {}}', False),
        ("manifest.json", '["of another tool"]', False),
        ("imagesTr/truth.json", "{}", True),
    ],
)
def test_synthetic_patients_are_called_synthetic(make_model, images, two_objects, tmp_path, file, content, synthetic):
    if file is not None:
        (tmp_path / file).write_text(content)
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout"), "--page") == 0
    text = Page(tmp_path / "out" / "P.html").text
    assert (SYNTHETIC in text, PATIENT_DATA in text) == (synthetic, not synthetic)


def test_what_was_done_to_the_series_is_on_the_page(make_model, tmp_path):
    write_moved_patient(tmp_path / "tree" / "P")
    (tmp_path / "tree" / "P" / "truth.json").write_text("{}")
    words = ["predict", "--patients", tmp_path / "tree", "--layout", "hospital_a", "-o", tmp_path / "out", "--page"]
    model = ["-m", make_model("TinySeqDropout"), "-f", 0, "-device", "cpu", "--disable_tta", "--threshold", 0.999999]
    assert main([str(word) for word in [*words, *model]]) == 0
    page = Page(tmp_path / "out" / "P.html")
    found = json.loads((tmp_path / "out" / "P.json").read_text())["preparation"]["registration"]["flair"]
    decimals = {"translation_mm": 1, "rotation_deg": 1, "similarity_before": 3, "similarity_after": 3}
    row = ["flair", *(f"{found[name]:.{n}f}" for name, n in decimals.items())]
    assert page.table("Moved (mm)")[1:] == [row]
    assert "Reference series bravo: the results lie on its grid" in page.text
    assert "Skull stripping none Defacing none" in page.text
    assert "How the images were prepared that the model was trained on is not recorded." in page.text
    assert "Axial slices over bravo" in page.text
    assert SYNTHETIC in page.text


@pytest.mark.parametrize("key", [True, False])
def test_the_page_of_a_dicom_study_names_nobody(make_model, tmp_path, key):
    from example_dicom import write_series

    folder = tmp_path / "Doe_Jane_study"
    write_series(folder, "Ax BRAVO +C", number=7, agent="Gadavist", inversion_time_ms=450)
    write_series(folder, "CUBE T2 FLAIR", number=4, inversion_time_ms=1850)
    out, model = tmp_path / "out", make_model("TinySeqDropout")
    words = ["predict", "--dicom", folder, "-o", out, "-m", model, "-f", 0, "--register", "never", "--page"]
    options = ["--key", tmp_path / "key"] if key else []
    assert main([str(word) for word in [*words, *options, "-device", "cpu", "--disable_tta"]]) == 0
    (file,) = out.glob("*.html")
    assert file.stem.startswith("P_") if key else file.stem == "case"
    content = file.read_text()
    for word in ("Doe", "HOSP-4711", "Charit", "BRAVO +C", "19610203", str(tmp_path)):
        assert word not in content
    assert "Registration none: the series were taken as they lie" in Page(file).text


@pytest.mark.parametrize("resume", [False, True])
def test_a_page_that_is_not_there_yet_takes_room(tmp_path, resume):
    (tmp_path / "P.nii.gz").touch()
    found = Preflight({}, {}, {"P": 100})
    without, with_page = (
        bytes_needed(found, choices, cases_there(tmp_path, ["P"], choices, ".nii.gz"))
        for choices in (Choices(resume=resume, extras=extras) for extras in ((), (WrittenPage(),)))
    )
    assert without == (0 if resume else 2**20 + 100)
    assert with_page == 2**20 + 2**22 + 100


def test_the_same_case_has_the_same_page(make_model, images, two_objects, tmp_path):
    model = make_model("TinySeqDropout")
    for name in ("a", "b"):
        assert predict(images, tmp_path / name, model, "--page") == 0
    # whatever else lies there
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    assert predict(images, tmp_path / "c", model, "--page") == 0
    first, *others = [(tmp_path / name / "P.html").read_bytes() for name in "abc"]
    assert others == [first, first]


def test_the_viewer_belongs_to_the_files_of_the_case(make_model, images, two_objects, tmp_path, capsys):
    model = make_model("TinySeqDropout")
    assert predict(images, tmp_path / "out", model, "--viewer") == 0
    assert "P_viewer.html" in files_of(tmp_path / "out")
    text = (tmp_path / "out" / "P_viewer.html").read_text()
    assert ">2</button></td><td>54.0</td><td>4.7</td><td>0.95</td>" in text
    assert "t1_gd with what a network predicts" in text
    # asked for again, and no longer
    (tmp_path / "out" / "P_viewer.html").unlink()
    assert predict(images, tmp_path / "out", model, "--viewer", "--c") == 0
    assert (tmp_path / "out" / "P_viewer.html").read_text() == text
    assert predict(images, tmp_path / "out", model, "--c") == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["cases"]["P"]["status"] == "skipped"


def test_a_viewer_that_cannot_be_written_is_said_before_anything_is_predicted(
    make_model, images, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(viewer, "files", lambda _: tmp_path)
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout"), "--viewer") == 2
    assert "pip install 'nnunet_seqdropout[viewer]'" in capsys.readouterr().err
    assert not (tmp_path / "out" / "P.nii.gz").exists()
