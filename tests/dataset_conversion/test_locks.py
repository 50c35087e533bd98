"""A folder has one writer at a time, and a dead one keeps nobody out."""

import os
import signal
import subprocess
import sys
import time

import pytest

from dataset_conversion.faults import Fault
from dataset_conversion.files.locks import NAME, lock, only_writer

HOLD = """
import sys, time
from pathlib import Path
from dataset_conversion.files.locks import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_writer_is_told_who_the_first_is(tmp_path, holder):
    with pytest.raises(Fault, match=rf"{tmp_path}: process {holder.pid} on .+ is writing here"), only_writer(tmp_path):
        raise AssertionError("two writers")


def test_a_killed_writer_keeps_nobody_out(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with only_writer(tmp_path):
        assert f"process {os.getpid()} on" in (tmp_path / NAME).read_text()


def test_nothing_is_left_in_the_folder(tmp_path):
    for _ in range(2):
        with only_writer(tmp_path / "new"):
            assert [file.name for file in (tmp_path / "new").iterdir()] == [NAME]
        assert list(tmp_path.iterdir()) == []
    (tmp_path / "new").mkdir()
    with only_writer(tmp_path / "new"):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["new"]  # it was there before


def test_who_waits_for_a_file_that_its_owner_removes_locks_the_next_one(tmp_path):
    """Else this process and one that comes later would each hold a lock, of two files of one name."""
    file = tmp_path / "lock"
    first = lock(file)

    def remove_and_free(owner: str) -> None:
        assert owner.startswith(f"process {os.getpid()} on")
        file.unlink()
        os.close(first)

    second = lock(file, waiting_for=remove_and_free)
    assert os.path.samestat(os.fstat(second), file.stat())
    with pytest.raises(Fault):
        lock(file)
    os.close(second)


def test_a_waiting_process_goes_on_when_the_lock_is_free(tmp_path, holder):
    told = []

    def stop(owner: str) -> None:
        told.append(owner)
        holder.kill()

    begun = time.monotonic()
    os.close(lock(tmp_path / NAME, waiting_for=stop))
    assert told[0].startswith(f"process {holder.pid}")
    assert time.monotonic() - begun < 30
