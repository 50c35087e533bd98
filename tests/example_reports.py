"""What tests put into reports: a comparison, the pictures of a patient, an evaluation with lesion-wise figures."""

from dataclasses import replace

import numpy as np
import pandas as pd
from example_evaluation import CASES, averages, example

from evaluation.figures.mosaic import Mark, mosaic

COMPARISON = pd.DataFrame(
    {
        "metric": ["auc", "dice", "fp"],
        "n": [3, 3, 4],
        "p_rank_sum": [0.62, 0.017, 0.0004],
        "p_signed_rank": [0.5, 0.01, 0.002],
        "p_signed_rank_holm": [0.51, 0.02, 0.006],
        "effect": [-0.25, 0.5, np.nan],
    }
)


def slices(probability=True):
    lesion = np.zeros((12, 30, 30), bool)
    lesion[3:5, 10:12, 10:12] = lesion[8:10, 20:22, 20:22] = True
    marks = [Mark("missed", (3, 10, 10)), Mark("missed", (8, 20, 20))]
    background = np.random.default_rng(0).uniform(50, 100, lesion.shape)
    return mosaic(background, lesion * 0.4 if probability else None, lesion, np.zeros_like(lesion), marks, (1, 1, 1))


def with_lesion_wise(f1: float, dice: float, name: str = "model"):
    """The example and two columns of equal values in all patients; every lesion touched has this Dice."""
    cases = CASES.assign(lesion_f1=f1, lesion_dice=dice)
    known = averages(cases)
    flat = {"sd": 0.0, "n": 4, "n_undefined": 0}
    more = {m: {"mean": v, "ci_low": v, "ci_high": v, **flat} for m, v in (("lesion_f1", f1), ("lesion_dice", dice))}
    strata = [{**stratum, "metrics": {**stratum["metrics"], **more}} for stratum in example().summary["strata"]]
    evaluation = example(name, metrics={**known, **more}, strata=strata)
    return replace(evaluation, cases=cases, lesions=evaluation.lesions.assign(dice=dice))
