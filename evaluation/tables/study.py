"""Builds the tables of one question of a study: every model with its spread over seeds, and every seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from evaluation.tables.primary import NonInferiority
from evaluation.tables.results import Evaluation
from evaluation.tables.seeds import OfSeed, spread
from evaluation.tables.subsets import SubsetResults


@dataclass(frozen=True)
class Question:
    """All models on the same patients with the same sequences, for one target; the reference model first.

    folder: its name below ``evaluations``. sequences: what all patients have. comparison: see ``compare_with_all``.
    seeds: model -> what each of its seeds gave, one at least; ``evaluations`` are those of ``averaged``.
    """

    title: str
    folder: str
    sequences: Sequence[str]
    evaluations: Sequence[Evaluation]
    comparison: pd.DataFrame
    seeds: Mapping[str, Sequence[OfSeed]]


@dataclass(frozen=True)
class Primary:
    """The endpoint that a study named before it was run. question: its title. table: see ``primary_endpoint``.

    non_inferiority: None where there is no dedicated model.
    """

    question: str
    table: pd.DataFrame
    non_inferiority: NonInferiority | None

    def rows(self) -> pd.DataFrame:
        """The rows of ``primary.csv``: the table, with what was found of non-inferiority in the row of that model."""
        table = self.table.assign(question=self.question)
        found = self.non_inferiority
        columns = {"margin": "margin", "lowest": "lowest", "p_non_inferior": "p", "non_inferior": "non_inferior"}
        for name, attribute in columns.items():
            of_dedicated = {} if found is None else {found.against: getattr(found, attribute)}
            table[name] = [of_dedicated.get(against) for against in table["against"]]
        return table


@dataclass(frozen=True)
class StudyResults:
    """facts: words about data, protocol and machine. arms: a row per model: what it is and what it cost.

    learning: ``arm, data, fold, seed, epoch, train_loss, val_loss, pseudo_dice``. subsets: model -> its results on
    every subset, and in subset_seeds the seeds that they are of. primary: what the study is judged by.
    """

    title: str
    synthetic: bool
    facts: Mapping[str, str]
    arms: pd.DataFrame
    learning: pd.DataFrame
    questions: Sequence[Question]
    subsets: Mapping[str, SubsetResults]
    primary: Primary
    warnings: Sequence[str] = ()
    subset_seeds: Mapping[str, Sequence[int]] = field(default_factory=dict)


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
