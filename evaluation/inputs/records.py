"""Reads the record that our prediction writes beside a case, and passes over what other tools write there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_conversion.faults import Fault
from dataset_conversion.files.json_files import read_any_json


def read_record(file: Path) -> Mapping[str, Any]:
    """The content of ``<case>.json``; empty where there is no file, or one without a pattern, which is not ours.

    Raises Fault where it cannot be read, or its pattern is no text.
    """
    remedy = "Predict this case again."
    if not file.is_file():
        return {}
    try:
        content = read_any_json(file, remedy=remedy)
    except Fault as fault:
        raise Fault(f"not the record of a prediction: {fault.problem}", remedy=remedy) from fault
    if not isinstance(content, dict) or "pattern" not in content:
        return {}
    if not isinstance(content["pattern"], str):
        raise Fault(f"not the record of a prediction (its pattern is {content['pattern']})", file=file, remedy=remedy)
    return content
