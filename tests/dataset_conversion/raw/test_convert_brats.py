"""``seqdropout convert brats`` on tiny trees of the two BraTS layouts, and on the real images where they are."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_seqdropout.cli.command import main


def write(path: Path, voxels: np.ndarray, *, origin=(0.0, 0.0, 0.0)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels)
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(path))


def patient(folder: Path, stem: str, names: str, *, seg: dict[int, int] | None, seed: int = 0) -> None:
    """One BraTS patient; ``seg`` gives the number of voxels of each label; another seed, another patient's images."""
    for i, name in enumerate(names.split()):
        write(folder / f"{stem}{name}.nii.gz", np.arange(60, dtype=np.int16).reshape(3, 4, 5) + i + 10 * seed)
    if seg is not None:
        label = np.zeros(60, np.int16)
        start = 0
        for value, count in seg.items():
            label[start : start + count] = value
            start += count
        write(folder / f"{stem}seg.nii.gz", label.reshape(3, 4, 5))


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    return tmp_path / "raw" / "Dataset005_Tumours"


def convert(source: Path, *options: str) -> int:
    return main(["convert", "brats", str(source), "-d", "5", "-n", "Tumours", *options])


def voxels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_the_old_layout_gets_consecutive_labels(tmp_path, raw):
    patient(tmp_path / "in" / "P1", "P1_", "t1 t1ce t2 flair", seg={1: 3, 2: 5, 4: 7})
    assert convert(tmp_path / "in") == 0
    values, counts = np.unique(voxels(raw / "labelsTr" / "P1.nii.gz"), return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {0: 45, 1: 3, 2: 5, 3: 7}
    # t1, t1ce, t2, flair were written as 0, 1, 2, 3 more: the channels are t1n, t1c, t2w, t2f
    assert [voxels(raw / "imagesTr" / f"P1_000{c}.nii.gz").flat[0] for c in range(4)] == [0, 1, 2, 3]
    description = json.loads((raw / "dataset.json").read_text())
    assert list(description["channel_names"].values()) == ["t1n", "t1c", "t2w", "t2f"]
    assert description["labels"] == {"background": 0, "necrosis": 1, "oedema": 2, "enhancing": 3}
    assert description["numTraining"] == 1


def test_the_new_layout_keeps_its_labels_and_an_absent_sequence_becomes_zeros(tmp_path, raw):
    patient(tmp_path / "in" / "M-1-000", "M-1-000-", "t1n t1c t2f", seg={1: 1, 2: 2, 3: 3})
    assert convert(tmp_path / "in") == 0
    assert np.unique(voxels(raw / "labelsTr" / "M-1-000.nii.gz")).tolist() == [0, 1, 2, 3]
    assert not voxels(raw / "imagesTr" / "M-1-000_0002.nii.gz").any()
    entry = json.loads((raw / "manifest.json").read_text())["patients"]["M-1-000"]
    assert entry["split"] == "train"
    assert entry["sequences"]["t2w"] == {"present": False}
    assert entry["sequences"]["t2f"]["present"]
    assert entry["sequences"]["t2f"]["source"] == "M-1-000/M-1-000-t2f.nii.gz"
    assert len(entry["sequences"]["t2f"]["sha256"]) == 64


def test_test_patients_go_to_their_own_folders_with_their_labels(tmp_path, raw):
    for seed, name in enumerate(("P1", "P2")):
        patient(tmp_path / "in" / name, f"{name}_", "t1 t1ce t2 flair", seg={4: 1}, seed=seed)
    patient(tmp_path / "in" / "P3", "P3_", "t1 t1ce t2 flair", seg=None, seed=3)
    assert convert(tmp_path / "in", "--test", "P2", "P3") == 0
    assert [f.name for f in (raw / "labelsTr").iterdir()] == ["P1.nii.gz"]
    assert [f.name for f in (raw / "labelsTs").iterdir()] == ["P2.nii.gz"]
    assert len(list((raw / "imagesTs").iterdir())) == 8
    assert json.loads((raw / "dataset.json").read_text())["numTraining"] == 1


def test_plain_nifti_is_compressed_and_labels_stored_as_float_are_taken(tmp_path, raw):
    for name in ("t1", "t1ce", "t2", "flair"):
        write(tmp_path / "in" / f"P1_{name}.nii", np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    write(tmp_path / "in" / "P1_seg.nii", np.full((3, 4, 5), 4, np.float32))
    assert convert(tmp_path / "in") == 0
    assert voxels(raw / "imagesTr" / "P1_0000.nii.gz").dtype == np.int16
    assert np.unique(voxels(raw / "labelsTr" / "P1.nii.gz")).tolist() == [3]


@pytest.mark.parametrize(
    ("seg", "said"),
    [
        ({3: 2}, "unknown label values 3 (2 voxels)"),
        ({7: 4}, "unknown label values 7 (4 voxels)"),
        (None, "a training patient without a label"),
    ],
)
def test_a_faulty_patient_is_left_out_whole_and_the_others_go_on(tmp_path, raw, seg, said):
    patient(tmp_path / "in" / "P1", "P1_", "t1 t1ce t2 flair", seg=seg)
    patient(tmp_path / "in" / "P2", "P2_", "t1 t1ce t2 flair", seg={4: 1})
    assert convert(tmp_path / "in") == 1
    assert said in json.loads((raw / "summary.json").read_text())["cases"]["P1"]["problem"]
    assert not list(raw.rglob("P1*"))
    assert list(json.loads((raw / "manifest.json").read_text())["patients"]) == ["P2"]


def test_a_label_on_another_grid_is_refused(tmp_path, raw):
    patient(tmp_path / "in" / "P1", "P1_", "t1 t1ce t2 flair", seg=None)
    write(tmp_path / "in" / "P1" / "P1_seg.nii.gz", np.ones((3, 4, 5), np.uint8), origin=(0, 0, 1))
    assert convert(tmp_path / "in") == 1
    assert "P1_seg.nii.gz: origin" in json.loads((raw / "summary.json").read_text())["cases"]["P1"]["problem"]


def test_a_folder_without_brats_files_says_what_was_searched(tmp_path, raw, capsys):
    (tmp_path / "in").mkdir()
    assert convert(tmp_path / "in") == 2
    assert "no image below" in capsys.readouterr().err


def test_a_test_patient_who_is_not_there_is_named(tmp_path, raw, capsys):
    patient(tmp_path / "in" / "P1", "P1_", "t1 t1ce t2 flair", seg={4: 1})
    assert convert(tmp_path / "in", "--test", "P9") == 2
    assert "no such patient: P9" in capsys.readouterr().err


def test_two_files_for_one_image_are_named_and_the_others_go_on(tmp_path, raw):
    for folder in ("raw", "registered"):
        patient(tmp_path / "in" / folder, "P1_", "t1 t1ce", seg={4: 1})
    patient(tmp_path / "in" / "P2", "P2_", "t1 t1ce t2 flair", seg={4: 1})
    assert convert(tmp_path / "in") == 1
    said = json.loads((raw / "summary.json").read_text())["cases"]["P1"]["problem"]
    assert "raw/P1_t1.nii.gz and" in said
    assert "registered/P1_t1.nii.gz are both the t1n of P1" in said
    assert not list(raw.rglob("P1*"))
    assert (raw / "imagesTr" / "P2_0000.nii.gz").is_file()


def test_a_patient_in_training_never_becomes_a_test_patient_too(tmp_path, raw, capsys):
    patient(tmp_path / "in" / "P1", "P1_", "t1 t1ce t2 flair", seg={4: 1})
    assert convert(tmp_path / "in") == 0
    assert convert(tmp_path / "in", "--test", "P1") == 2
    assert "P1 is a train patient in the data set, but a test patient here" in capsys.readouterr().err
    # a run that was killed has written images but no manifest
    (raw / "manifest.json").unlink()
    assert convert(tmp_path / "in", "--test", "P1") == 2
    assert "P1 is a train patient in the data set, but a test patient here" in capsys.readouterr().err
    assert not (raw / "imagesTs").exists()


def test_converting_twice_changes_nothing(tmp_path, raw):
    patient(tmp_path / "in" / "P1", "P1_", "t1 t1ce flair", seg={4: 1})
    assert convert(tmp_path / "in") == 0
    first = {file: file.read_bytes() for file in raw.rglob("*") if file.is_file()}
    assert convert(tmp_path / "in") == 0
    assert {file: file.read_bytes() for file in raw.rglob("*") if file.is_file()} == first


def test_a_number_that_is_taken_is_refused(tmp_path, raw, capsys):
    (raw.parent / "Dataset005_Other").mkdir(parents=True)
    patient(tmp_path / "in" / "P1", "P1_", "t1 t1ce t2 flair", seg={4: 1})
    assert convert(tmp_path / "in") == 2
    assert "the data set number 5 is already used by" in capsys.readouterr().err


def test_without_nnunet_raw_the_remedy_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("nnUNet_raw", raising=False)
    assert convert(tmp_path) == 2
    assert "nnUNet_raw is not set" in capsys.readouterr().err


def test_real_gliomas_and_a_real_metastasis_are_converted(real_data, tmp_path, raw):
    source = tmp_path / "in"
    source.mkdir()
    for folder in ("glioma_registered/Brats18_2013_11_1", "metastasis_registered"):
        for file in (real_data / folder).iterdir():
            (source / file.name).symlink_to(file)
    case, metastasis = "Brats18_2013_11_1", "BraTS-MET-00110-000"
    assert convert(source, "--test", metastasis) == 0
    stored = voxels(real_data / "glioma_registered" / case / f"{case}_seg.nii.gz")
    label = voxels(raw / "labelsTr" / f"{case}.nii.gz")
    for theirs, ours in {0: 0, 1: 1, 2: 2, 4: 3}.items():
        assert (label == ours).sum() == (stored == theirs).sum() > 0
    assert len(list((raw / "imagesTs").glob(f"{metastasis}_000?.nii.gz"))) == 4
    assert not (raw / "labelsTs").exists()
