"""The results of a study of three models, for the tests of its page."""

import numpy as np
import pandas as pd
from example_evaluation import CASES, example

from evaluation.tables.comparison import compare_with_all
from evaluation.tables.primary import non_inferiority, primary_endpoint
from evaluation.tables.results import Evaluation
from evaluation.tables.seeds import OfSeed, averaged
from evaluation.tables.study import Primary, Question, StudyResults

NAMES = ["DropOut", "DeepLabV3", "nnU-Net"]


def worse(name: str, by: float) -> Evaluation:
    """The example with every Dice lower, so that the difference is known."""
    evaluation = example(name)
    cases = CASES.assign(dice=CASES["dice"] - by)
    return Evaluation(cases, evaluation.lesions, evaluation.roc, evaluation.froc, evaluation.summary)


def results(**options) -> StudyResults:
    given = {"synthetic": False, "warnings": (), "gpu_mebibytes": np.nan, **options}
    evaluations = [example("DropOut"), worse("DeepLabV3", 0.05), worse("nnU-Net", -0.02)]
    seeds = {e.name: [OfSeed(0, e, f"evaluations/{e.name}/report.html")] for e in evaluations}
    for name, second in given.get("second", {}).items():
        seeds[name].append(OfSeed(7, second, f"evaluations/{name}_seed7/report.html"))
    evaluations = [averaged([each.evaluation for each in of], name=name) for name, of in seeds.items()]
    arms = pd.DataFrame(
        {
            "arm": NAMES,
            "trainer": ["SeqDropoutTrainer", "DeepLabV3Trainer", "nnUNetTrainer"],
            "sequences": ["bravo+t1_gd", "t1_gd", "t1_gd"],
            "n_models": 1,
            "parameters": [15_600_000, 15_500_000, 20_600_000],
            "slices_per_iteration": 12,
            "slices": [6000, 6000, 6000],
            "slices_most": [6000, 6000, 6012],
            "training_minutes": [5.25, 5.0, 9.5],
            "seconds_per_volume": [1.5, 1.4, 2.25],
            "gpu_mebibytes_training": given["gpu_mebibytes"],
            "mebibytes_training": [1500.0, 1400.0, 1600.0],
            "mebibytes_prediction": [1300.0, 1200.0, 1250.0],
        }
    )
    learning = pd.DataFrame(
        [
            {
                "arm": name,
                "data": "D",
                "fold": "fold_0",
                "seed": 0,
                "epoch": epoch,
                "train_loss": 0,
                "val_loss": 0,
                "pseudo_dice": 0.5,
            }
            for name in NAMES
            for epoch in range(3)
        ]
    )
    question = Question(
        title="metastasis, as acquired",
        folder="as_acquired/metastasis",
        sequences=["t1_gd"],
        evaluations=evaluations,
        comparison=compare_with_all(evaluations[0], evaluations[1:]),
        seeds=seeds,
    )
    return StudyResults(
        "DropOut against 2",
        given["synthetic"],
        {"Budget": "10 epochs"},
        arms,
        learning,
        [question],
        {},
        Primary(
            question.title,
            primary_endpoint(evaluations[0], evaluations[1:], metric="dice"),
            non_inferiority(evaluations[0], evaluations[2], metric="dice"),
        ),
        given["warnings"],
    )
