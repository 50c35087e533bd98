"""Of two commands that write into one folder the second is refused, says who the first is, and changes nothing."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import write_case

from dataset_conversion.files.locks import NAME
from nnunet_seqdropout.cli.command import main

HOLD = """
import sys, time
from pathlib import Path
from dataset_conversion.files.locks import only_writer
with only_writer(Path(sys.argv[1]), name=sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""
NOWHERE = "not/there"
COMMANDS = {
    "fill": ["fill", "-i", NOWHERE, "-d", "1"],
    "dicom": ["dicom", NOWHERE, "--key", NOWHERE],
    "phantom": ["phantom"],
    "predict": ["predict", "-i", NOWHERE, "-m", NOWHERE],
    "subsets": ["subsets", "-i", NOWHERE, "-gt", NOWHERE, "-m", NOWHERE],
    "evaluate": ["evaluate", "-gt", NOWHERE, "-p", NOWHERE],
    "compare": ["compare", NOWHERE, NOWHERE],
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> None:
    """A key that is not there is made."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hold() -> Iterator:
    """``hold(folder)`` writes into the folder in another process; returns its number."""
    holders = []

    def begin(folder: Path, name: str = NAME) -> int:
        process = subprocess.Popen([sys.executable, "-c", HOLD, folder, name], stdout=subprocess.PIPE, text=True)
        holders.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process.pid

    yield begin
    for process in holders:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("command", COMMANDS)
def test_row_56_a_second_command_in_a_folder_is_refused(tmp_path, capsys, hold, command):
    pid = hold(tmp_path / "out")
    assert main([*COMMANDS[command], "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / 'out'}: process {pid} on" in said
    assert "is writing here. Wait until it has ended, or stop it." in said
    assert [file.name for file in (tmp_path / "out").iterdir()] == [NAME]


def test_row_56_a_second_conversion_of_a_data_set_is_refused(tmp_path, capsys, hold, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    (tmp_path / "source" / "P1").mkdir(parents=True)
    write_case(tmp_path, "P1", (5, 9, 9), seed=0)
    (tmp_path / "imagesTr" / "P1_0002.nii.gz").rename(tmp_path / "source" / "P1" / "T1post.nii.gz")
    (tmp_path / "labelsTr" / "P1.nii.gz").rename(tmp_path / "source" / "P1" / "label.nii.gz")
    words = ["convert", "hospital_b", str(tmp_path / "source"), "-d", "7", "-n", "Mets"]
    dataset = tmp_path / "raw" / "Dataset007_Mets"
    pid = hold(dataset)
    assert main(words) == 2
    assert f"process {pid} on" in capsys.readouterr().err
    assert [file.name for file in dataset.iterdir()] == [NAME]


def test_the_parts_of_one_prediction_share_a_folder_and_none_runs_twice(tmp_path, capsys, hold):
    out = tmp_path / "out"
    words = [*COMMANDS["predict"], "-o", str(out), "-num_parts", "2", "-part_id"]
    hold(out, f"{NAME}.0of2")
    assert main([*words, "0"]) == 2
    assert "is writing here" in capsys.readouterr().err
    assert main([*words, "1"]) == 2
    assert "no model folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_fails_at_once_leaves_no_empty_folder(tmp_path, command):
    if command == "phantom":
        assert main(["phantom", "--like-paper", "--size", "32", "-o", str(tmp_path / "new" / "out")]) == 2
    else:
        assert main([*COMMANDS[command], "-o", str(tmp_path / "new" / "out")]) == 2
    assert not (tmp_path / "new").exists()
