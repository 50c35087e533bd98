"""One person stays in one split, and out of what is written where pseudonyms are asked for."""

import gzip
import json
import os
import sys
from pathlib import Path
from subprocess import run

import nibabel
import numpy as np
import pytest

from dataset_conversion.raw.sources.persons import may_be_a_name, person_of
from nnunet_seqdropout.cli.command import main

SEQUENCES = ("bravo", "t1_pre", "t1_gd", "flair")


def save(file: Path, voxels: np.ndarray, *, description: str = "") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(voxels, np.eye(4))
    image.header["descrip"] = description
    nibabel.save(image, file)


def noise(*seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 90, (6, 7, 5)).astype(np.int16)


def lesion() -> np.ndarray:
    mask = np.zeros((6, 7, 5), np.uint8)
    mask[1:3, 2, 1] = 1
    return mask


def write_patient(folder: Path, seed: int, *, description: str = "") -> None:
    for number, name in enumerate(SEQUENCES):
        save(folder / f"{name}.nii.gz", noise(seed, number), description=description)
    save(folder / "seg.nii.gz", lesion(), description=description)


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    return tmp_path / "in"


@pytest.fixture
def raw(tmp_path) -> Path:
    return tmp_path / "raw" / "Dataset001_X"


def convert(source: Path, *options: object, layout: str = "hospital_a") -> int:
    words = ("convert", layout, source, "-d", 1, "-n", "X", "--register", "never", *options)
    return main([str(word) for word in words])


def read(file: Path) -> dict:
    return json.loads(file.read_text())


@pytest.mark.parametrize(
    ("case", "person"),
    [
        ("BraTS-MET-00001-000", "BraTS-MET-00001"),
        ("BraTS-PED-00001-001", "BraTS-PED-00001"),
        ("BraTS-GLI-00001_000", "BraTS-GLI-00001"),
        ("BraTS-MEN-RT-0001-1", "BraTS-MEN-RT-0001"),
        ("Brats18_CBICA_AAB_1", "Brats18_CBICA_AAB"),
        ("Brats17_2013_0_1", "Brats17_2013_0"),
        ("UCSF-PDGM-0429_FU003d", "UCSF-PDGM-0429"),
        ("UCSF-PDGM-0429", "UCSF-PDGM-0429"),
        ("BraTS20_Training_001", "BraTS20_Training_001"),
        ("BraTS2021_00000", "BraTS2021_00000"),
        ("BraTS-MET-00001", "BraTS-MET-00001"),
        ("P_1", "P_1"),
    ],
)
def test_the_person_of_a_time_point_in_public_data_sets(case, person):
    assert person_of(case) == person


def test_time_points_that_a_layout_does_not_tell_apart_stay_in_one_fold(source, raw):
    for seed, case in enumerate(("BraTS-MET-00001-000", "BraTS-MET-00001-001", "BraTS-MET-00002-000")):
        write_patient(source / case, seed)
    assert convert(source) == 0
    entries = read(raw / "manifest.json")["patients"]
    assert [entry["person"] for entry in entries.values()] == [
        "BraTS-MET-00001",
        "BraTS-MET-00001",
        "BraTS-MET-00002",
    ]
    sides = [{*split["train"]} for split in json.loads((raw / "splits_final.json").read_text())]
    assert sides[0] ^ sides[1] == {*entries}
    assert {"BraTS-MET-00002-000"} in sides


def test_a_person_of_an_older_manifest_is_named_anew(source, raw):
    write_patient(source / "BraTS-MET-00001-000", 0)
    assert convert(source) == 0
    record = raw / ".conversion" / "BraTS-MET-00001-000.json"
    record.write_text(record.read_text().replace('"person": "BraTS-MET-00001"', '"person": "BraTS-MET-00001-000"'))
    assert convert(source) == 0
    assert read(raw / "manifest.json")["patients"]["BraTS-MET-00001-000"]["person"] == "BraTS-MET-00001"


@pytest.mark.parametrize("test", ["P1", "BraTS-MET-00001-000"])
def test_a_patient_for_validation_and_test_is_refused(source, raw, capsys, test):
    val = "BraTS-MET-00001" if "BraTS" in test else test
    write_patient(source / "P1", 0)
    write_patient(source / "BraTS-MET-00001-000", 1)
    assert convert(source, "--val", val, "--test", test) == 2
    assert f"{test} is listed under --val and --test" in capsys.readouterr().err
    assert not raw.exists()


def test_a_sequence_that_no_training_patient_has_is_said_by_convert_dry_or_not_and_check(source, raw, capsys):
    """A test patient who has it does not help the network."""
    for seed in range(5):
        write_patient(source / f"P{seed}", seed)
        if seed:
            (source / f"P{seed}" / "bravo.nii.gz").unlink()
    note = "note: no training case has bravo. Convert with --sequences t1_pre,t1_gd,flair, or with a layout"
    for options in (["--dry-run"], []):
        assert convert(source, "--test", "P0", *options) == 0
        assert note in capsys.readouterr().out
    assert main(["check", "-i", str(raw)]) == 0
    assert note in capsys.readouterr().out
    for options in (["--dry-run"], [], ["--sequences", "t1_gd,flair", "--test", "P0"]):
        assert convert(source, "-d", 2 + len(options), *options) == 0
        assert "no training case has" not in capsys.readouterr().out


@pytest.mark.parametrize(("n_patients", "is_said"), [(4, True), (5, False)])
def test_too_few_cases_for_five_folds_are_said_by_convert_and_check(source, raw, capsys, n_patients, is_said):
    for seed in range(n_patients):
        write_patient(source / f"P{seed}", seed)
    assert convert(source) == 0
    assert ("note: too few training cases for nnU-Net's 5 folds: 4." in capsys.readouterr().out) == is_said
    assert main(["check", "-i", str(raw)]) == 0
    assert ("note: too few training cases for nnU-Net's 5 folds: 4." in capsys.readouterr().out) == is_said
    assert convert(source, "--val", "P0", "-d", 2) == 0
    assert "folds" not in capsys.readouterr().out


def test_fewer_declared_folds_than_five_are_said(source, capsys):
    for seed in range(6):
        write_patient(source / f"BraTS-MET-0000{seed % 3}-00{seed // 3}", seed)
    assert convert(source) == 0
    assert "note: 3 folds in place of nnU-Net's 5" in capsys.readouterr().out


@pytest.mark.parametrize("splits", [None, [{"train": ["A", "C"], "val": ["B"]}]])
def test_check_finds_an_image_under_two_names_without_a_manifest(tmp_path, capsys, splits):
    """A is B and T: stored anew, the bytes of the files differ. C is somebody else."""
    folder = tmp_path / "Dataset001_X"
    for case, subset, seed in (("A", "Tr", 0), ("B", "Tr", 0), ("C", "Tr", 1), ("T", "Ts", 0)):
        save(folder / f"images{subset}" / f"{case}_0000.nii.gz", noise(seed), description=case)
        save(folder / f"labels{subset}" / f"{case}.nii.gz", lesion())
    description = {"channel_names": {"0": "flair"}, "labels": {"background": 0, "x": 1}, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps({**description, "numTraining": 3}))
    if splits:
        (folder / "splits_final.json").write_text(json.dumps(splits))
    assert main(["check", "-i", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "\nA: it has the same image as T, which is in another split" in f"\n{said}"
    assert "\nB: it has the same image as T, which is in another split" in f"\n{said}"
    in_training = "A: it has the same image as B, which is in another split" if splits else "note: A: it has the same"
    assert f"\n{in_training}" in f"\n{said}"
    assert "C: it" not in said


def test_check_knows_the_time_points_of_public_data_sets_without_a_manifest(tmp_path, capsys):
    folder = tmp_path / "Dataset001_X"
    for seed, (case, subset) in enumerate((("BraTS-GLI-00001-000", "Tr"), ("BraTS-GLI-00001-001", "Ts"))):
        save(folder / f"images{subset}" / f"{case}_0000.nii.gz", noise(seed))
        save(folder / f"labels{subset}" / f"{case}.nii.gz", lesion())
    description = {"channel_names": {"0": "flair"}, "labels": {"background": 0, "x": 1}, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps({**description, "numTraining": 1}))
    assert main(["check", "-i", str(folder)]) == 1
    assert "the patient is in imagesTr and as BraTS-GLI-00001-001 in imagesTs" in capsys.readouterr().out


def test_an_image_under_two_names_in_one_split_is_said_by_convert(source, caplog):
    for name in ("P1", "P2"):
        write_patient(source / name, 0)
    assert convert(source) == 0
    assert "P1 has the same image as P2: they may be one patient under two names" in caplog.text


@pytest.mark.parametrize(
    ("case", "may_be"),
    [
        ("Doe^Jane", True),
        ("Doe, Jane", True),
        ("Jane Doe", True),
        ("Müller_Jörg", True),
        ("P1 follow-up", True),
        ("P1", False),
        ("Mets_001", False),
        ("BraTS-MET-00001-000", False),
        ("TCGA-02-0003", False),
        ("P_0a1b2c3d4e", False),
        ("AB_C", False),
    ],
)
def test_an_id_that_may_be_a_name(case, may_be):
    assert may_be_a_name(case) == may_be


def test_ids_that_may_be_names_draw_a_note_of_convert_and_check(source, raw, capsys):
    write_patient(source / "Doe^Jane", 0)
    write_patient(source / "P2", 1)
    said = "note: ids that may be names, and travel into file names and reports: Doe^Jane. Give pseudonyms"
    assert convert(source) == 0
    assert said in capsys.readouterr().out
    assert main(["check", "-i", str(raw)]) == 0
    assert said in capsys.readouterr().out


def everything_written(folder: Path) -> bytes:
    """Names and contents of all files, unpacked; as they are, too, since a gzip header may hold a name."""
    written = b""
    for file in sorted(folder.rglob("*")):
        written += str(file.relative_to(folder)).encode()
        if file.is_file():
            content = file.read_bytes()
            written += content + (gzip.decompress(content) if file.name.endswith(".gz") else b"")
    return written


@pytest.mark.parametrize("options", [(), ("--sequences", "t1_gd,flair")])
def test_with_a_key_nothing_that_is_written_names_anybody(source, raw, tmp_path, capsys, options):
    """Names lie in folders, in headers, in a file that is not used, and in that of a patient who fails."""
    write_patient(source / "Mustermann_Erika", 0, description="Mustermann")
    write_patient(source / "Mustermann_Max", 1, description="Mustermann")
    (source / "Mustermann_Max" / "flair.nii.gz").write_bytes(b"")
    save(source / "Mustermann_Erika" / "Mustermann.nii.gz", noise(5))
    assert convert(source, "--key", tmp_path / "key", *options) == 1
    assert "ids that may be names" not in capsys.readouterr().out
    written = everything_written(tmp_path / "raw")
    assert b"Mustermann" not in written
    assert b"P_" in written
    (case,) = read(raw / "manifest.json")["patients"]
    entry = read(raw / "manifest.json")["patients"][case]
    assert entry["person"] == case
    assert list(entry["sequences"]["flair"]) == ["present", "sha256"]
    assert list(entry["label"]) == ["sha256"]
    (failed,) = [each for each in read(raw / "summary.json")["cases"].values() if each["status"] == "failed"]
    assert failed["problem"] == "the flair: the file is empty"
    # to the voxel what it was
    image = nibabel.Nifti1Image.from_filename(raw / "imagesTr" / f"{case}_000{1 if options else 3}.nii.gz")
    assert np.array_equal(np.asanyarray(image.dataobj), noise(0, 3))
    before = {file: file.stat().st_mtime_ns for file in raw.rglob("*.nii.gz")}
    assert convert(source, "--key", tmp_path / "key", *options) == 1
    assert {file: file.stat().st_mtime_ns for file in raw.rglob("*.nii.gz")} == before


@pytest.mark.parametrize("workers", ["1", "2"])
def test_with_a_key_nothing_on_the_screen_names_anybody(source, raw, tmp_path, workers):
    """Neither what is not used, of a patient and of nobody, nor an image of one value, nor a name that is no UTF-8."""
    for seed, name in enumerate(("Mustermann_Erika", "Mustermann_Max")):
        write_patient(source / name, seed)
        save(source / name / "Mustermann.nii.gz", noise(5 + seed))
        save(source / name / "bravo.nii.gz", np.full(noise(0).shape, 7, np.int16))
    save(source / "Mustermann.nii.gz", noise(9))
    (source / "Mustermann_Max" / "flair.nii.gz").unlink()
    (source / "Mustermann_Max" / "flair.nii.gz").symlink_to("Mustermann_gone")
    (source / os.fsdecode(b"Mustermann_M\xfcller")).mkdir()
    save(tmp_path / "bravo.nii.gz", noise(9))
    (tmp_path / "bravo.nii.gz").rename(source / os.fsdecode(b"Mustermann_M\xfcller") / "bravo.nii.gz")
    words = ["convert", "hospital_a", source, "-d", "1", "-n", "X", "--key", tmp_path / "key", "-np", workers]
    words = [sys.executable, "-m", "nnunet_seqdropout.cli", *words, "--register", "never"]
    process = run(words, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert "Mustermann" not in process.stdout + process.stderr
    assert b"Mustermann" not in everything_written(tmp_path / "raw")
    (case,) = read(raw / "manifest.json")["patients"]
    assert f"{case}: not used: 1 image (run convert --dry-run without --key)" in process.stderr
    assert "not used, since nobody's: 1 image" in process.stderr
    assert "the bravo: every voxel is 7; treated as absent" in process.stderr


@pytest.mark.parametrize("layout", ["ucsf_bmsr", "hospital_a"])
def test_with_a_key_nor_does_a_fault_of_the_whole_source(source, raw, tmp_path, capsys, layout):
    """Nothing fits the layout, or a patient is asked for who is not there, and the others would be listed."""
    write_patient(source / "Mustermann_Erika", 0)
    words = ("--key", tmp_path / "key", "--test", "Nobody")
    assert convert(source, *words, layout=layout) == 2
    printed = "".join(capsys.readouterr())
    assert "Mustermann" not in printed
    assert "To know why, run convert --dry-run without --key" in printed
    assert convert(source, "--test", "Nobody", "--dry-run", layout=layout) == 2
    assert "Mustermann" in capsys.readouterr().err


def test_pseudonyms_are_those_of_the_key_and_keep_time_points(source, raw, tmp_path, capsys):
    for seed, case in enumerate(("7A", "7B", "8A")):
        save(source / case / f"{case}_FLAIR.nii.gz", noise(seed))
        save(source / case / f"{case}_seg.nii.gz", lesion())
    (tmp_path / "key").write_text("0123456789abcdef")
    # python -c "import hmac; print(hmac.new(b'0123456789abcdef', b'7', 'sha256').hexdigest()[:10])"
    seven, eight = "P_f69cf48526", "P_adde5a9bbc"
    assert convert(source, "--key", tmp_path / "key", "--val", "8", layout="ucsf_bmsr") == 0
    entries = read(raw / "manifest.json")["patients"]
    assert {case: (entry["person"], entry["split"]) for case, entry in entries.items()} == {
        f"{seven}_A": (seven, "train"),
        f"{seven}_B": (seven, "train"),
        f"{eight}_A": (eight, "val"),
    }
    capsys.readouterr()
    assert convert(source, "--key", tmp_path / "key", "--dry-run", layout="ucsf_bmsr") == 0
    assert f"7_A{' ' * 28}becomes {seven}_A" in capsys.readouterr().out


def test_a_session_that_is_a_date_is_hidden(source, raw, tmp_path):
    save(source / "sub-01" / "anat" / "sub-01_ses-20190304_FLAIR.nii.gz", noise(0))
    assert convert(source, "--key", tmp_path / "key", layout="bids") == 0
    (case,) = read(raw / "manifest.json")["patients"]
    assert b"20190304" not in everything_written(raw)
    assert [len(part) for part in case.split("_")] == [1, 10, 6]


def test_a_dry_run_makes_no_key(source, tmp_path):
    write_patient(source / "P1", 0)
    assert convert(source, "--key", tmp_path / "key", "--dry-run") == 0
    assert not (tmp_path / "key").exists()
