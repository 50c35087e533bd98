"""Draws the results on all subsets of the sequences as a heat map."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dataset_conversion.files.staging import staged
from dataset_conversion.sequences import Pattern
from evaluation.figures.files import write_figure
from evaluation.metrics.names import label, printed
from evaluation.metrics.ranges import lower_is_better


def heat_map(means: pd.DataFrame, channel_names: Sequence[str]) -> Figure:
    """A row per pattern (the index of ``means``): a dot for each sequence that it has, then a cell for each metric.

    The colours of a column run from its worst to its best value.
    """
    n_rows = len(means)
    widths = [0.32 * len(channel_names), 0.8 * len(means.columns)]
    figure = Figure(figsize=(sum(widths) + 0.3, 0.3 * n_rows + 0.9), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2, width_ratios=widths, sharey=True)
    present = np.array([Pattern.parse(shown).flags(channel_names) for shown in means.index])
    row, column = np.indices(present.shape)
    left.scatter(column, row, s=60, c=np.where(present, "#1a1a1a", "#dddddd").ravel())
    left.set_xticks(range(len(channel_names)), channel_names, rotation=90, fontsize=9)
    left.set_xlim(-0.6, len(channel_names) - 0.4)
    left.set_yticks([])
    values = means.to_numpy(float)
    better = np.where([lower_is_better(name) for name in means.columns], -values, values)
    low, high = np.nanmin(better, axis=0, initial=np.inf), np.nanmax(better, axis=0, initial=-np.inf)
    shade = (better - low) / np.where(high > low, high - low, 1)
    right.imshow(np.where(high > low, shade, 0.5), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (r, c), value in np.ndenumerate(values):
        colour = "white" if shade[r, c] < 0.5 else "black"
        text = printed(float(value), means.columns[c])
        right.text(c, r, text, ha="center", va="center", fontsize=9, color=colour)
    heads = [fill(label(name).replace("\N{NO-BREAK SPACE}mm", " mm"), 10) for name in means.columns]
    right.set_xticks(range(len(means.columns)), heads, fontsize=9)
    for ax in (left, right):
        ax.xaxis.tick_top()
        ax.tick_params(length=0)
        ax.set_frame_on(False)
    return figure


def write_heat_map(folder: Path, means: pd.DataFrame, channel_names: Sequence[str]) -> None:
    """Writes ``heat_map.png`` and ``heat_map.pdf``; both or none."""
    figure = heat_map(means, channel_names)
    with staged(folder) as stage:
        write_figure(figure, stage, "heat_map", dpi=150)
