"""Says what stands in the files that ``convert`` writes beside a data set's images, and reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict

from dataset_conversion.files.texts.json_files import read_json, read_json_if_there
from dataset_conversion.files.texts.typed import NotNegative
from dataset_conversion.sequences import Pattern

REMEDY = "Convert the data set again, or restore the file."

Split = Literal["train", "val", "test"]


class ConvertedFrom(TypedDict):
    images: dict[str, str]


class FoldCases(TypedDict):
    """One of the folds of ``splits_final.json``."""

    train: list[str]
    val: list[str]


class _SequenceAlways(TypedDict):
    present: bool


class SequenceEntry(_SequenceAlways, total=False):
    sha256: str
    similarity_before: float
    similarity_after: float
    translation_mm: NotNegative
    rotation_deg: NotNegative


class CaseEntry(TypedDict):
    person: str
    split: Split
    sequences: dict[str, SequenceEntry]
    label: dict[str, Any] | None
    warnings: list[str]


class _SplitAlways(TypedDict):
    split: Split


class CaseInPart(_SplitAlways, total=False):
    """As a manifest may have it that others made."""

    person: str
    sequences: dict[str, SequenceEntry]
    label: dict[str, Any] | None
    warnings: list[str]


class ConversionRecord(TypedDict):
    """``.conversion/<case>.json``. inputs: see docs/formats.md; they are compared with those of today."""

    root: str
    inputs: ConvertedFrom
    files: dict[str, str]
    entry: CaseEntry


class ManifestSettings(TypedDict, total=False):
    channel_names: list[str]
    labels: dict[str, int]
    synthetic: bool


class Manifest(TypedDict):
    settings: ManifestSettings
    patients: dict[str, CaseEntry]


class _Written(TypedDict):
    settings: ManifestSettings
    patients: dict[str, CaseInPart]


class _WrittenInPart(TypedDict, total=False):
    """That of the references of a study tells no patients."""

    settings: ManifestSettings
    patients: dict[str, CaseInPart]


def pattern_of(entry: CaseEntry) -> Pattern:
    """The sequences that the manifest says a case has."""
    return Pattern(tuple(name for name, sequence in entry["sequences"].items() if sequence["present"]))


def read_manifest(folder: Path, *, remedy: str = REMEDY) -> Manifest:
    """``manifest.json``, with all keys of every case. Raises Fault where it is not there or not whole."""
    written = read_json(folder / "manifest.json", _Written, remedy=remedy)
    return _manifest(written["settings"], written["patients"])


def read_manifest_if_there(folder: Path) -> Manifest:
    """The same, and empty where something is not there."""
    found = read_json_if_there(folder / "manifest.json", _WrittenInPart, remedy=REMEDY) or {}
    return _manifest(found.get("settings", {}), found.get("patients", {}))


def _manifest(settings: ManifestSettings, patients: Mapping[str, CaseInPart]) -> Manifest:
    return {"settings": settings, "patients": {case: _whole(case, entry) for case, entry in patients.items()}}


def _whole(case: str, entry: CaseInPart) -> CaseEntry:
    """With all keys: a case of which no person is told is a person."""
    empty: dict[str, Any] = {"person": case, "sequences": {}, "label": None, "warnings": []}
    # in the order of the file, which is written again
    return {**entry, **{key: value for key, value in empty.items() if key not in entry}}  # type: ignore[typeddict-item]


def read_folds(folder: Path) -> list[FoldCases]:
    """``splits_final.json``; of a folder without one, empty."""
    return read_json_if_there(folder / "splits_final.json", list[FoldCases], remedy=REMEDY) or []
