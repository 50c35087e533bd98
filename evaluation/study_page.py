"""The page of a study: several models, trained and tested alike, and what can be said of their differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from dataset_conversion.images import staged
from evaluation.colours import FALSE, FOUND, MISSED, MODELS
from evaluation.contents import SEGMENTATION
from evaluation.figures import draw_figures, learning_figure
from evaluation.labels import false_positives
from evaluation.report import captioned, page_templates
from evaluation.results import Evaluation
from evaluation.seeds import OfSeed, spread
from evaluation.subset_report import subset_values
from evaluation.subset_results import SubsetResults

PAPER_TABLE_3 = (
    ("DeepLabV3", "0.989 ± 0.023", "0.774 ± 0.104", "0.631 ± 0.208", "0.722 ± 0.206", "26.3 ± 17.2", "7.0 ± 5.3"),
    ("DropOut", "0.989 ± 0.029", "0.795 ± 0.105", "0.671 ± 0.262", "0.790 ± 0.158", "12.3 ± 10.2", "3.6 ± 4.1"),
    ("p, rank sum test", "0.620", "0.017", "0.167", "0.095", "< 0.001", "< 0.001"),
)
"""Grøvik et al., 55 patients: AUC, Dice, recall, precision, false positives, those of at least 10 mm3."""


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
class StudyResults:
    """facts: words about data, protocol and machine. arms: a row per model: what it is and what it cost.

    learning: ``arm, data, fold, seed, epoch, train_loss, val_loss, pseudo_dice``. subsets: model -> its results on
    every subset, and in subset_seeds the seeds that they are of.
    """

    title: str
    synthetic: bool
    facts: Mapping[str, str]
    arms: pd.DataFrame
    learning: pd.DataFrame
    questions: Sequence[Question]
    subsets: Mapping[str, SubsetResults]
    warnings: Sequence[str] = ()
    subset_seeds: Mapping[str, Sequence[int]] = field(default_factory=dict)


def write_study_page(folder: Path, results: StudyResults) -> Path:
    """Writes ``folder/report.html``; whole or not at all."""
    names = list(results.arms["arm"])
    colours = {name: MODELS[number % len(MODELS)] for number, name in enumerate(names)}
    values = {
        "results": results,
        "arms": results.arms.to_dict("records"),
        "on_gpu": results.arms["gpu_mebibytes_training"].notna().any(),
        "colours": {"found": FOUND, "missed": MISSED, "false": FALSE},
        "model_colours": list(colours.values()),
        "number_of": {name: number for number, name in enumerate(names, start=1)},
        "questions": [_shown(question) for question in results.questions],
        "learning": captioned({"learning": learning_figure(results.learning, names)}),
        "subsets": {name: subset_values(subsets) for name, subsets in results.subsets.items()},
        "paper": PAPER_TABLE_3,
        "several_seeds": _several_seeds(results.questions),
    }
    text = page_templates().get_template("study.html.jinja").render(**values)
    with staged(folder) as stage:
        (stage / "report.html").write_text(text, encoding="utf-8")
    return folder / "report.html"


def _several_seeds(questions: Sequence[Question]) -> dict[str, list[int]]:
    """The seeds of each model that has more than one."""
    of_all = {name: [each.seed for each in seeds] for question in questions for name, seeds in question.seeds.items()}
    return {name: seeds for name, seeds in of_all.items() if len(seeds) > 1}


def _shown(question: Question) -> dict[str, Any]:
    """A question, its tables and figures as the page names them."""
    alarms = false_positives(question.evaluations[0].cases.columns)
    metrics = [*SEGMENTATION, "sensitivity", *alarms]
    rows = question.comparison.to_dict("records")
    return {
        "question": question,
        "models": [{"name": e.name, "summary": e.summary} for e in question.evaluations],
        "metrics": metrics,
        "spread": {
            name: {metric: spread([each.evaluation for each in seeds], metric) for metric in metrics}
            for name, seeds in question.seeds.items()
        },
        "compared": list(dict.fromkeys(row["metric"] for row in rows)),
        "against": {
            name: {str(row["metric"]): row for row in rows if row["against"] == name}
            for name in dict.fromkeys(row["against"] for row in rows)
        },
        "figures": captioned(draw_figures(question.evaluations)),
    }
