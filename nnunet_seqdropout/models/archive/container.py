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
from typing import Annotated, Any, Literal, TypedDict

from dataset_conversion.faults import Fault
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.texts.json_files import parsed
from dataset_conversion.files.texts.typed import Kind, Must, typed_of

REMEDY = "Ask for the archive again, and compare its SHA-256 with that of the sender."
MODEL, CARD, CHECKSUMS = "model.json", "MODEL.md", "checksums.json"
_NAMES = re.compile(
    r"(model|plans|dataset|checksums)\.json|MODEL\.md|fold_(\d{1,4}|all)/(thresholds\.json|checkpoint_\w+\.safetensors)",
    re.ASCII,
)
_MOST_FILES = 1000
_LARGEST_TEXT_BYTES = 16 * 2**20
DATASET, _WORD = re.compile(r"Dataset\d{3}_[\w.-]+", re.ASCII), re.compile(r"\w[\w.-]*", re.ASCII)


MirroringAxes = tuple[Literal[0, 1, 2], ...]
TrainerName = Annotated[str, Must("the name of a class", str.isidentifier)]
_Name = Annotated[str, Must("a name of letters, digits, _, . and -", _WORD.fullmatch)]


class _Sums(TypedDict):
    sha256: dict[str, str]


class _Version(TypedDict, total=False):
    version: int


@dataclass(frozen=True)
class Stored:
    """A checkpoint in an archive. same_as: tensors that are another one, by name, and not stored again."""

    mirroring_axes: MirroringAxes | None
    same_as: Mapping[str, str]


@dataclass(frozen=True)
class Manifest:
    """``model.json``. checkpoints: by ``fold_0/checkpoint_final``."""

    dataset: Annotated[str, Must("the name of a data set", DATASET.fullmatch)]
    trainer: TrainerName
    plans: _Name
    configuration: _Name
    fingerprint: str
    versions: Mapping[str, str]
    checkpoints: Mapping[str, Stored]
    version: Literal[1] = 1

    @property
    def folder(self) -> str:
        """The name of the model folder."""
        return f"{self.trainer}__{self.plans}__{self.configuration}"

    def as_json(self) -> str:
        return _json(asdict(self))


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
        self._sums = self.json(CHECKSUMS, _Sums, verified=False)["sha256"]
        if {*self._sums} != {*self._entries} - {CHECKSUMS}:
            raise self.fault(f"{CHECKSUMS} does not name its files")
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

    def json(self, name: str, kind: type[Kind], *, verified: bool = True) -> Kind:
        """A text of it. Raises Fault where something in it is not what it should be, ValueError where it is no JSON."""
        content = parsed(self.read(name, verified=verified).decode())
        return typed_of(self.file, content, kind, remedy=REMEDY, at=name)

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
        if self.json(MODEL, _Version).get("version") != 1:
            raise self.fault(f"{MODEL} is of another version; this is version 1")
        manifest = self.json(MODEL, Manifest)
        stored = {name.removesuffix(".safetensors") for name in self._entries if name.endswith(".safetensors")}
        if not stored or stored != {*manifest.checkpoints}:
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
