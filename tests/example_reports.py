"""What tests put into reports: a comparison, the pictures of a patient, lesion-wise figures, a prediction."""

from dataclasses import replace

import numpy as np
import pandas as pd
import SimpleITK as sitk
from example_evaluation import CASES, averages, example

from evaluation.figures.pictures.mosaic import Mark, mosaic
from evaluation.figures.pictures.predicted import predicted_mosaic
from evaluation.lesion_table import object_table
from evaluation.metrics.grid import Grid
from evaluation.metrics.lesion.lesions import find_objects
from evaluation.report.prediction import Prediction

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


def prediction(**changed) -> Prediction:
    """Of two objects in slices 4 to 6 and 9 to 11; changed: keys of its record."""
    mask = np.zeros((12, 30, 30), bool)
    mask[3:6, 10:13, 10:13] = mask[8:11, 20:24, 20:24] = True
    image = sitk.GetImageFromArray(np.random.default_rng(0).uniform(50, 100, mask.shape))
    objects, probability = find_objects(mask), mask * 0.75
    moved = {"translation_mm": 3.14, "rotation_deg": 2.5, "similarity_before": 1.1, "similarity_after": 1.25}
    record = {
        "case": "P1",
        "absent": ["bravo", "t1_pre"],
        "pattern_trained": True,
        "factor": 2.0,
        "target": "1",
        "threshold": 0.25,
        "threshold_source": "dice of /models/Dataset001_Mets/T__P__2d/fold_0/thresholds.json",
        "model": "/models/Dataset001_Mets/T__P__2d",
        "settings": {"folds": ["0"], "checkpoint": "c.pth", "sha256": {"0": "ab" * 32}, "mirroring": True},
        "warnings": ["a sequence is doubtful"],
        "preparation": {
            "reference": "t1_gd",
            "registered": True,
            "skull_stripped": "hd-bet",
            "defaced": None,
            "registration": {"flair": moved},
        },
        **changed,
    }
    return Prediction(
        record,
        target="metastasis",
        channel_names=("bravo", "t1_pre", "t1_gd", "flair"),
        lesions=object_table(objects, side="predicted", grid=Grid.of(image), probability=probability),
        slices=predicted_mosaic(image, objects, probability, sequence="t1_gd"),
        synthetic=False,
        versions={"nnunet_seqdropout": "0.2"},
    )
