"""Builds the FROC of a cohort from the steps of its patients: a monotone curve with a 95 % band over patients."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.metrics.lesion.froc_steps import FrocSteps, together
from evaluation.metrics.statistics.intervals import expanded_percentiles

LOWEST = 0.01
"""The curve ends at this threshold, or at the threshold that was applied where that is lower."""

GRID = (LOWEST, *(round(step / 20, 2) for step in range(1, 20)), 0.99)
"""Thresholds that have a row in every table, whatever the probabilities are."""

COLUMNS = (
    "threshold",
    "fp_per_patient",
    "sensitivity",
    "n_lesions",
    "fp_highest",
    "sensitivity_low",
    "sensitivity_high",
)
_RESAMPLES, _SEED = 1000, 20210122


def froc(patients: Sequence[FrocSteps], *, applied: Sequence[float] = ()) -> pd.DataFrame:
    """The rows of ``froc.csv``, from the highest threshold down to the lowest that all patients were looked at.

    There is a row at every threshold at which a lesion is first found, at the one before it in the cohort's
    probabilities, at those of GRID and at ``applied``: all places where the curve turns. fp_highest: the most false
    positives at this threshold or a higher one, as they grow fewer where objects join. The band is a bootstrap of
    patients at each row's fp_highest.
    """
    if not patients:
        return pd.DataFrame(columns=list(COLUMNS), dtype=float)
    thresholds = _thresholds(patients, applied)
    cohort = together(patients)
    found, false_positives = cohort.n_found(thresholds), cohort.false_positives(thresholds)
    highest = np.maximum.accumulate(false_positives)
    rises = np.diff(found, prepend=0) > 0
    turns = rises | np.append(rises[1:], False) | np.isin(thresholds, [*GRID, *applied])
    turns[[0, -1]] = True
    n_lesions = sum(p.n_lesions for p in patients)
    low, high = _band(patients, thresholds[turns], highest[turns])
    return pd.DataFrame(
        {
            "threshold": thresholds[turns],
            "fp_per_patient": false_positives[turns] / len(patients),
            "sensitivity": found[turns] / n_lesions if n_lesions else np.nan,
            "n_lesions": n_lesions,
            "fp_highest": highest[turns] / len(patients),
            "sensitivity_low": low,
            "sensitivity_high": high,
        },
        columns=list(COLUMNS),
    )


def mean_froc(curves: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The mean curve of a model's seeds at equal numbers of false positives; there is no threshold to a row.

    The ends of the band are the means of the seeds' ends. A curve that ends before goes on at its height.
    """
    drawn = [curve for curve in curves if len(curve)]
    if not drawn:
        return curves[0]
    places = np.unique(np.concatenate([curve["fp_highest"] for curve in drawn]))
    heights = ("sensitivity", "sensitivity_low", "sensitivity_high")
    means = {name: np.mean([height_at(curve, name, places) for curve in drawn], axis=0) for name in heights}
    n_lesions = np.mean([curve["n_lesions"].iloc[0] for curve in drawn])
    known = {"threshold": np.nan, "fp_per_patient": places, "fp_highest": places, "n_lesions": n_lesions}
    return pd.DataFrame({**known, **means})[list(COLUMNS)]


def height_at(curve: pd.DataFrame, name: str, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """A column of ``froc.csv`` at numbers of false positives: where the lowest threshold keeps to each; 0 before."""
    heights = np.concatenate([[0], curve[name].to_numpy(float)])
    return heights[np.searchsorted(curve["fp_highest"].to_numpy(float), places, side="right")]


def _thresholds(patients: Sequence[FrocSteps], applied: Sequence[float]) -> NDArray[np.float64]:
    """All at which something changes in a patient, and those that are asked for, descending."""
    lowest = max(p.lowest for p in patients)
    own = [values for p in patients for values in (p.maxima, p.thresholds)]
    thresholds = np.unique(np.concatenate([*own, [lowest], GRID, applied]))
    return thresholds[thresholds >= lowest][::-1]


def _band(
    patients: Sequence[FrocSteps], thresholds: NDArray[np.float64], highest: NDArray[np.int64]
) -> tuple[NDArray, NDArray]:
    """Of every row: between which shares of found lesions 95 % of the resampled cohorts lie, at the same number of
    false positives; NaN for one patient, and without lesions."""
    n, lesions = len(patients), np.array([p.n_lesions for p in patients])
    if n < 2 or not lesions.any():
        return np.full(len(thresholds), np.nan), np.full(len(thresholds), np.nan)
    weights = np.random.default_rng(_SEED).multinomial(n, np.full(n, 1 / n), _RESAMPLES)
    weights = weights[weights @ lesions > 0].astype(float)  # (resamples, patients)
    found = weights @ np.array([p.n_found(thresholds) for p in patients], float)
    found /= (weights @ lesions)[:, None]
    false_positives = np.rint(weights @ np.array([p.false_positives(thresholds) for p in patients], float))
    curves = np.maximum.accumulate(false_positives, axis=1)
    heights = np.zeros((len(weights), len(thresholds)))
    for height, curve, sensitivity in zip(heights, curves, found, strict=True):
        keeps_to = np.searchsorted(curve, highest, side="right")
        height[:] = np.concatenate([[0], sensitivity])[keeps_to]
    low, high = np.quantile(heights, expanded_percentiles(n), axis=0)
    return low, high
