"""Runs dependent commands in order; a step that is done and whose inputs are unchanged is not repeated."""

import json
import logging
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import count
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.processes import stop, supervised
from nnunet_seqdropout.study.state import Record, State

log = logging.getLogger(__name__)

PACKAGES = ("nnunet_seqdropout", "nnunetv2", "torch")


@dataclass(frozen=True)
class Step:
    """name: begins with its stage, as in ``train/...``; the steps of a stage do not depend on each other.

    commands: run one after the other, ``how`` appended to each, in ``environment``: neither changes what comes out.
    inputs: files and folders that it reads and no other step writes. after: names of steps whose outputs it reads.
    outputs: files and folders that tell whether it is done. folder: where an interrupted run goes on; it is put aside
    when the inputs have changed. arms: those that need it.
    """

    name: str
    commands: Sequence[Sequence[str]]
    outputs: Sequence[Path]
    inputs: Sequence[Path] = ()
    after: Sequence[str] = ()
    how: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    arms: frozenset[str] = frozenset()

    @property
    def stage(self) -> str:
        return self.name.partition("/")[0]


class Steps:
    """The steps of one folder, in the order in which they can run."""

    def __init__(self, state: State, steps: Iterable[Step], environment: Mapping[str, str]) -> None:
        self.state, self.steps, self.environment = state, {step.name: step for step in steps}, environment

    @property
    def log_file(self) -> Path:
        return self.state.folder / "study.log"

    def of(self, arm: str | None) -> list[Step]:
        """Those that serve the arm; None: all."""
        return [step for step in self.steps.values() if arm is None or arm in step.arms]

    def not_done(self, stage: str, arm: str | None = None) -> list[Step]:
        return [step for step in self.of(arm) if step.stage == stage and not self.is_done(step)]

    def begun(self, stage: str) -> list[Step]:
        return [step for step in self.of(None) if step.stage == stage and self.state.record(step.name)]

    def run(self, only: str | None = None) -> None:
        """Runs what is not done, of one arm or all. Raises Fault where a command fails."""
        chosen = self.of(only)
        for number, step in enumerate(chosen, start=1):
            where = f"[{number}/{len(chosen)}] {step.name}"
            if not self.is_done(step):
                with self.state.locked(step.name) as lock:
                    if not self.is_done(step):  # nor done by another process in the meantime
                        log.info("%s ...", where)
                        log.info("%s: %.1f min", where, self._run(step, lock).seconds / 60)
                        continue
            log.info("%s: done before", where)

    def is_done(self, step: Step) -> bool:
        """Whether it and all before it ran to their ends with these inputs, and its outputs are as they were then."""
        record = self.state.record(step.name)
        if record is None or not all(self.is_done(self.steps[name]) for name in step.after):
            return False
        return record.done == self.fingerprint(step) and dict(record.outputs) == self.state.contents(step.outputs)

    def fingerprint(self, step: Step) -> str:
        """Of the commands, the content of the inputs, and what the steps before have written."""
        records = [self.state.record(name) for name in step.after]
        before = [dict(record.outputs) if record else {} for record in records]
        commands = json.dumps([list(command) for command in step.commands]).replace(str(self.state.folder), ".")
        return sha256_of(json.dumps([commands, self.state.contents(step.inputs), before]))

    def shell(self, only: str | None = None) -> str:
        """The commands as a shell script, by stages."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.environment.items() if name != "PATH"]
        stage = ""
        for step in self.of(only):
            if step.stage != stage:
                stage = step.stage
                lines += ["", f"## {stage}: these do not depend on each other"]
            lines += ["", f"# {step.name}{' (done)' if self.is_done(step) else ''}"]
            variables = [f"{name}={shlex.quote(value)}" for name, value in step.environment.items()]
            lines += [" ".join([*variables, shlex.join([*command, *step.how])]) for command in step.commands]
        return "\n".join(lines)

    def _run(self, step: Step, lock: int) -> Record:
        fingerprint, before = self.fingerprint(step), self.state.record(step.name)
        if before is not None and before.begun != fingerprint:
            self._put_aside(step)
        elif before is not None and before.done:
            self._remove_what_was_changed(before)
        resumed = step.folder is not None and step.folder.exists()
        versions = {package: version(package) for package in PACKAGES}
        record = Record(begun=fingerprint, resumed=resumed, how=list(step.how), versions=versions)
        self.state.write(step.name, record)
        started = time.monotonic()
        for command in step.commands:
            mebibytes = self._execute(step, command, lock)
            record = replace(record, mebibytes=max(record.mebibytes, mebibytes))
        if missing := [str(path) for path in step.outputs if not path.exists()]:
            raise Fault(f"{step.name} did not write {', '.join(missing)}", remedy=f"See {self.log_file}.")
        seconds = time.monotonic() - started
        record = replace(record, done=fingerprint, seconds=seconds, outputs=self.state.contents(step.outputs))
        self.state.write(step.name, record)
        return record

    def _put_aside(self, step: Step) -> None:
        """What was made of other inputs is kept, but nothing goes on in it."""
        if step.folder is not None and step.folder.exists():
            named = (self.state.folder / "replaced" / f"{step.name.replace('/', '.')}.{n}" for n in count(1))
            aside = next(path for path in named if not path.exists())
            aside.parent.mkdir(parents=True, exist_ok=True)
            step.folder.rename(aside)
            log.info("%s: its inputs have changed; the previous result was moved to %s", step.name, aside)

    def _remove_what_was_changed(self, before: Record) -> None:
        """A command that goes on where it was would take an altered output for its own."""
        for name, expected in before.outputs.items():
            file = (self.state.folder / name).absolute()
            # whatever a state file from elsewhere names, only what lies in the study is touched
            inside = file.is_relative_to(self.state.folder) and ".." not in file.parts
            if inside and file.is_file() and self.state.contents([file])[name] != expected:
                file.unlink()

    def _execute(self, step: Step, command: Sequence[str], lock: int) -> float:
        """Runs it, its output into the log; the memory of its largest process, in MiB.

        The process between ends the command when this one ends, and holds the lock until then: a second one does not
        start the same beside it.
        """
        words = [*command, *step.how]
        with self.log_file.open("a", encoding="utf-8") as stream:
            print(f"\n{time.strftime('%Y-%m-%d %H:%M:%S')} {step.name}\n$ {shlex.join(words)}", file=stream, flush=True)
            environment = {**os.environ, **self.environment, **step.environment}
            process = subprocess.Popen(
                supervised(words),
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=(lock,),
                start_new_session=True,
            )
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                stop(process)
                raise
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            remedy = f"See {self.log_file}; rerun to resume."
            raise Fault(f"{step.name}: this command failed: {shlex.join(words)}", remedy=remedy)
        return usage.ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
