"""Tabulates how far probabilities can be trusted: of voxels, and of the objects that a reader is shown."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.metrics.statistics.proportions import clustered_proportion

CONFIDENCES = tuple(step / 10 for step in range(11))
MEASURES = ("p_max", "p_mean")


def reliability(counts: Mapping[str, NDArray[np.float64]]) -> pd.DataFrame:
    """The rows of ``reliability.csv``. counts: pattern -> the sum of its patients' ``reliability_counts``.

    Ranges without a voxel have no row.
    """
    rows = []
    for pattern, of_ranges in counts.items():
        for i, (n_voxels, n_lesion, total) in enumerate(of_ranges):
            if n_voxels:
                row = {"pattern": pattern, "p_from": i / len(of_ranges), "p_to": (i + 1) / len(of_ranges)}
                rows.append(
                    {**row, "n_voxels": int(n_voxels), "p_mean": total / n_voxels, "lesion_share": n_lesion / n_voxels}
                )
    return pd.DataFrame(rows, columns=["pattern", "p_from", "p_to", "n_voxels", "p_mean", "lesion_share"])


def confidence(lesions: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``confidence.csv``: of the predicted objects with a confidence between two values, how many are true.

    lesions: the rows of ``lesions.csv``. Confidence is the highest or the mean probability of an object's voxels. The
    interval takes patients, not objects, as independent. Ranges without an object have no row.
    """
    objects = lesions[(lesions["side"] == "predicted") & lesions["p_max"].notna()]
    rows = []
    for measure in MEASURES:
        # probabilities that are rounded sums may lie a little above 1
        value = objects[measure].clip(0, 1)
        for low, high in pairwise(CONFIDENCES):
            among = objects[(value >= low) & ((value < high) | (high == 1) & (value <= high))]
            if len(among):
                true = (among["status"] == "true").groupby(among["case"])
                share, ci_low, ci_high = clustered_proportion(true.sum().to_numpy(), true.size().to_numpy())
                counts = {"n_objects": len(among), "n_true": int(true.sum().sum())}
                ends = {"p_from": low, "p_to": high}
                rows.append(
                    {"measure": measure, **ends, **counts, "true_share": share, "ci_low": ci_low, "ci_high": ci_high}
                )
    columns = ["measure", "p_from", "p_to", "n_objects", "n_true", "true_share", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns)
