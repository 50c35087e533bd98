"""Writes the HTML page of a study: several models, trained and tested alike, and their differences."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataset_conversion.files.staging import staged
from evaluation.figures.colours import MODELS
from evaluation.figures.evaluation import draw_figures, learning_figure
from evaluation.metrics.names import LESION_WISE, false_positives
from evaluation.report.contents import SEGMENTATION, WAYS, cautions, measured
from evaluation.report.evaluation import captioned, page_templates
from evaluation.report.subsets import subset_values
from evaluation.report.target import target_in_full
from evaluation.tables.seeds import spread
from evaluation.tables.study import Question, StudyResults

PAPER_TABLE_3 = (
    ("DeepLabV3", "0.989 ± 0.023", "0.774 ± 0.104", "0.631 ± 0.208", "0.722 ± 0.206", "26.3 ± 17.2", "7.0 ± 5.3"),
    ("DropOut", "0.989 ± 0.029", "0.795 ± 0.105", "0.671 ± 0.262", "0.790 ± 0.158", "12.3 ± 10.2", "3.6 ± 4.1"),
    ("p, rank sum test", "0.620", "0.017", "0.167", "0.095", "< 0.001", "< 0.001"),
)
"""Grøvik et al., 55 patients: AUC, Dice, recall, precision, false positives, those of at least 10 mm3."""


def write_study_page(folder: Path, results: StudyResults) -> Path:
    """Writes ``folder/report.html``; whole or not at all."""
    names = list(results.arms["arm"])
    colours = {name: MODELS[number % len(MODELS)] for number, name in enumerate(names)}
    values = {
        "results": results,
        "arms": results.arms.to_dict("records"),
        "on_gpu": results.arms["gpu_mebibytes_training"].notna().any(),
        "model_colours": list(colours.values()),
        "number_of": {name: number for number, name in enumerate(names, start=1)},
        "questions": [_shown(question) for question in results.questions],
        "learning": captioned({"learning": learning_figure(results.learning, names)}),
        "subsets": {name: subset_values(subsets) for name, subsets in results.subsets.items()},
        "paper": PAPER_TABLE_3,
        "several_seeds": _several_seeds(results.questions),
        "ways": WAYS,
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
    known = measured([evaluation.summary for evaluation in question.evaluations])
    lesion_wise = [metric for metric in LESION_WISE if metric in known]
    metrics = [*lesion_wise, *SEGMENTATION, "sensitivity", *alarms]
    rows = question.comparison.to_dict("records")
    return {
        "question": question,
        "models": [{"name": e.name, "summary": e.summary} for e in question.evaluations],
        "metrics": metrics,
        "lesion_wise": lesion_wise,
        "target": target_in_full(question.evaluations[0].summary["settings"]),
        "cautions": cautions(question.evaluations),
        "otherwise": [
            (e.name, each)
            for e in question.evaluations
            for each in e.summary.get("protocols", ())
            if each["method"] != e.summary["threshold"]["method"]
        ],
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
