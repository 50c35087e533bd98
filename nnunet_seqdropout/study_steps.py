"""Commands that build on each other, each run once: what is done and unchanged is not done again."""

import fcntl
import json
import logging
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from dataset_conversion.faults import Fault
from dataset_conversion.outcomes import write_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """commands: run one after the other, ``how`` appended to each: words that do not change what comes out.

    inputs: files and folders that it reads and no other step writes. after: names of steps whose outputs it reads.
    outputs: files and folders that tell whether it is done. scratch: a folder that an interrupted run goes on in, and
    that is removed when the inputs have changed. arms: whom it serves; nobody means all.
    """

    name: str
    commands: Sequence[Sequence[str]]
    outputs: Sequence[Path]
    inputs: Sequence[Path] = ()
    after: Sequence[str] = ()
    how: Sequence[str] = ()
    scratch: Path | None = None
    arms: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Record:
    """What the state file says of a step. begun and done: fingerprints. outputs: path -> SHA-256."""

    begun: str
    done: str = ""
    seconds: float = 0.0
    mebibytes: float = 0.0
    outputs: Mapping[str, str] = field(default_factory=dict)


class Steps:
    """The steps of one folder, in the order in which they can run; ``state.json`` there says what is done."""

    def __init__(self, folder: Path, steps: Iterable[Step], environment: Mapping[str, str]) -> None:
        self.folder, self.steps, self.environment = folder, {step.name: step for step in steps}, environment
        self._hashes: dict[tuple, str] = {}

    def run(self, only: str | None = None) -> None:
        """Runs what is not done, of one arm or all. Raises Fault where a command fails, or another process is at it."""
        chosen = [step for step in self.steps.values() if only is None or not step.arms or only in step.arms]
        for number, step in enumerate(chosen, start=1):
            where = f"[{number}/{len(chosen)}] {step.name}"
            if self.is_done(step):
                log.info("%s: done before", where)
                continue
            with self._alone(step) as lock:
                if self.is_done(step):  # by another process in the meantime
                    continue
                log.info("%s ...", where)
                log.info("%s: %.1f min", where, self._run(step, lock).seconds / 60)

    def is_done(self, step: Step) -> bool:
        """Whether it ran to its end with these inputs, and its outputs are as they were then."""
        record = self.record(step.name)
        if record is None or record.done != self.fingerprint(step):
            return False
        return dict(record.outputs) == self._contents(step.outputs)

    def fingerprint(self, step: Step) -> str:
        """Of the commands, the content of the inputs, and the steps before."""
        before = [self.fingerprint(self.steps[name]) for name in step.after]
        commands = json.dumps([list(command) for command in step.commands]).replace(str(self.folder), ".")
        return sha256(json.dumps([commands, self._contents(step.inputs), before]).encode()).hexdigest()

    def record(self, name: str) -> Record | None:
        found = self._state().get(name)
        return None if found is None else Record(**found)

    def shell(self, only: str | None = None) -> str:
        """The commands as a shell script: those of one stage do not depend on each other."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.environment.items() if name != "PATH"]
        for step in self.steps.values():
            if only is None or not step.arms or only in step.arms:
                done = " (done)" if self.is_done(step) else ""
                after = f", after {', '.join(step.after)}" if step.after else ""
                lines += ["", f"# {step.name}{done}{after}"]
                lines += [shlex.join([*command, *step.how]) for command in step.commands]
        return "\n".join(lines)

    def _run(self, step: Step, lock: int) -> Record:
        fingerprint, before = self.fingerprint(step), self.record(step.name)
        if step.scratch is not None and (before is None or before.begun != fingerprint):
            shutil.rmtree(step.scratch, ignore_errors=True)
        record = Record(begun=fingerprint)
        self._write(step.name, record)
        started = time.monotonic()
        for command in step.commands:
            mebibytes = self._execute([*command, *step.how], lock)
            record = replace(record, mebibytes=max(record.mebibytes, mebibytes))
        if missing := [str(path) for path in step.outputs if not path.exists()]:
            raise Fault(f"{step.name} did not write {', '.join(missing)}", remedy=f"See {self.log_file}.")
        seconds = time.monotonic() - started
        record = replace(record, done=fingerprint, seconds=seconds, outputs=self._contents(step.outputs))
        self._write(step.name, record)
        return record

    @property
    def log_file(self) -> Path:
        return self.folder / "study.log"

    def _execute(self, command: Sequence[str], lock: int) -> float:
        """Runs it, its output into the log; the memory of its largest process, in MiB.

        It inherits the lock: if only this process is killed, a second one does not start the same beside it.
        """
        with self.log_file.open("a", encoding="utf-8") as stream:
            print(f"\n$ {shlex.join(command)}", file=stream, flush=True)
            environment = {**os.environ, **self.environment}
            process = subprocess.Popen(
                list(command), stdout=stream, stderr=subprocess.STDOUT, env=environment, pass_fds=(lock,)
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            remedy = f"See the end of {self.log_file}; what is done stays done."
            raise Fault(f"this command failed: {shlex.join(command)}", remedy=remedy)
        return usage.ru_maxrss / 1024

    @contextmanager
    def _alone(self, step: Step) -> Iterator[int]:
        try:
            with _locked(self.folder / "locks" / f"{step.name.replace('/', '.')}", fcntl.LOCK_NB) as lock:
                yield lock
        except BlockingIOError as error:
            remedy = "Wait until it has ended, or do another arm with --only."
            raise Fault(f"another process is at {step.name}", remedy=remedy) from error

    def _contents(self, paths: Iterable[Path]) -> dict[str, str]:
        """SHA-256 of each file, and of all below each folder, by path; nothing where there is nothing."""
        files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
        return {self._shown(file): self._hash(file) for file in files if file.is_file()}

    def _shown(self, file: Path) -> str:
        return str(file.relative_to(self.folder) if file.is_relative_to(self.folder) else file)

    def _hash(self, file: Path) -> str:
        """Read once for each size and time of change."""
        status = file.stat()
        key = (file, status.st_size, status.st_mtime_ns)
        if key not in self._hashes:
            digest = sha256()
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
            self._hashes[key] = digest.hexdigest()
        return self._hashes[key]

    def _state(self) -> dict[str, Any]:
        file = self.folder / "state.json"
        return json.loads(file.read_text(encoding="utf-8"))["steps"] if file.is_file() else {}

    def _write(self, name: str, record: Record) -> None:
        with _locked(self.folder / "locks" / "state"):
            write_json(self.folder / "state.json", {"version": 1, "steps": {**self._state(), name: asdict(record)}})


@contextmanager
def _locked(file: Path, how: int = 0) -> Iterator[int]:
    """Holds the file's lock, which the system frees when all its holders have ended, however; yields its number."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | how)
        yield lock
    finally:
        os.close(lock)
