"""The archive of a model: what its files may be called, how large they may be, and whether they are whole."""

import json
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dataset_conversion.faults import Fault
from dataset_conversion.files.hashing import sha256_of

REMEDY = "Ask for the archive again, and compare its SHA-256 with that of the sender."
MODEL, CARD, CHECKSUMS = "model.json", "MODEL.md", "checksums.json"
_NAMES = re.compile(
    r"(model|plans|dataset|checksums)\.json|MODEL\.md|fold_(\d{1,4}|all)/(thresholds\.json|checkpoint_\w+\.safetensors)",
    re.ASCII,
)
_MOST_FILES = 1000
_LARGEST_TEXT_BYTES = 16 * 2**20
DATASET, _WORD = re.compile(r"Dataset\d{3}_[\w.-]+", re.ASCII), re.compile(r"\w[\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Stored:
    """A checkpoint in an archive. same_as: tensors that are another one, by name, and not stored again."""

    mirroring_axes: tuple[int, ...] | None
    same_as: Mapping[str, str]


@dataclass(frozen=True)
class Manifest:
    """``model.json``. checkpoints: by ``fold_0/checkpoint_final``."""

    dataset: str
    trainer: str
    plans: str
    configuration: str
    fingerprint: str
    versions: Mapping[str, str]
    checkpoints: Mapping[str, Stored]

    @property
    def folder(self) -> str:
        """The name of the model folder."""
        return f"{self.trainer}__{self.plans}__{self.configuration}"

    def as_json(self) -> str:
        return _json({"version": 1, **asdict(self)})


def write_archive(file: Path, content: Mapping[str, bytes | str]) -> None:
    """Writes an archive of these files, with their SHA-256; the same content gives the same bytes."""
    texts = {name: each.encode() if isinstance(each, str) else each for name, each in content.items()}
    sums = {"version": 1, "sha256": {name: sha256_of(each) for name, each in texts.items()}}
    with zipfile.ZipFile(file, "w") as archive:
        for name, each in {**texts, CHECKSUMS: _json(sums).encode()}.items():
            # without a date of its own, and weights do not compress
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, each)


class Archive:
    """An archive that is open. Use ``open_archive``, which turns whatever is wrong with the file into a Fault."""

    def __init__(self, file: Path, opened: zipfile.ZipFile, *, largest_bytes: int) -> None:
        self.file, self._opened = file, opened
        self._entries = self._checked(largest_bytes)
        sums = self.json(CHECKSUMS, verified=False).get("sha256")
        if not isinstance(sums, dict) or {*sums} != {*self._entries} - {CHECKSUMS}:
            raise self.fault(f"{CHECKSUMS} does not name its files")
        self._sums: dict[str, str] = sums
        self.manifest = self._manifest()

    @property
    def names(self) -> list[str]:
        return list(self._entries)

    def read(self, name: str, *, verified: bool = True) -> bytes:
        """A file of it. Raises Fault where it is not there or not what its SHA-256 says."""
        if name not in self._entries:
            raise self.fault(f"it has no {name}")
        content = self._opened.read(name)
        if verified and sha256_of(content) != self._sums[name]:
            raise self.fault(f"{name} has changed since it was written: its SHA-256 differs")
        return content

    def json(self, name: str, *, verified: bool = True) -> dict[str, Any]:
        content = json.loads(self.read(name, verified=verified))
        if not isinstance(content, dict):
            raise self.fault(f"{name} holds no object")
        return content

    def fault(self, problem: str) -> Fault:
        return Fault(problem, file=self.file, remedy=REMEDY)

    def _checked(self, largest_bytes: int) -> dict[str, zipfile.ZipInfo]:
        """Raises Fault where a name, a kind or a size is none of a model's archive: nothing of it is written then."""
        entries = self._opened.infolist()
        names = [entry.filename for entry in entries]
        if unknown := [name for name in names if not _NAMES.fullmatch(name)]:
            raise self.fault(f"it holds {unknown[0][:80]!r}, which is no file of a model's archive")
        if len({*names}) != len(names) or len(names) > _MOST_FILES:
            raise self.fault("it holds a file twice, or too many")
        for entry in entries:
            if stat.S_ISLNK(entry.external_attr >> 16) or entry.flag_bits & 1:
                raise self.fault(f"{entry.filename} is a link or encrypted")
            if not entry.filename.endswith(".safetensors") and entry.file_size > _LARGEST_TEXT_BYTES:
                raise self.fault(f"{entry.filename} declares {entry.file_size:,} bytes")
        if (total := sum(entry.file_size for entry in entries)) > largest_bytes:
            remedy = "If it may be so large, raise --max-size-gb."
            raise Fault(f"it would take {total:,} bytes, more than {largest_bytes:,}", file=self.file, remedy=remedy)
        return dict(zip(names, entries, strict=True))

    def _manifest(self) -> Manifest:
        content = self.json(MODEL)
        if content.pop("version", None) != 1:
            raise self.fault(f"{MODEL} is of another version; this is version 1")
        checkpoints = {name: Stored(**stored) for name, stored in content.pop("checkpoints").items()}
        manifest = Manifest(**content, checkpoints=checkpoints)
        if not DATASET.fullmatch(manifest.dataset) or not manifest.trainer.isidentifier():
            raise self.fault(f"{MODEL} names the data set {manifest.dataset!r} and the trainer {manifest.trainer!r}")
        for name in (manifest.trainer, manifest.plans, manifest.configuration):
            if not _WORD.fullmatch(name):
                raise self.fault(f"{MODEL} holds the name {name!r}")
        stored = {name.removesuffix(".safetensors") for name in self._entries if name.endswith(".safetensors")}
        if not stored or stored != {*checkpoints}:
            raise self.fault(f"{MODEL} does not name its checkpoints")
        return manifest


@contextmanager
def open_archive(file: Path, *, largest_bytes: int) -> Iterator[Archive]:
    """Raises Fault where it is no archive of a model, now or within the block."""
    if not file.is_file():
        raise Fault(f"no file {file}", remedy="Give an archive that seqdropout model export wrote.")
    broken = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError)
    try:
        with zipfile.ZipFile(file) as opened:
            yield Archive(file, opened, largest_bytes=largest_bytes)
    except Fault:
        raise
    except (*broken, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise Fault(f"not a whole archive of a model ({error})", file=file, remedy=REMEDY) from error


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
