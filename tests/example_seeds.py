"""The evaluations of two seeds of one model on two patients."""

import numpy as np
import pandas as pd

from evaluation.tables import summaries
from evaluation.tables.results import Evaluation

NAN = np.nan
OK, FAILED = {"status": "ok", "problem": ""}, {"status": "failed", "problem": "no prediction"}


def of_seed(name: str, *, dice, precision, n_found, fp, n_small_found, tpr, froc, cases=("P1", "P2")) -> Evaluation:
    """P1 has two lesions of 5 mm, P2 two of these and two of 2 mm. The curves are given at three and two places."""
    table = pd.DataFrame({"case": ["P1", "P2"], "pattern": [NAN, "t1_gd"], "dice": dice, "precision": precision})
    table = table.assign(n_lesions=[2, 4], n_found=n_found, fp=fp, volume_reference_mm3=[20.0, 40.0], voxel_mm3=1.0)
    table = table[table["case"].isin(cases)].reset_index(drop=True)
    mean, low, high = np.transpose(tpr)
    lesions = pd.DataFrame({"case": ["P1"] * 2 + ["P2"] * 4, "side": "reference", "object": [1, 2, 1, 2, 3, 4]})
    lesions["diameter_mm"] = [5.0, 5, 2, 2, 5, 5]
    lesions["status"] = [
        "found" if place < n else "missed"
        for n in (n_found[0], n_small_found, n_found[1] - n_small_found)
        for place in range(2)
    ]
    lesions = lesions[lesions["case"].isin(cases)].reset_index(drop=True)
    summary = {
        "command": "evaluate",
        "version": "0.2.0",
        "versions": {},
        "name": name,
        "synthetic": False,
        "settings": {"target": "1", "min_volumes_mm3": []},
        "threshold": {"method": "youden", "source": "Youden index.", "values": {"": {"value": 0.5}}},
        "metrics": summaries.averages(table),
        "totals": summaries.totals(table),
        "strata": summaries.strata(table),
        "sensitivity_by_size": summaries.sensitivity_by_size(lesions),
        "warnings": ["P2 is small."],
        "cases": {case: OK if case in cases else FAILED for case in ("P1", "P2")},
    }
    roc = pd.DataFrame({"fpr": [0.0, 0.5, 1.0], "tpr_mean": mean, "tpr_low": low, "tpr_high": high, "n": 2})
    curve = pd.DataFrame({"threshold": [0.8, 0.2], "fp_per_patient": froc[0], "sensitivity": froc[1], "n_lesions": 6})
    curve = curve.assign(fp_highest=froc[0], sensitivity_low=0.1, sensitivity_high=froc[1])
    return Evaluation(table, lesions, roc, curve, summary)


def two_seeds(**of_second) -> list[Evaluation]:
    first = of_seed(
        "A",
        dice=[0.8, NAN],
        precision=[NAN, NAN],
        n_found=[2, 1],
        fp=[1, 0],
        n_small_found=0,
        tpr=[(0.2, 0.1, 0.3), (0.8, 0.6, 1.0), (1, 1, 1)],
        froc=([1.0, 8.0], [0.3, 0.9]),
    )
    second = of_seed(
        "A_seed1",
        dice=[0.6, 0.2],
        precision=[0.5, 0.3],
        n_found=[1, 1],
        fp=[0, 3],
        n_small_found=1,
        tpr=[(0.4, 0.1, 0.7), (0.9, 0.5, 1.0), (1, 1, 1)],
        froc=([2.0, 4.0], [0.5, 0.7]),
        **of_second,
    )
    return [first, second]
