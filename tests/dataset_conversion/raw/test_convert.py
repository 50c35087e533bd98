"""Conversion as a whole: nothing half written, resumed to the same bytes, registered, defaced, one pass, dry runs."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from example_moved import write_moved_patient
from joblib import parallel_config

from dataset_conversion.raw.convert import convert as convert_patients
from dataset_conversion.raw.convert import dataset_of
from dataset_conversion.raw.layout import SHIPPED, read_layout
from dataset_conversion.raw.preparing.prepared import Preparation
from dataset_conversion.raw.sources.patients import find_patients
from nnunet_seqdropout.cli.command import main

SEQUENCES = ("bravo", "t1_pre", "t1_gd", "flair")


def patient(folder: Path, *, seed: int = 0, shape=(8, 12, 10), absent=(), label: bool = True) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for name in SEQUENCES:
        if name not in absent:
            image = sitk.GetImageFromArray(rng.integers(1, 500, shape).astype(np.int16))
            sitk.WriteImage(image, str(folder / f"{name}.nii.gz"), useCompression=True)
    if label:
        mask = np.zeros(shape, np.uint8)
        mask[2:4, 3:6, 3:6] = 1
        sitk.WriteImage(sitk.GetImageFromArray(mask), str(folder / "seg.nii.gz"), useCompression=True)


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    return tmp_path / "raw" / "Dataset001_X"


def convert(source: Path, *options: object, layout: str = "hospital_a") -> int:
    return main([str(word) for word in ("convert", layout, source, "-d", 1, "-n", "X", *options)])


def contents(folder: Path) -> dict[str, str]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_conversion_killed_at_any_moment_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    for number in range(20):
        patient(tmp_path / "in" / f"P{number:02d}", seed=number, absent=SEQUENCES[: number % 3])
    command = [
        Path(sys.executable).parent / "seqdropout",
        "convert",
        "hospital_a",
        tmp_path / "in",
        "-d",
        "1",
        "-n",
        "X",
    ]
    command += ["--register", "never"]

    def run(root: str, *, n_done: int | None = None, delay: float = 0.0) -> int:
        """Killed a moment after so many patients are done."""
        environment = {**os.environ, "nnUNet_raw": str(tmp_path / root), "OMP_NUM_THREADS": "1"}
        nowhere = subprocess.DEVNULL
        process = subprocess.Popen([str(word) for word in command], env=environment, stdout=nowhere, stderr=nowhere)
        if n_done is not None:
            records = tmp_path / root / "Dataset001_X" / ".conversion"
            while process.poll() is None and len(list(records.glob("*.json"))) < n_done:
                time.sleep(0.001)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        return process.wait()

    assert run("undisturbed") == 0
    moments = random.Random(0)
    killed = 0
    for n_done in (0, 4, 8, 12):
        # whoever is in the data set is there whole
        killed += run("killed", n_done=n_done, delay=moments.uniform(0, 0.02)) == -signal.SIGKILL
        folder = tmp_path / "killed" / "Dataset001_X"
        for record in folder.glob(".conversion/*.json"):
            assert len(list(folder.glob(f"imagesTr/{record.stem}_*.nii.gz"))) == 4
    assert killed >= 2
    assert run("killed") == 0
    undisturbed, resumed = (contents(tmp_path / root / "Dataset001_X") for root in ("undisturbed", "killed"))
    assert resumed == undisturbed
    assert not list((tmp_path / "killed").rglob(".partial-*"))


def test_only_what_changed_is_written_again(tmp_path, raw):
    for number in range(2):
        patient(tmp_path / "in" / f"P{number}", seed=number)
    never = ("--register", "never")
    assert convert(tmp_path / "in", *never) == 0
    before = {file: file.stat().st_mtime_ns for file in (raw / "imagesTr").iterdir()}
    (tmp_path / "in" / "P1" / "flair.nii.gz").write_bytes((tmp_path / "in" / "P0" / "flair.nii.gz").read_bytes())
    (raw / "labelsTr" / "P0.nii.gz").write_bytes(b"damaged")
    assert convert(tmp_path / "in", *never) == 0
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(raw / "labelsTr" / "P0.nii.gz"))).sum() == 18
    assert (raw / "imagesTr" / "P1_0003.nii.gz").read_bytes() == (tmp_path / "in/P0/flair.nii.gz").read_bytes()
    before = {file: file.stat().st_mtime_ns for file in (raw / "imagesTr").iterdir()}
    assert convert(tmp_path / "in", *never) == 0
    assert {file: file.stat().st_mtime_ns for file in (raw / "imagesTr").iterdir()} == before


def test_a_patient_who_becomes_faulty_is_taken_out_whole(tmp_path, raw):
    for number in range(2):
        patient(tmp_path / "in" / f"P{number}", seed=number)
    assert convert(tmp_path / "in", "--register", "never") == 0
    file = tmp_path / "in" / "P1" / "t1_gd.nii.gz"
    file.write_bytes(file.read_bytes()[:100])
    assert convert(tmp_path / "in", "--register", "never") == 1
    assert not list(raw.rglob("P1*"))
    assert list(json.loads((raw / "manifest.json").read_text())["patients"]) == ["P0"]
    assert json.loads((raw / "dataset.json").read_text())["numTraining"] == 1


def test_a_source_that_cannot_be_read_any_more_leaves_no_part_of_its_patient(tmp_path, raw, monkeypatch):
    for number in range(2):
        patient(tmp_path / "in" / f"P{number}", seed=number)
    assert convert(tmp_path / "in", "--register", "never") == 0
    original = Path.open

    def failing(self, *mode, **how):
        if self.name == "flair.nii.gz" and self.parent.name == "P1":
            raise OSError("the disk is gone")
        return original(self, *mode, **how)

    monkeypatch.setattr(Path, "open", failing)
    assert convert(tmp_path / "in", "--register", "never") == 1
    assert not list(raw.rglob("P1*"))
    assert json.loads((raw / "dataset.json").read_text())["numTraining"] == 1


def test_a_split_that_nobody_declares_any_more_is_gone(tmp_path, raw):
    patient(tmp_path / "in" / "val" / "P1")
    assert convert(tmp_path / "in", "--register", "never", layout="hospital_b") == 0
    assert (raw / "splits_final.json").is_file()
    (tmp_path / "in" / "val" / "P1" / "flair.nii.gz").write_bytes(b"")
    assert convert(tmp_path / "in", "--register", "never", layout="hospital_b") == 1
    assert not (raw / "splits_final.json").exists()


def test_a_truncated_file_in_capitals_is_found(tmp_path, raw):
    patient(tmp_path / "in" / "P1")
    file = tmp_path / "in" / "P1" / "flair.nii.gz"
    file.with_name("flair.NII.GZ").write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    file.unlink()
    assert convert(tmp_path / "in", "--register", "never") == 1
    assert "truncated" in json.loads((raw / "summary.json").read_text())["cases"]["P1"]["problem"]


def test_a_dry_run_says_who_has_what_and_writes_nothing(tmp_path, raw, capsys):
    patient(tmp_path / "in" / "P1", absent=["bravo"])
    patient(tmp_path / "in" / "P2", label=False)
    assert convert(tmp_path / "in", "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["P1", "train", "(bravo", "absent)", "t1_pre", "t1_gd", "flair", "label"]
    assert lines[1].split()[:2] == ["P2", "test"]
    assert not raw.exists()


def test_two_workers_write_the_same_as_one(tmp_path, monkeypatch):
    for number in range(3):
        patient(tmp_path / "in" / f"P{number}", seed=number)
    written = []
    for workers in (1, 2):
        monkeypatch.setenv("nnUNet_raw", str(tmp_path / f"raw{workers}"))
        assert convert(tmp_path / "in", "--register", "never", "-np", workers) == 0
        written.append(contents(tmp_path / f"raw{workers}"))
    assert written[0] == written[1]


def test_two_workers_of_a_dask_cluster_convert_the_patients(tmp_path, raw):
    distributed = pytest.importorskip("distributed")
    for number in range(3):
        patient(tmp_path / "in" / f"P{number}", seed=number)
    assert convert(tmp_path / "in", "--register", "never") == 0
    layout, preparation = read_layout(SHIPPED / "hospital_a.yaml"), Preparation("never", label_mapping={})
    patients = find_patients(tmp_path / "in", layout)
    dataset = dataset_of(layout, tmp_path / "in", tmp_path / "dask" / raw.name, patients)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        parallel_config(backend="dask"),
    ):
        convert_patients(dataset, patients, preparation, n_workers=None)
    assert contents(dataset.folder) == contents(raw)


def test_nan_is_refused_unless_it_shall_be_zero(tmp_path, raw):
    patient(tmp_path / "in" / "P1")
    voxels = np.ones((8, 12, 10), np.float32)
    voxels[0, 0, :2] = np.nan, 5
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "in" / "P1" / "flair.nii.gz"))
    assert convert(tmp_path / "in", "--register", "never") == 1
    assert convert(tmp_path / "in", "--register", "never", "--nan", "zero") == 0
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(raw / "imagesTr" / "P1_0003.nii.gz")))
    assert written[0, 0, :3].tolist() == [0, 5, 1]


def test_every_source_file_is_decompressed_once(tmp_path, raw, monkeypatch):
    import gzip

    patient(tmp_path / "in" / "P1")
    opened = []
    original = gzip.GzipFile.__init__

    def counting(self, *args, **kwargs):
        opened.append(kwargs.get("fileobj"))
        original(self, *args, **kwargs)

    monkeypatch.setattr(gzip.GzipFile, "__init__", counting)
    monkeypatch.setattr("dataset_conversion.raw.convert.write_quality_page", lambda folder, **_: folder)
    assert convert(tmp_path / "in", "--register", "never") == 0
    assert len(opened) == 5 + 1  # the header of the reference series tells in which order axes are stored


@pytest.fixture
def moved_patient(tmp_path) -> Path:
    write_moved_patient(tmp_path / "in" / "P1")
    return tmp_path / "in"


def test_a_series_that_moved_is_registered_and_the_manifest_says_by_how_much(moved_patient, raw):
    assert convert(moved_patient) == 0
    flair = json.loads((raw / "manifest.json").read_text())["patients"]["P1"]["sequences"]["flair"]
    assert flair["translation_mm"] == pytest.approx((6**2 + 4**2 + 3**2) ** 0.5, abs=0.7)
    assert flair["rotation_deg"] == pytest.approx(5, abs=0.7)
    assert flair["similarity_after"] > flair["similarity_before"]
    assert np.shape(flair["transform"]) == (4, 4)
    images = [sitk.ReadImage(str(raw / "imagesTr" / f"P1_000{i}.nii.gz")) for i in (0, 3)]
    assert images[0].GetSize() == images[1].GetSize()
    assert images[1].GetPixelID() == sitk.sitkInt16
    assert (raw / "qc" / "P1_flair.png").is_file()
    before = contents(raw)
    assert convert(moved_patient) == 0
    assert contents(raw) == before


def test_other_grids_are_refused_where_nothing_may_be_registered(moved_patient, raw):
    assert convert(moved_patient, "--register", "never") == 1
    problem = json.loads((raw / "summary.json").read_text())["cases"]["P1"]["problem"]
    assert "flair.nii.gz: size (50, 54, 50), but" in problem


def test_a_series_of_something_else_never_passes_on(moved_patient, raw):
    noise = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 900, (50, 54, 50)).astype(np.int16))
    noise.SetSpacing([3, 3, 3])
    sitk.WriteImage(noise, str(moved_patient / "P1" / "flair.nii.gz"))
    assert convert(moved_patient) == 1
    assert "flair: registration" in json.loads((raw / "summary.json").read_text())["cases"]["P1"]["problem"]
    assert [file.name for file in raw.rglob("P1*")] == ["P1_flair.png"]


def test_defacing_takes_one_mask_for_all_series_and_leaves_its_picture(moved_patient, raw, tmp_path):
    bravo = sitk.ReadImage(str(moved_patient / "P1" / "bravo.nii.gz"))
    distance = sitk.SignedMaurerDistanceMap(
        bravo > 0, insideIsPositive=True, squaredDistance=False, useImageSpacing=True
    )
    (tmp_path / "masks").mkdir()
    sitk.WriteImage(distance > 30, str(tmp_path / "masks" / "P1.nii.gz"))
    assert convert(moved_patient, "--deface", tmp_path / "masks") == 0
    brain = sitk.GetArrayFromImage(distance) > 30
    for channel in (0, 3):
        written = sitk.GetArrayFromImage(sitk.ReadImage(str(raw / "imagesTr" / f"P1_000{channel}.nii.gz")))
        # the front lower part, far from the brain, is gone; the brain is as it was
        assert not written[:10, :14].any()
    assert np.array_equal(
        sitk.GetArrayFromImage(sitk.ReadImage(str(raw / "imagesTr" / "P1_0000.nii.gz")))[brain],
        sitk.GetArrayFromImage(bravo)[brain],
    )
    # a picture of a face does not belong into the data set
    assert (raw.parent / "faces_Dataset001_X" / "P1.png").is_file()
    assert not (raw / "qc").exists()


def test_without_a_brain_mask_nothing_is_written(moved_patient, raw, tmp_path):
    (tmp_path / "masks").mkdir()
    assert convert(moved_patient, "--deface", tmp_path / "masks") == 1
    assert "no brain mask" in json.loads((raw / "summary.json").read_text())["cases"]["P1"]["problem"]
    assert not (raw / "imagesTr").exists()


@pytest.mark.slow
def test_a_metastasis_with_two_real_sequences_gets_two_placeholders(real_data, tmp_path, raw):
    folder = tmp_path / "in" / "YG"
    folder.mkdir(parents=True)
    source = real_data / "metastasis_two_sequences"
    for name, stem in (("t1ce", "t1ce_aligned"), ("flair", "flair_aligned"), ("seg", "core_seg_aligned")):
        (folder / f"{name}.nii.gz").symlink_to(next(source.glob(f"*_{stem}.nii.gz")))
    assert convert(tmp_path / "in", layout="hospital_b") == 0
    images = [sitk.GetArrayFromImage(sitk.ReadImage(str(raw / "imagesTs" / f"YG_000{c}.nii.gz"))) for c in range(4)]
    assert [bool(image.any()) for image in images] == [False, False, True, True]
    entry = json.loads((raw / "manifest.json").read_text())["patients"]["YG"]
    # its owners aligned the two; 2 mm are left, and the checkerboard is better for having taken them away
    assert entry["sequences"]["flair"]["translation_mm"] < 4
    assert entry["sequences"]["flair"]["similarity_after"] > entry["sequences"]["flair"]["similarity_before"]
    assert (raw / "labelsTs" / "YG.nii.gz").is_file()


def test_a_data_set_in_which_everybody_failed_may_become_another(tmp_path, raw, capsys):
    patient(tmp_path / "in" / "P1", absent=("bravo",))
    label = sitk.ReadImage(str(tmp_path / "in" / "P1" / "seg.nii.gz")) * 4
    sitk.WriteImage(label, str(tmp_path / "in" / "P1" / "seg.nii.gz"))
    assert convert(tmp_path / "in") == 1
    assert "--map 4=1." in capsys.readouterr().err
    assert convert(tmp_path / "in", "--map", "4=1", "--register", "never", "--sequences", "t1_pre,flair") == 0
    names = json.loads((raw / "dataset.json").read_text())["channel_names"]
    assert list(names.values()) == ["t1_pre", "flair"]
    for options in (["--dry-run"], []):
        assert convert(tmp_path / "in", *options) == 2
        assert "the data set was written with other settings" in capsys.readouterr().err
