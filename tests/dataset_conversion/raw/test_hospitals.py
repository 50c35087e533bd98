"""``seqdropout convert hospital_a`` and ``hospital_b``: two cohorts become one data set of nnU-Net."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import Host

from nnunet_seqdropout.cli.command import main

ALL = ("bravo", "t1_pre", "t1_gd", "flair")


def patient(folder: Path, *sequences: str, label: bool = True) -> None:
    """Images of his own, by the sum of the letters of his name."""
    folder.mkdir(parents=True)
    for i, name in enumerate(sequences):
        image = sitk.GetImageFromArray(
            np.arange(60, dtype=np.int16).reshape(3, 4, 5) + i + 10 * sum(folder.name.encode())
        )
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    if label:
        sitk.WriteImage(
            sitk.GetImageFromArray(np.eye(4, 5, dtype=np.uint8)[None].repeat(3, 0)), str(folder / "seg.nii.gz")
        )


@pytest.fixture
def source(tmp_path) -> Path:
    patient(tmp_path / "A" / "train" / "Mets_1", *ALL)
    patient(tmp_path / "A" / "train" / "Mets_2", "MPRAGE", "T1", "T1ce", "t2f")
    patient(tmp_path / "B" / "val" / "Mets_3", *ALL[1:])
    patient(tmp_path / "B" / "test" / "Mets_4", *ALL[1:])
    return tmp_path


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    return tmp_path / "raw"


def convert(hospital: str, source: Path, *options: str, dataset: int = 1, name: str = "Mets") -> int:
    layout = f"hospital_{hospital.lower()}"
    # the images of these tests are too small to be registered
    options = ("--register", "never", *options)
    return main(["convert", layout, str(source / hospital), "-d", str(dataset), "-n", name, *options])


def test_a_trains_b_validates_and_tests_in_one_data_set(source, raw):
    assert convert("A", source) == convert("B", source) == 0
    folder = raw / "Dataset001_Mets"
    names = {
        kind: {file.name[:6] for file in (folder / kind).iterdir()} for kind in ("imagesTr", "imagesTs", "labelsTs")
    }
    assert names == {"imagesTr": {"Mets_1", "Mets_2", "Mets_3"}, "imagesTs": {"Mets_4"}, "labelsTs": {"Mets_4"}}
    splits = json.loads((folder / "splits_final.json").read_text())
    assert splits == [{"train": ["Mets_1", "Mets_2"], "val": ["Mets_3"]}]
    description = json.loads((folder / "dataset.json").read_text())
    assert description["numTraining"] == 3
    assert list(description["channel_names"].values()) == list(ALL)
    manifest = json.loads((folder / "manifest.json").read_text())["patients"]
    assert {case: entry["split"] for case, entry in manifest.items()} == {
        "Mets_1": "train",
        "Mets_2": "train",
        "Mets_3": "val",
        "Mets_4": "test",
    }
    bravo = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "imagesTs" / "Mets_4_0000.nii.gz")))
    assert not bravo.any()
    assert manifest["Mets_4"]["sequences"]["bravo"] == {"present": False}


def test_the_order_of_the_hospitals_does_not_matter(source, raw):
    assert convert("B", source) == convert("A", source) == 0
    splits = json.loads((raw / "Dataset001_Mets" / "splits_final.json").read_text())
    assert splits == [{"train": ["Mets_1", "Mets_2"], "val": ["Mets_3"]}]


def test_the_limited_data_set_has_links_in_place_of_copies(source, raw):
    limited = ("--sequences", "t1_gd,t1_pre,flair")
    for hospital in "AB":
        assert convert(hospital, source, *limited, dataset=2, name="Limited") == 0
    folder = raw / "Dataset002_Limited"
    assert list(json.loads((folder / "dataset.json").read_text())["channel_names"].values()) == list(ALL[1:])
    images = sorted((folder / "imagesTr").iterdir())
    assert len(images) == 9
    assert (source / "A" / "train" / "Mets_1" / "t1_pre.nii.gz").samefile(folder / "imagesTr" / "Mets_1_0000.nii.gz")
    assert all(image.stat().st_nlink == 2 for image in images)


def test_the_full_data_set_does_not_share_files_with_the_source(source, raw):
    assert convert("A", source) == 0
    assert all(image.stat().st_nlink == 1 for image in (raw / "Dataset001_Mets" / "imagesTr").iterdir())


def test_validation_patients_can_be_named(source, raw):
    assert convert("B", source, "--val", "Mets_4") == 0
    splits = json.loads((raw / "Dataset001_Mets" / "splits_final.json").read_text())
    assert splits[0]["val"] == ["Mets_3", "Mets_4"]


def test_a_patient_of_hospital_a_without_a_label_is_a_test_patient(source, raw):
    patient(source / "A" / "test" / "Mets_9", *ALL, label=False)
    assert convert("A", source) == 0
    assert (raw / "Dataset001_Mets" / "imagesTs" / "Mets_9_0000.nii.gz").is_file()


@pytest.mark.parametrize(
    ("hospital", "options", "said"),
    [
        ("B", ("--val", "Mets_8"), "no such patient: Mets_8"),
        ("A", ("--sequences", "t1_gd,t2"), "unknown sequence t2"),
    ],
)
def test_what_is_not_there_is_named(source, raw, capsys, hospital, options, said):
    assert convert(hospital, source, *options) == 2
    assert said in capsys.readouterr().err


def test_two_patients_of_one_name_are_refused(source, raw, capsys):
    patient(source / "B" / "test" / "Mets_3", *ALL[1:])
    assert convert("B", source) == 1
    assert "are both the flair of Mets_3" in capsys.readouterr().err
    assert [file.name for file in (raw / "Dataset001_Mets" / "imagesTs").glob("*_0001*")] == ["Mets_4_0001.nii.gz"]


def test_two_files_for_one_sequence_are_refused(source, raw, capsys):
    folder = source / "A" / "train" / "Mets_1"
    (folder / "T1post.nii.gz").write_bytes((folder / "t1_gd.nii.gz").read_bytes())
    assert convert("A", source) == 1
    said = capsys.readouterr().err
    assert "T1post.nii.gz and " in said
    assert "t1_gd.nii.gz are both the t1_gd of Mets_1" in said
    assert list(json.loads((raw / "Dataset001_Mets" / "manifest.json").read_text())["patients"]) == ["Mets_2"]


def test_a_data_set_of_other_channels_is_not_added_to(source, raw, capsys):
    assert convert("A", source) == 0
    assert convert("B", source, "--sequences", "t1_gd") == 2
    assert "the data set was written with other settings" in capsys.readouterr().err


def test_a_patient_does_not_move_from_validation_to_test(source, raw, capsys):
    assert convert("B", source) == 0
    assert convert("B", source, "--val", "Mets_4") == 2
    assert "Mets_4 is a test patient in the data set, but a val patient here" in capsys.readouterr().err


def test_the_limited_data_set_is_registered_to_the_series_on_which_the_label_is_drawn(tmp_path, raw):
    patient(tmp_path / "A" / "Mets_1", "t1_pre", "flair", label=False)
    folder = tmp_path / "A" / "Mets_1"
    image = sitk.ReadImage(str(folder / "t1_pre.nii.gz"))
    image.SetOrigin([0, 0, 9])
    for name in ("t1_pre", "flair"):
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    image.SetOrigin([0, 0, 0])
    sitk.WriteImage(image, str(folder / "bravo.nii.gz"))
    sitk.WriteImage(sitk.Cast(image > 50, sitk.sitkUInt8), str(folder / "seg.nii.gz"))
    # bravo is no channel, yet the others have to lie on it
    assert convert("A", tmp_path, "--sequences", "t1_pre,flair") == 1
    cases = json.loads((raw / "Dataset001_Mets" / "summary.json").read_text())["cases"]
    assert "bravo.nii.gz has (0, 0, 0)" in cases["Mets_1"]["problem"]


def test_a_second_hospital_with_the_same_names_does_not_overwrite_the_first(source, raw, capsys):
    assert convert("A", source) == 0
    before = (raw / "Dataset001_Mets" / "imagesTr" / "Mets_1_0000.nii.gz").read_bytes()
    patient(source / "elsewhere" / "A" / "Mets_1", "flair", "t1_gd")
    assert convert("A", source / "elsewhere") == 1
    assert "the data set has a case of this name from another folder" in capsys.readouterr().err
    assert (raw / "Dataset001_Mets" / "imagesTr" / "Mets_1_0000.nii.gz").read_bytes() == before
    assert "Mets_1" in json.loads((raw / "Dataset001_Mets" / "manifest.json").read_text())["patients"]


def test_a_label_in_capitals_is_a_label(source, raw):
    folder = source / "A" / "train" / "Mets_1"
    (folder / "seg.nii.gz").rename(folder / "Seg.nii.gz")
    assert convert("A", source) == 0
    assert (raw / "Dataset001_Mets" / "labelsTr" / "Mets_1.nii.gz").is_file()


@pytest.mark.slow
def test_the_limited_data_set_of_a_phantom_is_planned_and_trained(tmp_path):
    host = Host(tmp_path)
    design = ("--train", 3, "--val", 1, "--test", 1, "--size", 48)
    host.run("seqdropout", "phantom", "-o", tmp_path / "phantom", *design)
    for hospital in ("hospital_a", "hospital_b"):
        options = ("-d", 2, "-n", "Limited", "--sequences", "t1_pre,t1_gd,flair")
        host.run("seqdropout", "convert", hospital, tmp_path / "phantom" / hospital, *options)
    host.plan(2, "2d")
    host.train(2, "TinyDeepLab")
    test_images = tmp_path / "raw" / "Dataset002_Limited" / "imagesTs"
    host.predict(2, "TinyDeepLab", test_images, tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 1
