"""The most voxels that an image may have is an option of every command that reads images, and a variable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import write_case, write_dataset
from example_folders import write_folders

from nnunet_seqdropout.cli.command import main

REMEDY = "At most 99 are accepted. Copy it again from its source; if it is so large, give --max-voxels N"


def run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A raw data set, a hospital's folder, predictions with references; every image has 100 voxels and more."""
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    write_dataset(tmp_path / "raw" / "Dataset001_A", {"A": (4, 5, 6)}, sequences=("t1_gd",))
    write_case(tmp_path / "case", "A", (4, 5, 6), sequences=("t1_gd",))
    (tmp_path / "hospital" / "P1").mkdir(parents=True)
    (tmp_path / "case" / "imagesTr" / "A_0000.nii.gz").rename(tmp_path / "hospital" / "P1" / "t1_gd.nii.gz")
    (tmp_path / "case" / "labelsTr" / "A.nii.gz").rename(tmp_path / "hospital" / "P1" / "seg.nii.gz")
    write_folders(tmp_path)
    return tmp_path


def commands(folder: Path) -> dict[str, tuple]:
    raw, threshold = folder / "raw" / "Dataset001_A", ("--threshold", "0.5", "--no-report")
    return {
        "check": ("check", "-i", raw),
        "convert": ("convert", "hospital_a", folder / "hospital", "-d", "2", "-n", "B"),
        "fill": ("fill", "-i", raw / "imagesTr", "-d", "1", "-o", folder / "filled"),
        "evaluate": ("evaluate", "-gt", folder / "test_gt", "-p", folder / "test_p", "-o", folder / "e", *threshold),
    }


@pytest.mark.parametrize("command", ["check", "convert", "fill", "evaluate"])
def test_a_command_that_reads_images_refuses_those_with_more_and_says_what_allows_them(folder, capsys, caplog, command):
    words = commands(folder)[command]
    assert run(*words, "--max-voxels", 99) in (1, 2)
    captured = capsys.readouterr()
    assert REMEDY in captured.out + captured.err + caplog.text
    assert "SEQDROPOUT_MAX_VOXELS" not in os.environ
    assert run(*words, "--max-voxels", 1000) == 0


def test_predict_and_subsets_do_so_too(folder, make_model, caplog):
    model = make_model("TinySeqDropout", sequences=("t1_gd",))
    raw = folder / "raw" / "Dataset001_A"
    images = ("-i", raw / "imagesTr", "-m", model, "-device", "cpu", "-o", folder / "out", "--max-voxels", 99)
    for words in (("predict", *images), ("subsets", *images, "-gt", raw / "labelsTr")):
        caplog.clear()
        assert run(*words) == 2
        assert REMEDY in caplog.text


def test_workers_know_the_option_and_the_variable_which_is_the_weaker(folder):
    words = ["check", "-i", str(folder / "raw" / "Dataset001_A"), "-np", "2"]

    def code(*options: str, variable: str) -> int:
        command = [sys.executable, "-m", "nnunet_seqdropout.cli", *words, *options]
        return subprocess.run(command, env={**os.environ, "SEQDROPOUT_MAX_VOXELS": variable}, check=False).returncode

    assert code(variable="120") == 0
    assert code(variable="119") == 1
    assert code(variable="many") == 1
    assert code("--max-voxels", "120", variable="1") == 0
    assert code("--max-voxels", "0", variable="120") == 2
