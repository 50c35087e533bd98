"""Room and permission are looked at before the work; a full disk or a kill leaves the last good files as they were."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from conftest import write_case
from example_folders import evaluate, save, write_folders

from nnunet_seqdropout.cli.command import main

NOWHERE = Path("not") / "there"
"""A command that looks at its output first does not come to miss its input."""
OF_NOTHING = {
    "dicom": ("dicom", NOWHERE, "--key", NOWHERE),
    "phantom": ("phantom",),
    "predict": ("predict", "-i", NOWHERE, "-m", NOWHERE),
    "calibrate": ("calibrate", "-gt", NOWHERE, "-p", NOWHERE),
    "evaluate": ("evaluate", "-gt", NOWHERE, "-p", NOWHERE),
    "compare": ("compare", NOWHERE, NOWHERE),
    "subsets": ("subsets", "-i", NOWHERE, "-gt", NOWHERE, "-m", NOWHERE),
    "study": ("study", "-i", NOWHERE),
}
LIMITED = """
import resource, sys
from nnunet_seqdropout.cli.command import main
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(main(sys.argv[1:]))
"""
"""No file may become larger than 20 kB: what is written to a full disk fails in the same way."""


def run(*words: object) -> int:
    return main([str(word) for word in words])


def run_limited(*words: object) -> str:
    """Runs the command where files must be small; its errors."""
    process = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert process.returncode in (1, 2), process.stderr
    assert "Traceback" not in process.stderr
    return process.stderr


def contents(folder: Path, *but: str) -> dict[str, str]:
    files = [file for file in folder.rglob("*") if file.is_file() and file.name not in but]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.parametrize("command", OF_NOTHING)
def test_an_output_that_is_no_folder_is_found_before_anything_is_read(tmp_path, capsys, command):
    (tmp_path / "file").write_text("precious")
    for out in (tmp_path / "file" / "out", tmp_path / "file" / "a" / "b"):
        assert run(*OF_NOTHING[command], "-o", out) == 2
        assert f"{tmp_path / 'file'} is no folder" in capsys.readouterr().err
    if command != "calibrate":  # whose output is a file
        assert run(*OF_NOTHING[command], "-o", tmp_path / "file") == 2
        assert f"{tmp_path / 'file'} is not writable" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("command", OF_NOTHING)
def test_a_folder_that_may_not_be_written_to_is_named_before_anything_is_read(tmp_path, capsys, monkeypatch, command):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("dataset_conversion.files.disk.TemporaryFile", refuse)
    out = tmp_path / "out" / "x"
    assert run(*OF_NOTHING[command], "-o", out) == 2
    where = out.parent if command == "calibrate" else out
    assert f"{where} is not writable (Permission denied). Choose a writable folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_dangling_link_is_no_folder(tmp_path, capsys):
    (tmp_path / "out").symlink_to(tmp_path / "gone")
    assert run(*OF_NOTHING["evaluate"], "-o", tmp_path / "out") == 2
    assert "is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "compare", "subsets", "study"])
def test_a_full_disk_is_found_before_anything_is_read(tmp_path, capsys, monkeypatch, command):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 5))
    assert run(*OF_NOTHING[command], "-o", tmp_path / "out") == 2
    assert f"{tmp_path / 'out'} has 5 bytes free, up to 67,108,864 are needed" in capsys.readouterr().err


def test_check_looks_at_the_place_of_its_findings_first(tmp_path, capsys):
    assert run("check", "-i", NOWHERE, "--json", tmp_path) == 2
    assert f"{tmp_path} is a folder. Give the name of a file" in capsys.readouterr().err


def hospital(folder: Path, *, seed: int = 0) -> None:
    """One patient whose images are larger than 20 kB however they are compressed."""
    rng = np.random.default_rng(seed)
    label = np.zeros((30, 40, 40), np.uint8)
    label[2:9, 3:9, 3:9] = 1
    save(label, folder / "P0" / "seg.nii.gz")
    for name in ("bravo", "t1_pre", "t1_gd", "flair"):
        save(rng.integers(1, 5000, label.shape).astype(np.int16), folder / "P0" / f"{name}.nii.gz")


@pytest.mark.parametrize("command", ["convert", "fill"])
def test_the_sizes_of_the_sources_must_be_free(tmp_path, capsys, monkeypatch, command):
    words, out = words_of(command, tmp_path, monkeypatch)
    usage = namedtuple("usage", "total used free")
    sources = [file for file in (tmp_path / "in").rglob("*.nii.gz") if command == "convert" or "_" in file.name]
    needed = sum(file.stat().st_size for file in sources)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, needed - 1))
    assert run(*words) == 2
    assert f"{out} has {needed - 1:,} bytes free, up to {needed:,} are needed" in capsys.readouterr().err
    assert not out.exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, needed))
    assert run(*words) == 0
    # run again, nothing more is needed
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 0))
    assert run(*words) == 0


def words_of(command: str, folder: Path, monkeypatch) -> tuple[list[object], Path]:
    """A command on a case of its own, and where it writes."""
    if command == "convert":
        monkeypatch.setenv("nnUNet_raw", str(folder / "raw"))
        hospital(folder / "in")
        options = ["-d", 1, "-n", "X", "--register", "never"]
        return ["convert", "hospital_a", folder / "in", *options], folder / "raw" / "Dataset001_X"
    write_case(folder, "P", (20, 40, 40))
    (folder / "imagesTr").rename(folder / "in")
    (folder / "model").mkdir()
    names = {str(channel): name for channel, name in enumerate(("bravo", "t1_pre", "t1_gd", "flair"))}
    description = {"channel_names": names, "file_ending": ".nii.gz"}
    (folder / "model" / "dataset.json").write_text(json.dumps(description))
    return ["fill", "-i", folder / "in", "-o", folder / "out", "-m", folder / "model"], folder / "out"


@pytest.mark.skipif(os.name != "posix", reason="the limit on the size of files is that of POSIX")
@pytest.mark.parametrize("command", ["convert", "fill"])
def test_on_a_full_disk_the_last_good_images_stay_and_none_is_half_written(tmp_path, monkeypatch, command):
    """SimpleITK says nothing of a NIfTI that it could not write to its end."""
    words, out = words_of(command, tmp_path, monkeypatch)
    if command == "convert":  # stored without compression, each is written anew
        for file in (tmp_path / "in" / "P0").iterdir():
            import SimpleITK as sitk

            sitk.WriteImage(sitk.ReadImage(str(file)), str(file.with_name(file.name[:-3])))
            file.unlink()
    first = run_limited(*words)
    assert "P0" in first or "P:" in first
    assert not list(out.rglob("*.nii.gz"))
    assert run(*words) == 0
    before = contents(out, "summary.json", "qc.html")
    assert len([name for name in before if name.endswith(".nii.gz")]) == (5 if command == "convert" else 4)
    if command == "convert":
        shutil.rmtree(tmp_path / "in")
        hospital(tmp_path / "in", seed=1)
    else:
        write_case(tmp_path, "P", (20, 40, 40), seed=1)
        shutil.rmtree(tmp_path / "in")
        (tmp_path / "imagesTr").rename(tmp_path / "in")
    run_limited(*words)
    assert contents(out, "summary.json", "qc.html") == before
    assert not list(out.rglob(".partial-*"))
    assert run(*words) == 0
    assert contents(out, "summary.json", "qc.html") != before


@pytest.mark.skipif(os.name != "posix", reason="only there a dead process is known")
def test_what_a_killed_evaluation_left_is_cleared_by_the_next(tmp_path, dead_pid):
    folders = write_folders(tmp_path)
    left = [folder / f".partial-{socket.gethostname()}-{dead_pid}-abcdefgh" for folder in (folders / "out",)]
    for folder in left:
        (folder / "figures").mkdir(parents=True)
        (folder / "cases.csv").write_text("half")
    assert evaluate(folders) == 0
    assert not list(folders.rglob(".partial-*"))


@pytest.mark.parametrize("step", ["write_figures", "write_report"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_evaluation_that_cannot_be_written_whole_leaves_the_last_one_as_it_was(tmp_path, monkeypatch, step, error):
    folders = write_folders(tmp_path)
    words = ("evaluate", "-gt", folders / "test_gt", "-p", folders / "test_p", "-o", folders / "out")
    assert run(*words) == 0
    before = contents(folders / "out")
    assert {"report.html", "cases.csv", "figures/roc.png"} <= before.keys()

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(f"evaluation.{'figures' if step == 'write_figures' else 'report'}.evaluation.{step}", fail)
    assert run(*words, "--threshold", 0.9) == (130 if error is KeyboardInterrupt else 2)
    assert contents(folders / "out") == before
    assert not list(folders.rglob(".partial-*"))


def test_a_full_disk_is_said_with_the_path(tmp_path, monkeypatch, capsys):
    folders = write_folders(tmp_path)

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("evaluation.tables.results.write_csv", fail)
    assert evaluate(folders) == 2
    assert "No space left on device" in (said := capsys.readouterr().err)
    assert str(folders / "out") in said


def test_a_report_is_not_written_over_that_of_another_command(tmp_path, capsys):
    folders = write_folders(tmp_path)
    for out in ("a", "b"):
        assert evaluate(folders, out=out) == 0
    before = contents(folders)
    assert run("compare", folders / "a", folders / "b", "-o", folders / "a") == 2
    said = (
        f"{folders / 'a'} holds what seqdropout evaluate wrote, and would be overwritten. Give another folder with -o"
    )
    assert said in capsys.readouterr().err
    assert contents(folders) == before
    assert run("compare", folders / "a", folders / "b", "-o", folders / "c") == 0
    assert run("compare", folders / "a", folders / "b", "-o", folders / "c") == 0
    assert evaluate(folders, out="c") == 2
    assert "holds what seqdropout compare wrote" in capsys.readouterr().err
    assert run(*OF_NOTHING["subsets"], "-o", folders / "a") == 2
    assert "holds what seqdropout evaluate wrote" in capsys.readouterr().err
    (folders / "d").mkdir()
    (folders / "d" / "state.json").write_text("{}")
    assert evaluate(folders, out="d") == 2
    assert "holds what seqdropout study wrote" in capsys.readouterr().err


def test_evaluate_does_not_offer_what_it_lacks_where_a_probability_is_nan(tmp_path, capsys):
    folders = write_folders(tmp_path)
    for file in (folders / "test_p").glob("P0.*"):
        file.unlink()
    save(np.full((4, 6, 8), np.nan, np.float32), folders / "test_p" / "P0_prob.nii.gz")
    assert evaluate(folders) == 1
    said = capsys.readouterr().err
    assert "NaN" in said
    assert "--nan" not in said or "convert and predict replace them by 0 with --nan zero" in said
