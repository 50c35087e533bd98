"""Converts the tables of one or more evaluations to the values that the report's template uses."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import pandas as pd

from dataset_conversion.plurals import n_of
from evaluation.figures.colours import FALSE_NEGATIVE, FALSE_POSITIVE, MODELS, TRUE_POSITIVE
from evaluation.figures.pictures.layers import probability_colours
from evaluation.figures.pictures.mosaic import MOST_SLICES, MosaicSlice
from evaluation.metrics.names import LESION_WISE, false_positives, limit, printed
from evaluation.report.target import target_in_full, target_name
from evaluation.report.touching import EXPLANATION, touching_sentence
from evaluation.tables.results import SINCE_0_2, Evaluation

WAYS = {
    "dice": "Highest mean Dice",
    "youden_pooled": "Youden index, the paper's",
    "fp_budget": "Budget of false positives",
}
"""How a threshold was chosen on validation patients, in words."""
SEGMENTATION = ("auc", "dice", "recall", "precision")
VOLUMES = ("volume_reference_mm3", "volume_predicted_mm3")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
TESTS = (
    ("p_rank_sum", "p, rank sum test (the paper's)"),
    ("p_signed_rank", "p, signed-rank test (paired)"),
    ("p_signed_rank_holm", "the same, corrected by Holm"),
)
"""Columns of ``comparison.csv``, and what the report calls them."""


def contents(
    evaluations: Sequence[Evaluation], comparison: pd.DataFrame | None, mosaics: Mapping[str, Sequence[MosaicSlice]]
) -> dict[str, Any]:
    """All values but the figures. The report contains the patients of any of the evaluations."""
    alarms = false_positives(evaluations[0].cases.columns)
    averaged = measured([evaluation.summary for evaluation in evaluations])
    main = [*(metric for metric in LESION_WISE if metric in averaged), *SEGMENTATION, *alarms]
    settings = evaluations[0].summary["settings"]
    anchors = {case: f"patient-{number}" for number, case in enumerate(mosaics, start=1)}
    compared = len(evaluations) > 1
    models = " and ".join(e.name for e in evaluations)
    return {
        "title": f"{models if compared else f'Evaluation of {models}'}: {target_name(settings)}",
        "target": target_name(settings),
        "target_in_full": target_in_full(settings),
        "compared": compared,
        "models": [_model(evaluation) for evaluation in evaluations],
        "letters": LETTERS[: len(evaluations)],
        "model_colours": [MODELS[number % len(MODELS)] for number in range(len(evaluations))],
        "colours": {"tp": TRUE_POSITIVE, "fn": FALSE_NEGATIVE, "fp": FALSE_POSITIVE},
        "synthetic": any(evaluation.summary["synthetic"] for evaluation in evaluations),
        "warnings": list(dict.fromkeys(chain.from_iterable(e.summary["warnings"] for e in evaluations))),
        "cautions": cautions(evaluations),
        "main_metrics": main,
        "lesion_wise": main[0] in LESION_WISE,
        "other_metrics": [metric for metric in averaged if metric not in main],
        "fp_metrics": alarms,
        "limits": [limit(metric) for metric in alarms[1:]],
        "comparison": {} if comparison is None else {str(r["metric"]): r for r in comparison.to_dict("records")},
        "tests": TESTS,
        "ways": WAYS,
        "with_threshold": any(evaluation.summary["threshold"]["values"] for evaluation in evaluations),
        **_patients(evaluations, anchors),
        "mosaics": [
            {"case": case, "anchor": anchors[case], "slices": slices, "results": _results(evaluations, case)}
            for case, slices in mosaics.items()
        ],
        "most_slices": MOST_SLICES,
        "backgrounds": Counter(slices[0].sequence for slices in mosaics.values() if slices),
        "with_probability": any(s.probability is not None for slices in mosaics.values() for s in slices),
        "colour_bar": probability_colours(),
    }


def measured(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The metrics that every summary has, and that some patient has in one: an earlier version had fewer."""
    return [
        metric
        for metric in summaries[0]["metrics"]
        if all(metric in each["metrics"] for each in summaries)
        and (metric not in SINCE_0_2 or any(each["metrics"][metric]["n"] for each in summaries))
    ]


def cautions(evaluations: Sequence[Evaluation]) -> list[str]:
    """``touching_sentence`` of each model for which there is one, and what it means; nothing if there is none."""
    said = [touching_sentence(evaluation.lesions, name=evaluation.name) for evaluation in evaluations]
    return [*filter(None, said), EXPLANATION] if any(said) else []


def _model(evaluation: Evaluation) -> dict[str, Any]:
    summary: Mapping[str, Any] = evaluation.summary
    left_out = {case: outcome for case, outcome in summary["cases"].items() if outcome["status"] != "ok"}
    return {
        "name": evaluation.name,
        "summary": summary,
        "left_out": left_out,
        "n_left_out": Counter(outcome["status"] for outcome in left_out.values()),
        "patterns": Counter(pattern for pattern in map(_text, evaluation.cases["pattern"]) if pattern),
    }


def _patients(evaluations: Sequence[Evaluation], anchors: Mapping[str, str]) -> dict[str, Any]:
    """The table of patients: a row each, a column per metric and model; ``value`` sorts, empty if undefined."""
    rows = [{str(row["case"]): row for row in e.cases.to_dict("records")} for e in evaluations]
    first: dict[str, dict] = {case: row for of_model in reversed(rows) for case, row in of_model.items()}
    alarms = false_positives(evaluations[0].cases.columns)
    metrics = ["n_found", *alarms, "dice", "recall", "precision", "auc", *VOLUMES]
    if len(evaluations) > 1:
        metrics = ["n_found", *alarms, "dice", "auc"]
    patients = []
    for case in sorted(first, key=_by_number):
        shown = [(of_model.get(case, {}), metric) for metric in metrics for of_model in rows]
        cells = [_cell(first[case], "n_lesions"), *(_cell(row, metric) for row, metric in shown)]
        pattern = _text(first[case]["pattern"])
        patients.append({"case": case, "pattern": pattern, "anchor": anchors.get(case), "cells": cells})
    return {
        "patients": patients,
        "n_lesions": sum(int(row["n_lesions"]) for row in first.values()),
        "with_pattern": len({patient["pattern"] for patient in patients}) > 1,
        "patient_metrics": metrics,
    }


def _cell(row: Mapping[str, Any], metric: str) -> dict[str, Any]:
    value = row.get(metric)
    undefined = value is None or pd.isna(value)
    return {
        "text": printed(value, metric, fewer=1),
        "value": "" if undefined else value,
        "missed": metric == "n_found" and not undefined and value < row["n_lesions"],
    }


def _results(evaluations: Sequence[Evaluation], case: str) -> list[str]:
    """What the heading of a patient's pictures says, once per model."""
    lines = []
    for evaluation in evaluations:
        for row in evaluation.cases[evaluation.cases["case"] == case].to_dict("records"):
            name = f"{evaluation.name}: " if len(evaluations) > 1 else ""
            found = f"{row['n_found']:.0f} of {n_of(row['n_lesions'], 'lesion')} found"
            alarms = n_of(row["fp"], "false alarm")
            lines.append(f"{name}{found}, {alarms}, Dice {printed(row['dice'], 'dice', fewer=1)}")
    return lines


def _by_number(case: str) -> list[str | int]:
    """P2 comes before P10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", case)]


def _text(value: object) -> str:
    """An empty field of a table is NaN."""
    return value if isinstance(value, str) else ""
