"""Summarises the measures of all patients: averages, strata, mean ROC, sensitivity by size."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.metrics.ranges import values_between
from evaluation.metrics.statistics.intervals import average, band
from evaluation.metrics.statistics.proportions import clustered_proportion

FALSE_POSITIVE_RATES = np.unique(np.concatenate([[0], np.logspace(-6, 0, 121), np.linspace(0, 1, 101)]))
"""False positive rates of the mean ROC: 0.01 apart, and denser towards 0, the range of clinical interest."""

FEW_LESIONS = 3
SIZES_MM = (0.0, 3.0, 6.0, 10.0, np.inf)
"""Diameters of the sphere of equal volume between which sensitivity is given, the lower end inclusive."""

NOT_AVERAGED = ("case", "pattern", "voxel_mm3")


def averages(cases: pd.DataFrame) -> dict[str, dict[str, float]]:
    """For every metric of ``cases.csv``: mean, sd, interval, and in how many patients it is defined."""
    return {
        name: asdict(average(cases[name].to_numpy(), values_between=values_between(name)))
        for name in cases.columns
        if name not in NOT_AVERAGED
    }


def strata(cases: pd.DataFrame) -> list[dict[str, Any]]:
    """The averages of patients with at most three and with more than three lesions (Grøvik et al., Discussion)."""
    few = cases["n_lesions"] <= FEW_LESIONS
    named = ((f"at most {FEW_LESIONS} lesions", cases[few]), (f"more than {FEW_LESIONS} lesions", cases[~few]))
    return [{"stratum": name, "n_patients": len(rows), "metrics": averages(rows)} for name, rows in named]


def totals(cases: pd.DataFrame) -> dict[str, int]:
    counted = [name for name in cases.columns if name.startswith(("n_", "fp", "found_"))]
    return {"n_patients": len(cases), **{name: int(cases[name].sum()) for name in counted}}


def sensitivity_by_size(lesions: pd.DataFrame, *, times: pd.Series | None = None) -> list[dict[str, float | None]]:
    """Found lesions of all patients together, by diameter, with intervals that take a patient's lesions as alike.

    times: case -> how many seeds' tables its lesions are in, one below the other; a patient counts as their mean.
    """
    reference = lesions[lesions["side"] == "reference"]
    rows: list[dict[str, float | None]] = []
    for low, high in pairwise(SIZES_MM):
        among = reference[(reference["diameter_mm"] >= low) & (reference["diameter_mm"] < high)]
        of_patients = (among["status"] == "found").groupby(among["case"]).agg(["sum", "size"])
        if times is not None:
            of_patients = of_patients.div(times.loc[of_patients.index], axis=0)
        share, ci_low, ci_high = clustered_proportion(of_patients["sum"].tolist(), of_patients["size"].tolist())
        size = {"from_mm": low, "to_mm": None if np.isinf(high) else high}
        counts = {"n_lesions": of_patients["size"].sum().item(), "n_found": of_patients["sum"].sum().item()}
        rows.append({**size, **counts, "sensitivity": share, "ci_low": ci_low, "ci_high": ci_high})
    return rows


def mean_roc(sensitivities: Sequence[NDArray[np.float64]]) -> pd.DataFrame:
    """The patients' curves, each at FALSE_POSITIVE_RATES, averaged; a patient of one class only (NaN) is left out."""
    defined = np.array([curve for curve in sensitivities if not np.isnan(curve).any()])
    if not len(defined):
        return pd.DataFrame(columns=["fpr", "tpr_mean", "tpr_low", "tpr_high", "n"])
    mean, low, high = band(defined)
    return pd.DataFrame(
        {"fpr": FALSE_POSITIVE_RATES, "tpr_mean": mean, "tpr_low": low, "tpr_high": high, "n": len(defined)}
    )
