"""Records the finished steps of a folder, and provides file hashes and locks against concurrent runs."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypedDict

from dataset_conversion.faults import Fault
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.locks import lock
from dataset_conversion.files.texts.json_files import read_json, write_json
from dataset_conversion.files.texts.typed import NotNegative

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """The entry of a step in the state file. begun and done: fingerprints, empty where not reached.

    seconds, mebibytes: of the last run, the latter of its largest process. resumed: that run went on where another had
    been interrupted. how and versions: with what it ran. outputs: path -> SHA-256.
    """

    begun: str
    done: str = ""
    seconds: NotNegative = 0.0
    mebibytes: NotNegative = 0.0
    resumed: bool = False
    how: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


class _StateFile(TypedDict):
    steps: dict[str, Record]


class State:
    """``state.json`` of a folder, which several processes may read and write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hashes: dict[tuple, str] = {}

    def record(self, name: str) -> Record | None:
        return self._steps().get(name)

    def write(self, name: str, record: Record) -> None:
        with self.locked("state"):
            steps = {**self._steps(), name: record}
            content = {"version": 1, "steps": {step: asdict(each) for step, each in steps.items()}}
            write_json(self.folder / "state.json", content)

    def contents(self, paths: Iterable[Path]) -> dict[str, str]:
        """SHA-256 of each file, and of all below each folder, by path; what is hidden in a folder does not count."""
        files = [file for path in paths for file in ([path] if path.is_file() else _shown_below(path))]
        return {self._name(file): self._hash(file) for file in files}

    @contextmanager
    def locked(self, name: str) -> Iterator[int]:
        """Holds a lock, waiting for whoever has it; yields the number by which a child process inherits it.

        The system frees it when all who hold it have ended, however they did. Raises Fault on Windows.
        """
        file = self.folder / "locks" / name.replace("/", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            held = lock(file, waiting_for=lambda owner: self._say_waiting(name, owner))
        except ModuleNotFoundError as error:
            raise Fault(
                "seqdropout study needs Linux or macOS", remedy="Run it there, or in the Windows Subsystem for Linux."
            ) from error
        try:
            yield held
        finally:
            os.close(held)

    def _say_waiting(self, name: str, owner: str) -> None:
        if name != "state":
            log.info("%s: waiting for %s", name, owner)

    def _steps(self) -> dict[str, Record]:
        file = self.folder / "state.json"
        remedy = "Restore it, or name another folder with -o."
        return read_json(file, _StateFile, remedy=remedy)["steps"] if file.is_file() else {}

    def _name(self, file: Path) -> str:
        return str(file.relative_to(self.folder) if file.is_relative_to(self.folder) else file)

    def _hash(self, file: Path) -> str:
        """Read once for each size and time of change."""
        status = file.stat()
        key = (file, status.st_size, status.st_mtime_ns)
        if key not in self._hashes:
            self._hashes[key] = sha256_of(file)
        return self._hashes[key]


def _shown_below(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*"))
    return [f for f in found if f.is_file() and not any(p.startswith(".") for p in f.relative_to(folder).parts)]
