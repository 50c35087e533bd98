"""What a notebook calls gives the results of the commands, whatever form its images have."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from conftest import SEQUENCES, write_case
from example_folders import evaluate, write_folders
from predict_folders import predict as predict_folder

from dataset_conversion.faults import Fault
from nnunet_seqdropout import convert, evaluate_folders, evaluate_patient, load_model, predict
from nnunet_seqdropout.cli.command import main

USED = ("t1_pre", "flair")
FORMS: dict[str, Callable[[Path], Any]] = {
    "path": str,
    "Path": lambda path: path,
    "SimpleITK": lambda path: sitk.ReadImage(str(path)),
    "nibabel": nibabel.load,
}


@pytest.fixture
def images(tmp_path):
    """Sequence -> path, of one case."""
    write_case(tmp_path, "P", (9, 40, 38), seed=5)
    return {name: tmp_path / "imagesTr" / f"P_{i:04d}.nii.gz" for i, name in enumerate(SEQUENCES)}


def test_the_package_is_imported_without_torch_and_numpy():
    check = "import sys, nnunet_seqdropout; print(nnunet_seqdropout.__version__, *{'torch', 'numpy'} & {*sys.modules})"
    printed = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout
    assert len(printed.split()) == 1


def test_a_name_that_is_not_there_is_an_attribute_error():
    import nnunet_seqdropout

    assert {"predict", "load_model"} <= {*dir(nnunet_seqdropout)}
    with pytest.raises(AttributeError, match="no attribute 'predct'"):
        getattr(nnunet_seqdropout, "predct")  # noqa: B009


@pytest.mark.parametrize("form", FORMS)
def test_a_prediction_is_that_of_the_command_whatever_holds_the_images(make_model, images, tmp_path, form):
    folder = make_model("TinySeqDropout")
    for name in {*SEQUENCES} - {*USED}:
        images.pop(name).unlink()
    assert predict_folder(tmp_path / "imagesTr", tmp_path / "out", folder, "--save_probabilities", "float32") == 0
    model = load_model(str(folder), use_mirroring=False)
    given = {name: FORMS[form](path) for name, path in images.items()}
    found = predict(model, {"t1n": given["t1_pre"], "flair": given["flair"]})
    written = sitk.ReadImage(str(tmp_path / "out" / "P.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(found.labels), sitk.GetArrayFromImage(written))
    for of in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(found.labels, of)() == pytest.approx(getattr(written, of)(), abs=1e-5)
    assert (found.present, found.factor, found.warnings) == (USED, 2, ())
    expected = sitk.ReadImage(str(tmp_path / "out" / "P_prob.nii.gz"))
    for label in (1, "lesion"):
        probability = sitk.GetArrayFromImage(found.probability(label))
        np.testing.assert_allclose(probability, sitk.GetArrayFromImage(expected), atol=1e-6)
    with pytest.raises(Fault, match="Did you mean lesion"):
        found.probability("lesions")


def test_an_image_stored_in_another_order_gives_its_labels_in_that_order(make_model, images):
    model = load_model(make_model("TinySeqDropout"), use_mirroring=False)
    read = {name: sitk.ReadImage(str(images[name])) for name in USED}
    turned = {name: sitk.DICOMOrient(image, "RIP") for name, image in read.items()}
    straight = predict(model, read)
    found = predict(model, {"t1_pre": turned["t1_pre"], "flair": read["flair"]})
    assert found.labels.GetDirection() == turned["t1_pre"].GetDirection()
    assert found.labels.GetSize() == turned["t1_pre"].GetSize()
    mixed = predict(model, {"t1_pre": read["t1_pre"], "flair": turned["flair"]})
    assert np.array_equal(sitk.GetArrayFromImage(mixed.labels), sitk.GetArrayFromImage(straight.labels))


def test_a_constant_image_counts_as_absent(make_model, images):
    model = load_model(make_model("TinySeqDropout"), use_mirroring=False)
    found = predict(model, {"t1_pre": images["t1_pre"], "flair": sitk.ReadImage(str(images["flair"])) * 0})
    assert (found.present, found.factor) == (("t1_pre",), 4)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"flar": "t1_pre"}, Fault, "unknown sequence flar. Did you mean flair?"),
        ({"t1_pre": "t1_pre", "t1n": "flair"}, Fault, "two images are of one sequence"),
        ({}, Fault, "no usable sequence"),
        ({"t1_pre": "none.nii.gz"}, Fault, "none.nii.gz: there is no such file. Give the image of t1_pre."),
        ({"t1_pre": 5}, TypeError, "t1_pre is a int: give a path, or an image of SimpleITK or nibabel"),
        ({"t1_pre": nibabel.Nifti1Image(np.zeros((3, 3, 3, 2)), np.eye(4))}, Fault, "not one volume"),
        ({"t1_pre": sitk.Image(4, 4, sitk.sitkFloat32)}, Fault, "t1_pre is not one volume"),
        ({"t1_pre": nibabel.Nifti1Image(np.full((3, 3, 3), np.nan), np.eye(4))}, Fault, "t1_pre: 27 voxels are NaN"),
    ],
)
def test_what_cannot_be_used_is_named_by_its_sequence(make_model, images, given, error, said):
    model = load_model(make_model("TinySeqDropout"), use_mirroring=False)
    with pytest.raises(error) as raised:
        predict(
            model,
            {name: images.get(value, value) if isinstance(value, str) else value for name, value in given.items()},
        )
    assert said in str(raised.value)


@pytest.mark.parametrize("form", FORMS)
def test_a_patient_is_evaluated_by_counts_made_by_hand(tmp_path, form):
    """Of lesions of 4 and of 1 voxel 2 voxels are found, 1 false one beside them: Dice 2 * 2 / (5 + 3)."""
    reference, predicted = np.zeros((2, 5, 6, 7), np.uint8)
    reference[1, 1, 1:5] = 2
    reference[4, 4, 4] = 2
    predicted[1, 1, 3:6] = 2
    for name, voxels in (("reference", reference), ("predicted", predicted)):
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing((1.0, 2.0, 3.0))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
    given = [FORMS[form](tmp_path / f"{name}.nii.gz") for name in ("reference", "predicted")]
    found = evaluate_patient(*given, label=2).measures
    assert (found["dice"], found["n_lesions"], found["n_found"], found["fp"]) == (4 / 8, 2, 1, 0)
    assert found["voxel_mm3"] == pytest.approx(6)
    assert evaluate_patient(*given, label=[1, 2]).measures["n_lesions"] == 2
    probable = sitk.GetImageFromArray((predicted > 0) * np.float32(0.4))
    probable.SetSpacing((1.0, 2.0, 3.0))
    by_threshold = evaluate_patient(given[0], probability=probable, label=2, threshold=0.4).measures
    assert by_threshold["dice"] == found["dice"]
    with pytest.raises(Fault, match="size"):
        evaluate_patient(given[0], sitk.Image(4, 4, 4, sitk.sitkUInt8))


def test_folders_give_the_tables_of_the_command(tmp_path):
    folders = write_folders(tmp_path)
    assert evaluate(folders, "--threshold", 0.7) == 0
    found = evaluate_folders(
        folders / "test_gt", str(folders / "test_p"), threshold=0.7, name="out", out=folders / "ours"
    )
    for table in ("cases.csv", "lesions.csv", "froc.csv", "roc.csv"):
        assert (folders / "ours" / table).read_bytes() == (folders / "out" / table).read_bytes()
    assert found.summary["totals"] == json.loads((folders / "out" / "summary.json").read_text())["totals"]
    with pytest.raises(Fault, match=r"no dataset\.json says which label tumour is"):
        evaluate_folders(folders / "test_gt", folders / "test_p", label="tumour")


def test_a_folder_is_converted_as_the_command_does(tmp_path, monkeypatch):
    phantom = ("phantom", "-o", tmp_path / "data", "--train", 1, "--val", 0, "--test", 0, "--size", 24)
    assert main([str(word) for word in phantom]) == 0
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    source = tmp_path / "data" / "hospital_a"
    words = ("convert", "hospital_a", source, "-d", 1, "-n", "Command", "--register", "never")
    assert main([str(word) for word in words]) == 0
    from dataset_conversion.raw.preparing.prepared import Preparation

    outcomes = convert(source, tmp_path / "raw" / "Dataset002_Ours", preparation=Preparation("never"))
    assert {outcome.status for outcome in outcomes.values()} == {"ok"}
    first, second = (tmp_path / "raw" / name for name in ("Dataset001_Command", "Dataset002_Ours"))
    images = sorted(file.name for file in first.glob("imagesTr/*"))
    assert len(images) == 4
    for name in images:
        assert (first / "imagesTr" / name).read_bytes() == (second / "imagesTr" / name).read_bytes()
    with pytest.raises(Fault, match="no name of a data set"):
        convert(source, tmp_path / "raw" / "Ours")


def test_a_device_that_is_not_there_is_named(make_model, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Fault, match=r"this computer has no cuda\. Choose the device cpu\."):
        load_model(make_model("TinySeqDropout"), device="cuda")
