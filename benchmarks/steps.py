"""Runs commands and records their time and memory; a command with a record is not run again."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from nnunet_seqdropout.models.nnunet_folders import environment


@dataclass(frozen=True)
class Cost:
    """Wall time, and the memory of the largest single process."""

    seconds: float
    mebibytes: float


def use_folders(work: Path) -> None:
    """nnU-Net's folders below ``work``, our trainers, and this Python's commands, for this process and its children."""
    os.environ.update(environment(work))
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ.setdefault("nnUNet_def_n_proc", "2")
    os.environ.setdefault("nnUNet_n_proc_DA", "1")


def run_once(record: Path, *command: object, quiet: bool = False, environment: Mapping[str, str] | None = None) -> Cost:
    """Runs a command unless ``record`` says that it has run; a command that fails ends this process.

    environment: variables for this command alone.
    """
    words = [str(word) for word in command]
    if not record.is_file():
        print(f"\n$ {shlex.join(words)}", file=sys.stderr, flush=True)
        started = time.monotonic()
        process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL if quiet else None, env={**os.environ, **(environment or {})}
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            sys.exit(f"This command failed; run it by itself to see why: {shlex.join(words)}")
        record.parent.mkdir(parents=True, exist_ok=True)
        cost = Cost(time.monotonic() - started, usage.ru_maxrss / 1024)
        record.write_text(json.dumps(asdict(cost)), encoding="utf-8")
    return Cost(**json.loads(record.read_text(encoding="utf-8")))
