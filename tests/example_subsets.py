"""Every subset of two sequences, measured on three patients."""

import numpy as np
import pandas as pd

from evaluation.tables.subsets import SubsetResults

NAMES = ["t1_gd", "flair"]
DICE = {"t1_gd+flair": (0.8, 0.6, 0.7), "t1_gd": (0.7, 0.6, 0.5), "flair": (0.2, 0.3, 0.1)}
OK = {"status": "ok", "problem": "", "remedy": ""}


def subsets(*, drop_rows=(), **summary) -> SubsetResults:
    """Three patients, two sequences; P3 has no lesion, so no AUC and no sensitivity."""
    rows = []
    for pattern, values in DICE.items():
        for case, dice in zip(("P1", "P2", "P3"), values, strict=True):
            defined = np.nan if case == "P3" else dice
            known = {"case": case, "pattern": pattern, "n_present": pattern.count("+") + 1, "threshold": 0.4}
            counts = {"auc": defined, "dice": dice, "sensitivity": defined, "fp": 3, "fp_10mm3": 1}
            if (case, pattern) not in drop_rows:
                rows.append({**known, **counts})
    defaults = {
        "command": "subsets",
        "version": "0.1.0",
        "versions": {"nnunetv2": "2.8.1"},
        "name": "SeqDropoutTrainer__nnUNetPlans__2d",
        "synthetic": False,
        "channel_names": NAMES,
        "settings": {
            "model": "results/model",
            "gt": "raw/labelsTs",
            "target": "1",
            "folds": ["0"],
            "checkpoint": "checkpoint_final.pth",
            "mirroring": True,
        },
        "threshold": {"method": "argmax", "source": "None: the most probable label.", "values": {}},
        "cases": dict.fromkeys(("P1", "P2", "P3"), OK),
    }
    return SubsetResults(pd.DataFrame(rows), {**defaults, **summary})
