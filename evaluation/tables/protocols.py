"""Compares what thresholds that were chosen in several ways give of one model, in the layout of the paper's Table 3."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from evaluation.inputs.thresholds import Method, Thresholds
from evaluation.inputs.volumes import Volumes
from evaluation.metrics.intervals import average
from evaluation.metrics.names import false_positives
from evaluation.patient import Rules, evaluate_patient

TABLE_3 = ("auc", "dice", "recall", "precision")
"""The columns of the paper's Table 3, before those of the false positives."""


def protocol_row(case: str, method: Method, threshold: float, measures: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``protocols.csv`` from the row of ``cases.csv`` at this threshold."""
    columns = [*TABLE_3, *false_positives(measures)]
    return {"case": case, "method": method, "threshold": threshold, **{name: measures[name] for name in columns}}


def rows_beside(
    case: str,
    volumes: Volumes,
    beside: Sequence[Thresholds],
    *,
    min_volumes_mm3: Sequence[float],
    channel_names: Sequence[str],
) -> list[dict[str, Any]]:
    """A row for every further way in which the threshold could have been chosen. Raises Fault where it has none."""
    rows = []
    for thresholds in beside:
        value = thresholds.for_pattern(volumes.pattern, channel_names=channel_names)[1].value
        rules = Rules(value, min_volumes_mm3)
        found = evaluate_patient(
            volumes.reference, probability=volumes.probability, mask=volumes.mask, grid=volumes.grid, rules=rules
        )
        rows.append(protocol_row(case, thresholds.method, value, found.measures))
    return rows


def protocol_averages(protocols: pd.DataFrame) -> list[dict[str, Any]]:
    """Of each method, over the patients: mean, standard deviation and interval of every figure of Table 3."""
    figures = [name for name in protocols.columns if name not in ("case", "method", "threshold")]
    return [
        {"method": method, "metrics": {name: asdict(average(rows[name].to_numpy(float))) for name in figures}}
        for method, rows in (protocols.groupby("method", sort=False) if len(protocols) else ())
    ]
