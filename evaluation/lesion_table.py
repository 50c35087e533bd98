"""Tabulates the objects of a reference and a prediction: where each lies, its size, its probability, its partners."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.metrics.grid import Grid
from evaluation.metrics.lesion.lesions import Detection, Objects


def lesion_table(
    lesions: Objects,
    objects: Objects,
    detection: Detection,
    *,
    grid: Grid,
    probability: NDArray[np.floating] | None = None,
) -> pd.DataFrame:
    """One row per object of either side: the columns of ``lesions.csv`` without the case."""
    sides = (
        ("reference", lesions, detection.lesion_is_found, ("found", "missed"), 0),
        ("predicted", objects, detection.object_is_true, ("true", "false"), 1),
    )
    tables = []
    for side, these, hit, (yes, no), own in sides:
        table = object_table(these, side=side, grid=grid, probability=probability)
        dice = detection.best_dice(of_objects=bool(own))
        matches = np.full(these.count, "", object)
        for number, other in detection.pairs[:, [own, 1 - own]].tolist():
            matches[number - 1] += f";{other}" if matches[number - 1] else str(other)
        status = np.where(hit, yes, no)
        tables.append(table.assign(status=status, matches=matches, iou=dice / (2 - dice), dice=dice))
    return pd.concat(tables, ignore_index=True)


def object_table(
    objects: Objects, *, side: str, grid: Grid, probability: NDArray[np.floating] | None = None
) -> pd.DataFrame:
    """As ``lesion_table`` for one side alone, with ``status``, ``matches``, ``iou`` and ``dice`` empty."""
    volume_mm3 = objects.n_voxels * grid.voxel_mm3
    x, y, z = grid.points_mm(objects.centroids).T
    return pd.DataFrame(
        {
            "side": side,
            "object": np.arange(1, objects.count + 1),
            "volume_mm3": volume_mm3,
            "diameter_mm": np.cbrt(6 * volume_mm3 / np.pi),
            "x_mm": x,
            "y_mm": y,
            "z_mm": z,
            "status": "",
            "matches": "",
            "p_max": np.nan if probability is None else objects.maxima(probability),
            "p_mean": np.nan if probability is None else objects.means(probability),
            "iou": np.nan,
            "dice": np.nan,
        }
    )
