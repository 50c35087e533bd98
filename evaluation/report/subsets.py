"""Writes the HTML page about every subset of the sequences, which tells a radiologist which ones a model needs."""

from pathlib import Path
from typing import Any

import pandas as pd

from dataset_conversion.files.staging import staged
from dataset_conversion.sequences import Pattern
from evaluation.figures.heat_map import heat_map
from evaluation.figures.importance import importance_plot
from evaluation.report.evaluation import page_templates, svg_uri
from evaluation.report.target import target_in_full, target_name
from evaluation.tables.subsets import SubsetResults


def write_subset_report(folder: Path, results: SubsetResults) -> Path:
    """Writes ``folder/report.html``; whole or not at all."""
    left_out = {case: outcome for case, outcome in results.outcomes.items() if outcome.status != "ok"}
    values = {
        "summary": results.summary,
        "target": target_name(results.summary["settings"]),
        "target_in_full": target_in_full(results.summary["settings"]),
        "subsets": subset_values(results),
        "n_patients": results.cases["case"].nunique(),
        "left_out": left_out,
    }
    text = page_templates().get_template("subset_report.html.jinja").render(**values)
    with staged(folder) as stage:
        (stage / "report.html").write_text(text, encoding="utf-8")
    return folder / "report.html"


def subset_values(results: SubsetResults) -> dict[str, Any]:
    """What the macros of ``subsets.html.jinja`` take: table, figures, importance; for any page that shows it."""
    importance = results.importance()
    figures = []
    if len(importance):
        caption = (
            "Dice with all sequences less Dice without this one, in the same patients; whiskers: 95 % interval. To the "
            "right of 0 the result is worse without it; whiskers that cross 0 do not tell."
        )
        picture = svg_uri(importance_plot(importance, results.channel_names))
        figures.append({"title": "What is lost without each sequence", "caption": caption, "picture": picture})
    caption = "The means of the table. The colours of a column run from its worst value (dark) to its best (bright)."
    picture = svg_uri(heat_map(results.wide(), results.channel_names))
    figures.append({"title": "All subsets", "caption": caption, "picture": picture})
    return {
        "channel_names": results.channel_names,
        "metrics": results.metrics,
        "rows": _rows(results),
        "importance": importance.to_dict("records"),
        "missed_most": _largest(importance),
        "figures": figures,
        "same_patients": results.cases.groupby("pattern")["case"].agg(frozenset).nunique() == 1,
        "with_threshold": bool(results.summary["threshold"]["values"]),
    }


def _largest(importance: pd.DataFrame) -> dict[str, Any] | None:
    """The row of the sequence without which most is lost, if anything is lost without any."""
    lost = importance[importance["mean"] > 0]
    return None if lost.empty else lost.loc[lost["mean"].idxmax()].to_dict()


def _rows(results: SubsetResults) -> list[dict[str, Any]]:
    """A row per pattern: its sequences, the number of patients, and each metric with its interval."""
    n_patients = results.cases.groupby("pattern")["case"].nunique()
    thresholds = results.summary["threshold"]["values"]
    rows = []
    for shown, group in results.table.groupby("pattern", sort=False):
        cells = [_cell(row, int(n_patients[shown])) for row in group.to_dict("records")]
        threshold = thresholds.get(shown)
        rows.append(
            {
                "pattern": shown,
                "present": Pattern.parse(shown).flags(results.channel_names),
                "n_present": int(group["n_present"].iloc[0]),
                "n": int(n_patients[shown]),
                "threshold": threshold,
                "borrowed": "" if threshold is None or threshold["of"] == shown else threshold["of"],
                "cells": cells,
            }
        )
    return rows


def _cell(row: dict[str, Any], n_patients: int) -> dict[str, Any]:
    return {**row, "with_interval": pd.notna(row["ci_low"]), "n_undefined": n_patients - int(row["n"])}
