"""Writes the tables of an evaluation to a folder, and reads them again for another command."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dataset_conversion.faults import Fault
from dataset_conversion.files.staging import staged
from dataset_conversion.files.texts.csv_files import read_csv, write_csv
from dataset_conversion.files.texts.json_files import read_json, write_json
from evaluation.tables.summaries import NOT_AVERAGED, averages, sensitivity_by_size, strata
from evaluation.tables.summary_json import CommandSummary, EvaluationSummary

SINCE_0_2 = (
    *("iou", "hd95_mm", "nsd", "auprc", "brier"),
    *("lesion_f1", "lesion_dice", "lesion_hd95_mm", "lesion_nsd", "lesion_f1_small"),
)
"""Columns of ``cases.csv`` that tables of version 0.1.0 lack."""

REMEDY = "Give a folder that seqdropout evaluate wrote."
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
            for name in _COLUMNS:
                if name not in OPTIONAL_TABLES or len(getattr(self, name)):
                    write_csv(getattr(self, name), stage / f"{name}.csv")
            write_json(stage / "summary.json", _without_nan(self.summary))


def read_evaluation(folder: Path) -> Evaluation:
    """Reads what ``Evaluation.write`` wrote. Raises Fault where it is not there or not whole."""
    summary = _read_summary(folder)
    tables = {
        name: read_csv(folder / f"{name}.csv", text=_TEXT, columns=columns, remedy=REMEDY)
        for name, columns in _COLUMNS.items()
        if name not in OPTIONAL_TABLES or (folder / f"{name}.csv").is_file()
    }
    _require_whole(tables["cases"], summary, folder)
    tables["froc"] = _with_envelope(tables["froc"])
    return _with_later_columns(Evaluation(**tables, summary=summary))


def _read_summary(folder: Path) -> EvaluationSummary:
    """Raises Fault where there is none, or that of another command."""
    file = folder / "summary.json"
    command = read_json(file, CommandSummary, remedy=REMEDY)["command"]
    if command != "evaluate":
        raise Fault(f"its summary.json is from the command {command}", file=folder, remedy=REMEDY)
    return read_json(file, EvaluationSummary, remedy=REMEDY)


def _require_whole(cases: pd.DataFrame, summary: EvaluationSummary, folder: Path) -> None:
    """Raises Fault where a row is nobody's or somebody's second, or a column has no average."""
    if len(without := cases[cases["case"].isna() | cases["case"].duplicated()]):
        problem = f"case in row {without.index[0] + 1} is empty, or stands twice"
        raise Fault(problem, file=folder / "cases.csv", remedy=REMEDY)
    averaged = [name for name in cases.columns if name not in NOT_AVERAGED]
    strata_of = {f"strata[{number}].metrics": each["metrics"] for number, each in enumerate(summary["strata"])}
    for at, metrics in {"metrics": summary["metrics"], **strata_of}.items():
        if missing := [name for name in averaged if name not in metrics]:
            raise Fault(f"{at}.{missing[0]} is missing", file=folder / "summary.json", remedy=REMEDY)


def _with_envelope(froc: pd.DataFrame) -> pd.DataFrame:
    """The FROC of version 0.1.0 had no band, was not monotone, and began at the lowest threshold."""
    if {"fp_highest", "sensitivity_low", "sensitivity_high"} <= {*froc.columns}:
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


_COLUMNS = {
    "cases": (
        *("case", "pattern", "auc", "dice", "precision", "recall", "n_lesions", "n_found", "fp"),
        "volume_reference_mm3",
    ),
    "lesions": ("case", "side", "object", "diameter_mm", "status"),
    "roc": ("fpr", "tpr_mean", "tpr_low", "tpr_high", "n"),
    "froc": ("threshold", "fp_per_patient", "sensitivity"),
    "protocols": ("case", "method"),
    "reliability": ("pattern", "p_from", "p_to", "p_mean", "n_voxels", "lesion_share"),
    "confidence": ("measure", "p_from", "p_to", "n_objects", "n_true", "true_share", "ci_low", "ci_high"),
}
"""Table: the columns without which nothing can be shown."""
_TEXT = ("case", "pattern", "side", "status", "matches", "method", "measure")
