"""Draws the figures of a cohort, one plot each, in one style, and writes them as PNG and PDF."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from dataset_conversion.files.staging import staged
from evaluation.figures.files import write_figure
from evaluation.figures.plots import draw_box, draw_froc, draw_learning, draw_roc, draw_sensitivity_by_size
from evaluation.figures.trust import draw_confidence, draw_reliability
from evaluation.metrics.names import false_positives
from evaluation.tables.results import Evaluation

STYLE: Final[dict[Any, Any]] = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#5b6570",
    "axes.grid": True,
    "grid.color": "#e6e9ec",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "seqdropout",
}
SIZE_INCHES = (3.55, 3.7)
"""A column of a journal; three beside each other fill the report's page."""


def draw_figures(evaluations: Sequence[Evaluation]) -> dict[str, Figure]:
    """Every figure that the tables allow, by name; without probabilities there is neither ``roc`` nor ``froc``."""
    figures = {}
    with matplotlib.rc_context(STYLE):
        for name, draw in (("roc", draw_roc), ("froc", draw_froc)):
            with_curve = [evaluation for evaluation in evaluations if len(getattr(evaluation, name))]
            if with_curve:
                figures[name] = _figure()
                draw(figures[name].axes[0], with_curve)
        figures["sensitivity_by_size"] = _figure()
        draw_sensitivity_by_size(figures["sensitivity_by_size"].axes[0], evaluations)
        for name, draw in (("reliability", draw_reliability), ("confidence", draw_confidence)):
            with_table = [evaluation for evaluation in evaluations if len(getattr(evaluation, name))]
            if with_table:
                figures[name] = _figure()
                draw(figures[name].axes[0], with_table)
        for metric in ("dice", *false_positives(evaluations[0].cases.columns)):
            figures[metric] = _figure()
            draw_box(figures[metric].axes[0], evaluations, metric)
    return figures


def learning_figure(learning: pd.DataFrame, names: Sequence[str]) -> Figure:
    """The learning curves of a study: see ``draw_learning``."""
    with matplotlib.rc_context(STYLE):
        figure = _figure()
        draw_learning(figure.axes[0], learning, names)
    return figure


def write_figures(folder: Path, evaluations: Sequence[Evaluation]) -> dict[str, Path]:
    """Writes every figure into ``folder/figures`` as PNG and PDF; returns the PNG files by name."""
    with staged(folder / "figures") as stage, matplotlib.rc_context(STYLE):
        figures = draw_figures(evaluations)
        for name, figure in figures.items():
            write_figure(figure, stage, name, dpi=200)
    return {name: folder / "figures" / f"{name}.png" for name in figures}


def _figure() -> Figure:
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    figure.add_subplot()
    return figure
