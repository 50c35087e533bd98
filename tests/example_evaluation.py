"""An evaluation of four patients, its averages counted by hand, for the tests of figures and reports."""

import numpy as np
import pandas as pd

from evaluation.tables.results import Evaluation

CASES = pd.DataFrame(
    {
        "case": ["P1", "P2", "P3", "P10"],
        "pattern": ["t1_gd", "t1_gd", "t1_gd+flair", np.nan],
        "auc": [0.9, 1.0, np.nan, 0.95],
        "dice": [0.8, 0.6, np.nan, 0.1],
        "precision": [0.7, 0.5, np.nan, np.nan],
        "recall": [0.6, 0.4, np.nan, 0.2],
        "n_lesions": [3, 2, 0, 5],
        "n_found": [3, 1, 0, 2],
        "sensitivity": [1.0, 0.5, np.nan, 0.4],
        "n_objects": [3, 3, 1, 12],
        "fp": [0, 2, 1, 10],
        "fp_10mm3": [0, 1, 0, 4],
        "found_10mm3": [2, 1, 0, 2],
        "volume_reference_mm3": [100.0, 50.0, 0.0, 1234.5],
        "volume_predicted_mm3": [90.0, 60.0, 5.0, 2000.0],
        "voxel_mm3": [1.0, 1.0, 1.0, 1.0],
    }
)
LESIONS = pd.DataFrame(
    {
        "case": ["P1"],
        "side": ["reference"],
        "object": [1],
        "volume_mm3": [33.0],
        "diameter_mm": [4.0],
        "status": ["found"],
    }
)
ROC = pd.DataFrame(
    {
        "fpr": [0.0, 0.5, 1.0],
        "tpr_mean": [0.3, 0.9, 1.0],
        "tpr_low": [0.2, 0.8, 1.0],
        "tpr_high": [0.4, 1.0, 1.0],
        "n": 3,
    }
)
FROC = pd.DataFrame(
    {
        "threshold": [0.9, 0.5, 0.1],
        "fp_per_patient": [0.5, 3.25, 9.0],
        "sensitivity": [0.2, 0.6, 0.8],
        "n_lesions": 10,
        "fp_highest": [0.5, 3.25, 9.0],
        "sensitivity_low": [0.0, 0.3, 0.6],
        "sensitivity_high": [0.5, 0.8, 1.0],
    }
)


def average(metric: str, cases: pd.DataFrame = CASES) -> dict:
    values = cases[metric].dropna()
    low, high = (values.min(), values.max()) if len(values) else (None, None)
    mean, sd = (values.mean() if len(values) else None), (values.std() if len(values) > 1 else None)
    counts = {"n": len(values), "n_undefined": len(cases) - len(values)}
    return {"mean": mean, "sd": sd, "ci_low": low, "ci_high": high, **counts}


def averages(cases: pd.DataFrame = CASES) -> dict:
    return {
        metric: average(metric, cases) for metric in CASES.columns if metric not in ("case", "pattern", "voxel_mm3")
    }


def example(name: str = "model", *, probabilities: bool = True, **summary: object) -> Evaluation:
    """10 lesions, 6 found, 13 false positives in 4 patients: 3.25 each; of at least 10 mm3: 5, 1.25 each."""
    few, many = CASES[CASES["n_lesions"] <= 3], CASES[CASES["n_lesions"] > 3]
    defaults = {
        "command": "evaluate",
        "version": "0.1.0",
        "versions": {"numpy": "2.0.0"},
        "name": name,
        "synthetic": False,
        "settings": {"gt": "labels", "p": "predictions", "target": "1", "min_volumes_mm3": [10.0], "mask": None},
        "threshold": {
            "method": "youden_pooled" if probabilities else "label_map",
            "source": "Youden index on the validation patients.",
            "values": {"": {"value": 0.76, "n_patients": 10, "youden": 0.9}},
        },
        "metrics": averages(),
        "totals": {"n_patients": 4, "n_lesions": 10, "n_found": 6, "fp": 13, "fp_10mm3": 5},
        "strata": [
            {"stratum": "at most 3 lesions", "n_patients": 3, "metrics": averages(few)},
            {"stratum": "more than 3 lesions", "n_patients": 1, "metrics": averages(many)},
        ],
        "sensitivity_by_size": [
            size(0, 3, 4, 1, 0.25, 0.05, 0.7),
            size(3, 6, 6, 5, 5 / 6, 0.4, 0.97),
            size(6, None, 0, 0, None, None, None),
        ],
        "one_to_one": {"n_matched": 5, "note": "Each lesion and object at most once."},
        "warnings": [],
        "cases": {case: {"status": "ok", "problem": "", "remedy": ""} for case in CASES["case"]},
    }
    roc, froc = (ROC, FROC) if probabilities else (ROC.iloc[:0], FROC.iloc[:0])
    return Evaluation(CASES, LESIONS, roc, froc, {**defaults, **summary})


def size(low, high, n, found, share, ci_low, ci_high) -> dict:
    counts = {"from_mm": low, "to_mm": high, "n_lesions": n, "n_found": found}
    return {**counts, "sensitivity": share, "ci_low": ci_low, "ci_high": ci_high}
