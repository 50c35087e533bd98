"""Draws how much the result worsens when each sequence is missing."""

from collections.abc import Sequence

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from evaluation.figures.colours import MODELS
from evaluation.figures.evaluation import SIZE_INCHES, STYLE
from evaluation.metrics.names import label


def importance_plot(importance: pd.DataFrame, channel_names: Sequence[str]) -> Figure:
    """A line per sequence, in channel order from above: the mean loss as a dot, its 95 % interval as whiskers.

    To the right of 0 the result is worse without the sequence. A sequence that was not measured has no dot.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(SIZE_INCHES[0], 0.9 + 0.45 * len(channel_names)), layout="constrained")
        ax = figure.add_subplot()
        ax.axvline(0, color="#5b6570", linewidth=1)
        for row in importance.to_dict("records"):
            place = channel_names.index(row["without"])
            if pd.notna(row["ci_low"]):
                ax.plot([row["ci_low"], row["ci_high"]], [place, place], color=MODELS[0], linewidth=1.8)
            ax.plot(row["mean"], place, "o", color=MODELS[0], markersize=7)
        ax.set_yticks(range(len(channel_names)), channel_names)
        ax.set_ylim(len(channel_names) - 0.5, -0.5)
        ax.margins(x=0.1)
        ax.set_xlabel(f"{label(importance['metric'].iloc[0])} lost without it")
        ax.grid(axis="y", visible=False)
    return figure
