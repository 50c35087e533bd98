"""The tables of one question of a study: every model with its spread over seeds, and every seed."""

import pandas as pd

from evaluation.seeds import spread
from evaluation.study_page import Question


def models_table(question: Question) -> pd.DataFrame:
    """The rows of ``table.csv``, one per model and metric: ``question, arm, metric, mean, sd, ci_low, ci_high, n,
    n_undefined``, over patients, and ``n_seeds, sd_seeds``."""
    rows = []
    for evaluation in question.evaluations:
        seeds = [each.evaluation for each in question.seeds[evaluation.name]]
        for metric, average in evaluation.summary["metrics"].items():
            known = {"question": question.title, "arm": evaluation.name, "metric": metric}
            rows.append({**known, **average, **spread(seeds, metric)})
    return pd.DataFrame(rows)


def seeds_table(question: Question) -> pd.DataFrame:
    """The rows of ``seeds.csv``, one per model, seed and metric, over the patients of this seed alone."""
    rows = [
        {"question": question.title, "arm": name, "seed": each.seed, "metric": metric, **average}
        for name, seeds in question.seeds.items()
        for each in seeds
        for metric, average in each.evaluation.summary["metrics"].items()
    ]
    return pd.DataFrame(rows)
