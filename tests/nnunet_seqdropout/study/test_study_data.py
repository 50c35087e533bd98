"""The data sets of a study are links to one data set, for each choice of sequences."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import SEQUENCES, write_case, write_dataset

from dataset_conversion.faults import Fault
from nnunet_seqdropout.study.cohort import read_cohort
from nnunet_seqdropout.study.links import link_dataset, link_images, sync_links

SHAPE = (4, 8, 8)


@pytest.fixture
def raw(tmp_path) -> Path:
    """A, B, C train, D validates without bravo; T is tested without bravo. No manifest."""
    folder = tmp_path / "Dataset001_Mets"
    splits = [{"train": ["A", "B", "C"], "val": ["D"]}]
    write_dataset(folder, dict.fromkeys("ABCD", SHAPE), splits=splits)
    write_case(folder, "D", SHAPE, seed=3, absent=["bravo"])
    write_case(folder, "T", SHAPE, seed=9, absent=["bravo"], split="Ts")
    return folder


def test_without_a_manifest_the_images_tell_who_has_what(raw):
    cohort = read_cohort(raw)
    assert cohort.present["A"] == SEQUENCES
    assert cohort.present["T"] == SEQUENCES[1:]
    assert (cohort.training, cohort.test_cases) == (("A", "B", "C", "D"), ("T",))
    assert cohort.validation_cases([0]) == ("D",)
    assert not cohort.synthetic


def test_a_manifest_tells_it_without_reading_an_image(raw):
    has = {name: {"present": name != "flair"} for name in SEQUENCES}
    splits = dict(zip("ABCDT", ("train", "train", "train", "val", "test"), strict=True))
    patients = {case: {"split": splits[case], "sequences": has} for case in "ABCDT"}
    (raw / "manifest.json").write_text(json.dumps({"settings": {"synthetic": True}, "patients": patients}))
    for image in raw.glob("images*/*.nii.gz"):
        image.write_bytes(b"")
    cohort = read_cohort(raw)
    assert cohort.present["T"] == ("bravo", "t1_pre", "t1_gd")
    assert cohort.synthetic


def test_available_is_what_all_patients_have_less_what_is_taken(raw):
    cohort = read_cohort(raw)
    assert cohort.available(["A", "T"]) == ("t1_pre", "t1_gd", "flair")
    assert cohort.available(["A"], ["t1ce"]) == ("bravo", "t1_pre", "flair")
    with pytest.raises(Fault, match="unknown sequence"):
        cohort.available(["A"], ["pet"])
    with pytest.raises(Fault, match="no sequence"):
        cohort.available(["T"], ["t1_pre", "t1_gd", "flair"])


def test_a_limited_data_set_numbers_its_sequences_anew(raw, tmp_path):
    link_dataset(read_cohort(raw), ["t1_pre", "flair"], tmp_path / "limited")
    images = sorted((tmp_path / "limited" / "imagesTr").iterdir())
    assert len(images) == 8
    assert images[1].name == "A_0001.nii.gz"
    assert images[1].resolve() == (raw / "imagesTr" / "A_0003.nii.gz").resolve()
    description = json.loads((tmp_path / "limited" / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "t1_pre", "1": "flair"}
    assert description["numTraining"] == 4
    splits = json.loads((tmp_path / "limited" / "splits_final.json").read_text())
    assert splits == [{"train": ["A", "B", "C"], "val": ["D"]}]


def test_a_training_patient_with_none_of_the_sequences_is_left_out(raw, tmp_path):
    link_dataset(read_cohort(raw), ["bravo"], tmp_path / "limited")
    assert [file.name for file in sorted((tmp_path / "limited" / "labelsTr").iterdir())] == [
        "A.nii.gz",
        "B.nii.gz",
        "C.nii.gz",
    ]
    assert json.loads((tmp_path / "limited" / "splits_final.json").read_text())[0]["val"] == []


def test_without_declared_splits_they_are_nnunets_own(raw):
    (raw / "splits_final.json").unlink()
    write_case(raw, "E", SHAPE, seed=8)
    (raw / "dataset.json").write_text(
        (raw / "dataset.json").read_text().replace('"numTraining": 4', '"numTraining": 5')
    )
    cohort = read_cohort(raw)
    assert sorted(cohort.validation_cases(range(5))) == ["A", "B", "C", "D", "E"]
    with pytest.raises(Fault, match="no fold 5"):
        cohort.validation_cases([5])


def test_links_that_are_no_longer_wanted_go_and_others_stay(raw, tmp_path):
    cohort = read_cohort(raw)
    folder = tmp_path / "links"
    link_images(cohort, ["A", "B"], ["flair"], folder, subset="Tr")
    kept = (folder / "B_0000.nii.gz").lstat().st_mtime_ns
    link_images(cohort, ["B", "C"], ["flair"], folder, subset="Tr")
    assert sorted(file.name for file in folder.iterdir()) == ["B_0000.nii.gz", "C_0000.nii.gz"]
    assert (folder / "B_0000.nii.gz").lstat().st_mtime_ns == kept
    sync_links(folder, {"B_0000.nii.gz": raw / "imagesTr" / "A_0000.nii.gz"})
    assert (folder / "B_0000.nii.gz").resolve().name == "A_0000.nii.gz"


def test_too_few_patients_for_nnunets_folds_are_refused(raw):
    (raw / "splits_final.json").unlink()
    with pytest.raises(Fault, match="too few"):
        read_cohort(raw)


def test_a_patient_who_trains_and_validates_is_refused(raw):
    (raw / "splits_final.json").write_text(json.dumps([{"train": ["A", "B"], "val": ["B"]}]))
    with pytest.raises(Fault, match="B"):
        read_cohort(raw)


def test_a_target_that_is_no_label_is_refused(raw):
    cohort = read_cohort(raw)
    cohort.require_target([1])
    for labels in ([1, 7], [0], []):
        with pytest.raises(Fault, match=r"targets: the data set has no (label|region)"):
            cohort.require_target(labels)


def test_a_model_of_regions_tells_nothing_of_a_region_that_was_not_declared(raw):
    labels: dict[str, int | list[int]] = {"background": 0, "whole": [1, 2, 3], "core": [1, 3], "enhancing": 3}
    cohort = replace(read_cohort(raw), labels=labels)
    for declared in ([3, 1], [1, 2, 3], [3]):
        cohort.require_target(declared)
    with pytest.raises(Fault, match=r"no label 1.*whole \(1,2,3\)"):
        cohort.require_target([1])


def test_a_fold_with_a_case_that_is_not_there_is_refused(raw):
    (raw / "splits_final.json").write_text(json.dumps([{"train": ["A"], "val": ["X"]}]))
    with pytest.raises(Fault, match="X"):
        read_cohort(raw)


def test_a_faulty_data_set_is_refused_before_anything_is_trained(raw):
    (raw / "imagesTr" / "B_0001.nii.gz").write_bytes(b"no image")
    with pytest.raises(Fault, match="faults"):
        read_cohort(raw)
    with pytest.raises(Fault, match="not a raw data set"):
        read_cohort(raw / "imagesTr")
