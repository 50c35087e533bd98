"""Writes the report of one evaluation, or of a comparison of two, for radiologists: one self-contained HTML file."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from dataset_conversion.files.pages import data_uri, templates
from dataset_conversion.files.staging import staged
from dataset_conversion.plurals import n_of, plural
from evaluation.figures.evaluation import STYLE, draw_figures
from evaluation.figures.pictures.arrows import Arrow
from evaluation.figures.pictures.mosaic import MosaicSlice
from evaluation.figures.pictures.outlines import Line
from evaluation.metrics.names import label, limit, printed, printed_p, signed
from evaluation.report.contents import contents
from evaluation.tables.results import Evaluation

CAPTIONS = {
    "roc": (
        "Mean ROC curve",
        "Average over patients with the 95 % band of the mean (the paper's Fig. 3), voxel by voxel. The inset shows "
        "the same with a logarithmic axis.",
    ),
    "froc": (
        "FROC",
        "Lesions found against false alarms as the threshold moves, with the 95 % band over patients. The disc is the "
        "threshold used; where each pattern of sequences has its own, it may lie beside the curve, which has one for "
        "all. From 1/8 on, each tick of the axis is twice the one before.",
    ),
    "sensitivity_by_size": (
        "Sensitivity by size",
        "Lesions of all patients together, by the diameter of the sphere of equal volume. The 95 % intervals take the "
        "lesions of one patient as alike.",
    ),
    "reliability": (
        "Are the probabilities of voxels calibrated?",
        "Of the voxels with a probability near 0.8, how many are lesion? On the dotted line 80 %; below it the model "
        "is too sure of itself.",
    ),
    "confidence": (
        "How often is an object of this confidence a lesion?",
        "Predicted objects at the threshold used, by the highest probability in them, with 95 % intervals over "
        "patients. The small numbers count the objects.",
    ),
    "learning": (
        "Learning curves",
        "nnU-Net's moving average of the pseudo Dice of every epoch on the validation patients, who keep all the "
        "sequences that they have. They show whether a training had come to rest; they compare no models.",
    ),
}
FATES = {"found": "found", "missed": "missed", "false": "false alarm"}
BOX_CAPTION = "Every dot is a patient; box: quartiles and median (the paper's Fig. 4)."


def write_report(
    folder: Path,
    evaluations: Sequence[Evaluation],
    *,
    comparison: pd.DataFrame | None = None,
    mosaics: Mapping[str, Sequence[MosaicSlice]] | None = None,
) -> Path:
    """Writes ``folder/report.html`` about one evaluation, or several on the same patients; whole or not at all.

    comparison: the tests of two models, the columns of ``comparison.csv``. mosaics: the slices of each patient to show.
    """
    pages = page_templates()
    values = contents(evaluations, comparison, mosaics or {})
    text = pages.get_template("report.html.jinja").render(**values, **_figures(evaluations))
    with staged(folder) as stage:
        (stage / "report.html").write_text(text, encoding="utf-8")
    return folder / "report.html"


def page_templates() -> jinja2.Environment:
    """The templates of our reports, with their filters."""
    pages = templates(Path(__file__).with_name("templates"))
    pages.filters |= {
        "printed": printed,
        "printed_p": printed_p,
        "signed": signed,
        "label": label,
        "limit": limit,
        "degrees": _degrees,
        "objects_shown": _objects_shown,
        "path": _path,
    }
    return pages


def svg_uri(figure: Figure) -> str:
    """The figure as the address of a picture in the page."""
    stream = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return data_uri(stream.getvalue(), "image/svg+xml")


def captioned(figures: Mapping[str, Figure]) -> list[dict[str, str]]:
    """Figures by name as pictures with title and caption."""
    shown = []
    for name, figure in figures.items():
        title, caption = CAPTIONS.get(name, (label(name), BOX_CAPTION))
        shown.append({"title": title, "caption": caption, "picture": svg_uri(figure)})
    return shown


def _figures(evaluations: Sequence[Evaluation]) -> dict[str, list]:
    """The figures, and a sentence for each model with a curve that cannot be drawn."""
    missing = []
    for evaluation in evaluations:
        if evaluation.summary["threshold"]["method"] == "label_map":
            reason = "the predictions are label maps without probabilities"
            missing.append(f"No ROC curve, no AUC and no FROC of {evaluation.name}: {reason}.")
        elif not len(evaluation.roc):
            reason = "no patient has both lesion and other voxels"
            missing.append(f"No ROC curve and no AUC of {evaluation.name}: {reason}.")
    return {"figures": captioned(draw_figures(evaluations)), "missing_figures": missing}


def _degrees(arrow: Arrow) -> float:
    """How far an arrow that points to the right is turned clockwise."""
    (x_tail, y_tail), (x_tip, y_tip) = arrow.tail, arrow.tip
    return math.degrees(math.atan2(y_tip - y_tail, x_tip - x_tail))


def _path(lines: Sequence[Line]) -> str:
    """Closed lines as the ``d`` of an SVG path."""
    return "".join(f"M{' '.join(f'{x:.1f} {y:.1f}' for x, y in line[:-1])}Z" for line in lines)


def _objects_shown(picture: MosaicSlice) -> str:
    if picture.agreement is None:
        numbers = sorted(number.value for number in picture.numbers)
        return f"{plural(len(numbers), 'object')} {', '.join(map(str, numbers))}" if numbers else "nothing predicted"
    parts = [
        n_of(n, FATES[status]) if status == "false" else f"{n} {FATES[status]}"
        for status, n in picture.shown.items()
        if n
    ]
    return ", ".join(parts) or "no lesion, no false alarm"
