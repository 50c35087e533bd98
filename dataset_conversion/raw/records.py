"""Records of each patient what the written files depend on, and tells by it who need not be converted again."""

import json
from dataclasses import asdict
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.texts.json_files import read_json
from dataset_conversion.files.texts.manifest_json import CaseEntry, ConversionRecord
from dataset_conversion.raw.dataset import RECORDS, RawDataset
from dataset_conversion.raw.preparing.prepared import Preparation
from dataset_conversion.raw.sources.patient import Patient


class NotTheSame(Fault):
    """Another source has a case of this id; the one that is there stays."""


def require_same(dataset: RawDataset, case: str, patient: Patient) -> ConversionRecord | None:
    """What was recorded of the case. Raises Fault where its name is taken, or its files cannot be used."""
    before = read_record(dataset.folder / RECORDS / f"{case}.json")
    if before and before["root"] != root_of(dataset) and before["inputs"]["images"] != _sources(dataset, patient):
        remedy = "Give every patient a unique id, or remove the other patient from the data set."
        raise NotTheSame("the data set has a case of this name from another folder", remedy=remedy)
    if (fault := patient.known_fault) is not None:
        raise fault
    return before


def root_of(dataset: RawDataset) -> str:
    return sha256_of(str(dataset.source.resolve()))


def read_record(file: Path) -> ConversionRecord | None:
    """What was recorded of a case; None where there is no record, or none that can be read."""
    try:
        return read_json(file, ConversionRecord)
    except Fault:
        return None


def _sources(dataset: RawDataset, patient: Patient) -> dict[str, str]:
    return {name: sha256_of(patient.images[name]) for name in dataset.order if name in patient.images}


def inputs_of(dataset: RawDataset, patient: Patient, preparation: Preparation) -> dict:
    """All that the written files depend on; a source is known by its content."""
    return {
        "split": patient.split,
        "order": list(dataset.order),
        "channels": list(dataset.channel_names),
        "images": _sources(dataset, patient),
        "label": [sha256_of(file) for file in patient.label],
        "label_mapping": {str(value): label for value, label in (patient.label_mapping or {}).items()},
        "preparation": json.loads(json.dumps(asdict(preparation))),
    }


def entry_if_whole(dataset: RawDataset, record: ConversionRecord | None, inputs: dict) -> CaseEntry | None:
    if record is None or record["inputs"] != inputs:
        return None
    try:
        unchanged = all(sha256_of(dataset.folder / name) == sha256 for name, sha256 in record["files"].items())
    except OSError:
        return None
    return record["entry"] if unchanged else None
