"""Writes the tables of an evaluation to a folder, and reads them again for another command."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dataset_conversion.faults import Fault
from dataset_conversion.files.json_files import read_json, write_json
from dataset_conversion.files.staging import staged
from evaluation.tables.csv_files import read_csv, write_csv
from evaluation.tables.summaries import averages, sensitivity_by_size, strata

SINCE_0_2 = (
    *("iou", "hd95_mm", "nsd", "auprc", "brier"),
    *("lesion_f1", "lesion_dice", "lesion_hd95_mm", "lesion_nsd", "lesion_f1_small"),
)
"""Columns of ``cases.csv`` that tables of version 0.1.0 lack."""

OPTIONAL_TABLES = ("protocols", "reliability", "confidence")


@dataclass(frozen=True)
class Evaluation:
    """One model on one cohort.

    cases: a row per patient. lesions: a row per object of either side. roc and froc: the curves of the cohort, empty
    where there were no probabilities. summary: settings, threshold, metrics, strata, sensitivity by size, and what
    became of each case. protocols: a row per patient and way to choose the threshold, empty where there was one way
    only. reliability, confidence: how far probabilities can be trusted, empty where there were none. Columns and keys:
    docs/formats.md.
    """

    cases: pd.DataFrame
    lesions: pd.DataFrame
    roc: pd.DataFrame
    froc: pd.DataFrame
    summary: Mapping[str, Any]
    protocols: pd.DataFrame = field(default_factory=pd.DataFrame)
    reliability: pd.DataFrame = field(default_factory=pd.DataFrame)
    confidence: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def name(self) -> str:
        return str(self.summary["name"])

    def write(self, folder: Path) -> None:
        """Writes the tables as CSV, NaN as an empty field, and ``summary.json``; all of them or none."""
        with staged(folder) as stage:
            for name in _TABLES:
                write_csv(getattr(self, name), stage / f"{name}.csv")
            for name in OPTIONAL_TABLES:
                if len(table := getattr(self, name)):
                    write_csv(table, stage / f"{name}.csv")
            write_json(stage / "summary.json", _without_nan(self.summary))


def read_evaluation(folder: Path) -> Evaluation:
    """Reads what ``Evaluation.write`` wrote. Raises Fault where it is not there or not whole."""
    remedy = "Give a folder that seqdropout evaluate wrote."
    try:
        tables = {name: read_csv(folder / f"{name}.csv", text=_TEXT) for name in _TABLES}
        for name in OPTIONAL_TABLES:
            if (file := folder / f"{name}.csv").is_file():
                tables[name] = read_csv(file, text=_TEXT)
        summary = read_json(folder / "summary.json")
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise Fault(f"not the results of an evaluation ({error})", file=folder, remedy=remedy) from error
    if summary.get("command") != "evaluate":
        raise Fault(f"its summary.json is from the command {summary.get('command')}", file=folder, remedy=remedy)
    missing = {*_COLUMNS} - {*tables["cases"].columns} | {*_KEYS} - {*summary}
    if missing:
        raise Fault(
            f"not the results of an evaluation ({', '.join(sorted(missing))} missing)", file=folder, remedy=remedy
        )
    tables["froc"] = _with_envelope(tables["froc"])
    return _with_later_columns(Evaluation(**tables, summary=summary))


def _with_envelope(froc: pd.DataFrame) -> pd.DataFrame:
    """The FROC of version 0.1.0 had no band, was not monotone, and began at the lowest threshold."""
    if "fp_highest" in froc.columns:
        return froc
    froc = froc.sort_values("threshold", ascending=False, ignore_index=True)
    band = {"sensitivity_low": np.nan, "sensitivity_high": np.nan}
    return froc.assign(fp_highest=froc["fp_per_patient"].cummax(), **band)


def _with_later_columns(evaluation: Evaluation) -> Evaluation:
    """What an earlier version did not measure is undefined, and a warning says so; its averages are made anew, since
    its intervals were others."""
    absent = [name for name in SINCE_0_2 if name not in evaluation.cases.columns]
    if not absent:
        return evaluation
    summary, cases = evaluation.summary, evaluation.cases.assign(**dict.fromkeys(absent, np.nan))
    warning = (
        f"{evaluation.name} was evaluated by version {summary.get('version')}, which did not measure "
        f"{', '.join(absent)}. Its averages and intervals were computed anew from its cases.csv; the band of its ROC "
        "curve could not be. Evaluate it again to have all."
    )
    anew = {
        "metrics": averages(cases),
        "strata": strata(cases),
        "sensitivity_by_size": sensitivity_by_size(evaluation.lesions),
    }
    summary = {**summary, **_without_nan(anew), "warnings": [*summary.get("warnings", ()), warning]}
    return replace(evaluation, cases=cases, summary=summary)


def _without_nan(content: Any) -> Any:
    """JSON has no NaN: it becomes null."""
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


_COLUMNS = ("case", "pattern", "auc", "dice", "precision", "recall", "n_lesions", "fp", "volume_reference_mm3")
_KEYS = ("name", "settings", "threshold", "metrics", "totals", "strata", "cases")
_TABLES = ("cases", "lesions", "roc", "froc")
_TEXT = {"case": str, "pattern": str, "side": str, "status": str, "matches": str, "method": str}
