"""A command that is stopped, or fails as nobody expected, says so in one line and by its exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from running_processes import is_running

from nnunet_seqdropout.cli import command
from nnunet_seqdropout.cli.command import main

CHECK = ["-m", "nnunet_seqdropout.cli", "check"]


@pytest.fixture
def images(tmp_path) -> Path:
    """One case of one channel, and the description of the model that has it."""
    (tmp_path / "images").mkdir()
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "images" / "A_0000.nii.gz"))
    (tmp_path / "dataset.json").write_text(
        '{"channel_names": {"0": "flair"}, "labels": {"background": 0}, "file_ending": ".nii.gz"}'
    )
    return tmp_path / "images"


def words(images: Path) -> list[str]:
    return ["check", "-i", str(images), "-m", str(images.parent)]


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt, 130), (command.Terminated, 143)])
def test_a_command_that_is_stopped_says_so_in_one_line(monkeypatch, capsys, stop, code):
    def stopped(arguments):
        raise stop

    monkeypatch.setattr(command, "_env", stopped)
    assert main(["env"]) == code
    assert capsys.readouterr().err == "seqdropout: stopped; what is finished is kept: run the same command again\n"


@pytest.mark.parametrize("verbose", [False, True])
def test_an_unexpected_error_is_one_line_and_with_v_its_traceback(monkeypatch, capsys, verbose):
    def broken(arguments):
        raise ZeroDivisionError("of\nours")

    monkeypatch.setattr(command, "_env", broken)
    if verbose:
        with pytest.raises(ZeroDivisionError):
            main(["env", "-v"])
        return
    assert main(["env"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("seqdropout: unexpected error (ZeroDivisionError: of ours). Run it again with -v")


def test_sigterm_ends_a_running_command_with_143(tmp_path):
    """It waits for ever for the other end of a pipe in place of an image."""
    (tmp_path / "images").mkdir()
    os.mkfifo(tmp_path / "images" / "A_0000.nii.gz")
    (tmp_path / "dataset.json").write_text(
        '{"channel_names": {"0": "flair"}, "labels": {"background": 0}, "file_ending": ".nii.gz"}'
    )
    process = subprocess.Popen(
        [sys.executable, *CHECK, *words(tmp_path / "images")[1:]], stderr=subprocess.PIPE, text=True
    )
    time.sleep(5)
    process.send_signal(signal.SIGTERM)
    _, printed = process.communicate(timeout=20)
    assert process.returncode == 143
    assert "seqdropout: stopped" in printed
    assert "Traceback" not in printed


def test_a_terminal_that_has_no_umlauts_gets_replaced_letters(images):
    (images / "Müller_0000.nii.gz").write_text("no image")
    process = subprocess.run(
        [sys.executable, *CHECK, *words(images)[1:], "-q"],
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert (process.returncode, process.stderr) == (1, b"")
    assert b"M?ller" in process.stdout


def test_a_reader_who_has_seen_enough_is_no_error(images):
    process = subprocess.Popen(
        [sys.executable, "-u", *CHECK, *words(images)[1:]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    printed = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 141
    assert "Traceback" not in printed
    assert "Broken pipe" not in printed


def test_every_command_takes_q_and_v_and_says_its_version(images, capsys):
    assert main([*words(images), "-q"]) == 0
    assert "Checking" not in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("seqdropout ")


WORKER = """
import os, sys, time
from pathlib import Path
from dataset_conversion.outcomes import for_each_case

def work(case):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(60)

if __name__ == "__main__":
    for_each_case(["A", "B"], work, doing="Sleeping", n_workers=2)
"""


def test_workers_end_with_a_command_that_was_killed(tmp_path):
    (tmp_path / "pids").mkdir()
    (tmp_path / "worker.py").write_text(WORKER)
    command_line = [sys.executable, str(tmp_path / "worker.py"), str(tmp_path / "pids")]
    process = subprocess.Popen(command_line, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while len(pids := [int(file.name) for file in (tmp_path / "pids").iterdir()]) < 2:
        assert time.monotonic() < until
        time.sleep(0.1)
    process.kill()
    process.wait()
    until = time.monotonic() + 5
    while any(is_running(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(is_running(pid) for pid in pids)
