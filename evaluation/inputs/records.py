"""Reads the record that our prediction writes beside a case, and passes over what other tools write there."""

from pathlib import Path
from typing import TypedDict

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.json_files import read_any_json
from dataset_conversion.files.texts.typed import typed_of


class PredictionRecord(TypedDict, total=False):
    """What we read of ``<case>.json``."""

    pattern: str
    absent: list[str]
    target: str
    warnings: list[str]
    files: dict[str, str]


def read_record(file: Path) -> PredictionRecord:
    """The content of ``<case>.json``; empty where there is no file, or one without a pattern, which is not ours.

    Raises Fault where it cannot be read, or holds something else than our prediction writes.
    """
    remedy = "Predict this case again."
    if not file.is_file():
        return {}
    try:
        content = read_any_json(file, remedy=remedy)
        ours = isinstance(content, dict) and "pattern" in content
        return typed_of(file, content, PredictionRecord, remedy=remedy) if ours else {}
    except Fault as fault:
        raise Fault(f"not the record of a prediction: {fault.problem}", remedy=remedy) from fault
