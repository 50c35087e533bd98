"""Writes the tables of an evaluation to a folder, and reads them again for another command."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dataset_conversion.faults import Fault
from dataset_conversion.files.json_files import read_json, write_json
from dataset_conversion.files.staging import staged


@dataclass(frozen=True)
class Evaluation:
    """One model on one cohort.

    cases: a row per patient. lesions: a row per object of either side. roc and froc: the curves of the cohort, empty
    where there were no probabilities. summary: settings, threshold, metrics, strata, sensitivity by size, and what
    became of each case. Columns and keys: docs/formats.md.
    """

    cases: pd.DataFrame
    lesions: pd.DataFrame
    roc: pd.DataFrame
    froc: pd.DataFrame
    summary: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.summary["name"])

    def write(self, folder: Path) -> None:
        """Writes the tables as CSV, NaN as an empty field, and ``summary.json``; all of them or none."""
        with staged(folder) as stage:
            for name in _TABLES:
                getattr(self, name).to_csv(stage / f"{name}.csv", index=False)
            write_json(stage / "summary.json", _without_nan(self.summary))


def read_evaluation(folder: Path) -> Evaluation:
    """Reads what ``Evaluation.write`` wrote. Raises Fault where it is not there or not whole."""
    remedy = "Give a folder that seqdropout evaluate wrote."
    try:
        tables = {name: pd.read_csv(folder / f"{name}.csv", dtype=_TEXT) for name in _TABLES}
        summary = read_json(folder / "summary.json")
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise Fault(f"not the results of an evaluation ({error})", file=folder, remedy=remedy) from error
    if summary.get("command") != "evaluate":
        raise Fault(f"its summary.json is from the command {summary.get('command')}", file=folder, remedy=remedy)
    columns = {*tables["cases"].columns, *tables["froc"].columns}
    missing = {*_COLUMNS, *_OF_CURVES} - columns | {*_KEYS} - {*summary}
    if missing:
        raise Fault(
            f"not the results of an evaluation ({', '.join(sorted(missing))} missing)", file=folder, remedy=remedy
        )
    return Evaluation(**tables, summary=summary)


def _without_nan(content: Any) -> Any:
    """JSON has no NaN: it becomes null."""
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


_COLUMNS = ("case", "pattern", "auc", "dice", "precision", "recall", "n_lesions", "fp", "volume_reference_mm3")
_OF_CURVES = ("fp_highest",)
"""Since 0.2."""
_KEYS = ("name", "settings", "threshold", "metrics", "totals", "strata", "cases")
_TABLES = ("cases", "lesions", "roc", "froc")
_TEXT = {"case": str, "pattern": str, "side": str, "status": str, "matches": str}
