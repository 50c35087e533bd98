"""Compares what thresholds that were chosen in several ways give of one model, in the layout of the paper's Table 3."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from dataset_conversion.faults import Fault
from evaluation.inputs.thresholds import Thresholds
from evaluation.inputs.volumes import Volumes
from evaluation.metrics.lesion.lesions import detect, find_objects
from evaluation.metrics.names import false_positives
from evaluation.metrics.ranges import values_between
from evaluation.metrics.statistics.intervals import average
from evaluation.metrics.voxel.voxels import reaches
from evaluation.patient import PatientResult, papers_measures

TABLE_3 = ("auc", "dice", "recall", "precision")
"""The columns of the paper's Table 3, before those of the false positives."""


def protocol_rows(
    case: str,
    volumes: Volumes,
    result: PatientResult,
    ways: Sequence[Thresholds],
    *,
    min_volumes_mm3: Sequence[float],
    channel_names: Sequence[str],
) -> list[dict[str, Any]]:
    """A row for every way in which the patient's threshold can be chosen; none for a way that has none for the
    patient's pattern, such as the Youden index of validation patients without a lesion.

    volumes: those of ``inside_mask``.
    """
    probability, rows = np.asarray(volumes.probability), []
    for thresholds in ways:
        try:
            value = thresholds.for_pattern(volumes.pattern, channel_names=channel_names)[1].value
        except Fault:
            continue
        objects = find_objects(reaches(probability, value))
        detection = detect(result.reference, objects, voxel_mm3=volumes.grid.voxel_mm3)
        counted = papers_measures(result.reference, objects, detection, min_volumes_mm3=min_volumes_mm3)
        measures = {"auc": result.measures["auc"], **counted}
        columns = [*TABLE_3, *false_positives(measures)]
        rows.append(
            {"case": case, "method": thresholds.method, "threshold": value, **{n: measures[n] for n in columns}}
        )
    return rows


def protocol_averages(protocols: pd.DataFrame) -> list[dict[str, Any]]:
    """Of each method, over the patients: mean, standard deviation and interval of every figure of Table 3."""
    figures = [name for name in protocols.columns if name not in ("case", "method", "threshold")]
    return [
        {
            "method": method,
            "metrics": {
                name: asdict(average(rows[name].to_numpy(float), values_between=values_between(name)))
                for name in figures
            },
        }
        for method, rows in (protocols.groupby("method", sort=False) if len(protocols) else ())
    ]
