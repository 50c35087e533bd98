"""What a killed process leaves in its staging folder is cleared away, and nothing else is."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dataset_conversion.files.staging import staged, staging_prefix

STAGE_AND_WAIT = """
import sys, time
from pathlib import Path
from dataset_conversion.files.staging import staged
with staged(Path(sys.argv[1])) as stage:
    (stage / "half").write_text("written")
    print("staged", flush=True)
    time.sleep(600)
"""


def stage_here(folder):
    """What the next run does in the folder."""
    with staged(folder):
        pass


@pytest.fixture
def other(tmp_path):
    """Another process that has half a file in a staging folder."""
    command = [sys.executable, "-c", STAGE_AND_WAIT, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "staged\n"
    yield process
    process.kill()
    process.wait()


def test_the_folder_of_a_killed_process_goes_and_that_of_a_living_one_stays(tmp_path, other):
    (left,) = tmp_path.iterdir()
    stage_here(tmp_path)
    assert (left / "half").is_file()
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (left / "half").is_file()
    stage_here(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_staging_folder_of_this_process_stays(tmp_path):
    with staged(tmp_path) as stage:
        (stage / "file").write_text("whole")
        stage_here(tmp_path)
    assert (tmp_path / "file").read_text() == "whole"


def test_only_folders_of_our_name_and_machine_are_taken(tmp_path, dead_pid):
    pid, host = dead_pid, socket.gethostname()
    ours = tmp_path / f".partial-{host}-{pid}-abcdefg_"
    others = [
        f".partial-elsewhere-{pid}-abcdefgh",
        f".partial-{host}-{pid}",
        f".partial-{host}-{pid}-notes",
        ".partial-abcdefgh",
        f"partial-{host}-{pid}-abcdefgh",
        f".partial-{host}-{os.getpid()}-abcdefgh",
    ]
    for name in (ours.name, *others):
        (tmp_path / name).mkdir()
    (tmp_path / f".partial-{host}-{pid}-linked_x").symlink_to(tmp_path / others[0])
    stage_here(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {*others, f".partial-{host}-{pid}-linked_x"}


def test_a_process_of_somebody_else_is_alive(tmp_path):
    """Process 1 may not be signalled by everybody, and lives."""
    (tmp_path / f".partial-{socket.gethostname()}-1-abcdefgh").mkdir()
    stage_here(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_name_says_whose_it_is():
    assert staging_prefix().endswith(f"-{os.getpid()}-")
    assert "/" not in staging_prefix()
    assert Path(staging_prefix()).name.startswith(".partial-")


def test_the_record_comes_out_last(tmp_path, monkeypatch):
    """A process that is killed while the files move leaves no record of files that are not there."""
    moved = []
    monkeypatch.setattr(Path, "replace", lambda file, _: moved.append(file.name))
    with staged(tmp_path) as stage:
        for name in ("a.json", "b.nii.gz", "c.json", "d.csv"):
            (stage / name).write_text("")
    assert moved == ["b.nii.gz", "d.csv", "a.json", "c.json"]
