"""The evaluations of two seeds of one model on two patients."""

import numpy as np
import pandas as pd

from evaluation.tables import summaries
from evaluation.tables.results import Evaluation

NAN = np.nan
OK, FAILED = {"status": "ok", "problem": ""}, {"status": "failed", "problem": "no prediction"}


def of_seed(name: str, *, dice, precision, n_found, fp, n_small_found, tpr, froc, cases=("P1", "P2")) -> Evaluation:
    """P1 has two lesions, P2 four; of the six, two are smaller than 3 mm. The curves are given at three places."""
    table = pd.DataFrame({"case": ["P1", "P2"], "pattern": [NAN, "t1_gd"], "dice": dice, "precision": precision})
    table = table.assign(n_lesions=[2, 4], n_found=n_found, fp=fp, volume_reference_mm3=[20.0, 40.0], voxel_mm3=1.0)
    table = table[table["case"].isin(cases)].reset_index(drop=True)
    mean, low, high = np.transpose(tpr)
    found = sum(n_found)
    sizes = [{"from_mm": 0, "to_mm": 3, "n_lesions": 2, "n_found": n_small_found}]
    sizes += [{"from_mm": 3, "to_mm": None, "n_lesions": 4, "n_found": found - n_small_found}]
    summary = {
        "command": "evaluate",
        "name": name,
        "synthetic": False,
        "settings": {"target": "1", "min_volumes_mm3": []},
        "threshold": {"method": "youden", "source": "Youden index.", "values": {"": {"value": 0.5}}},
        "metrics": summaries.averages(table),
        "totals": summaries.totals(table),
        "strata": summaries.strata(table),
        "sensitivity_by_size": [
            {**s, "sensitivity": s["n_found"] / s["n_lesions"], "ci_low": 0.1, "ci_high": 0.9} for s in sizes
        ],
        "warnings": ["P2 is small."],
        "cases": {case: OK if case in cases else FAILED for case in ("P1", "P2")},
    }
    roc = pd.DataFrame({"fpr": [0.0, 0.5, 1.0], "tpr_mean": mean, "tpr_low": low, "tpr_high": high, "n": 2})
    curve = pd.DataFrame({"threshold": [0.2, 0.8], "fp_per_patient": froc[0], "sensitivity": froc[1], "n_lesions": 6})
    lesions = pd.DataFrame({"case": ["P1"], "side": ["reference"], "object": [1], "status": ["found"]})
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
        froc=([8.0, 1.0], [0.9, 0.3]),
    )
    second = of_seed(
        "A_seed1",
        dice=[0.6, 0.2],
        precision=[0.5, 0.3],
        n_found=[1, 1],
        fp=[0, 3],
        n_small_found=1,
        tpr=[(0.4, 0.1, 0.7), (0.9, 0.5, 1.0), (1, 1, 1)],
        froc=([4.0, 2.0], [0.7, 0.5]),
        **of_second,
    )
    return [first, second]
