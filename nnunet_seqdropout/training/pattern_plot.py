"""Plots a training with one curve per availability pattern, as a file beside nnU-Net's progress.png."""

from collections.abc import Sequence
from itertools import cycle, product
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from dataset_conversion.files.staging import staged
from evaluation.figures.colours import PATTERNS
from evaluation.figures.evaluation import STYLE
from evaluation.figures.plots import LINES
from nnunet_seqdropout.training.pattern_dice import PatternDice, in_order

NAME = "progress_patterns.png"
MEMORY = 0.9
"""Share of the past in the moving average, as in nnU-Net's."""


def write_pattern_plot(folder: Path, epochs: Sequence[PatternDice]) -> None:
    """Writes ``progress_patterns.png``: mean pseudo Dice over the epochs, and its moving average, of every pattern."""
    # after a reset: nnU-Net's own plot leaves letters behind that are 2.5 times as large
    with staged(folder) as stage, matplotlib.style.context(STYLE, after_reset=True):
        draw_patterns(epochs).savefig(stage / NAME, dpi=150)


def draw_patterns(epochs: Sequence[PatternDice]) -> Figure:
    """Dots are the epochs, lines their moving averages; an epoch without foreground of a pattern has no dot."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    ax = figure.add_subplot()
    patterns = in_order(pattern for epoch in epochs for pattern in epoch)
    for pattern, (line, colour) in zip(patterns, cycle(product(LINES, PATTERNS))):
        dice = np.array([_mean(epoch[pattern]["dice"]) if pattern in epoch else np.nan for epoch in epochs])
        ax.plot(dice, ".", color=colour, markersize=6, markeredgewidth=0, alpha=0.3, zorder=1)
        ax.plot(moving_average(dice), line, color=colour, linewidth=2, label=pattern)
    ax.set(xlabel="Epoch", ylabel="Pseudo Dice", ylim=(-0.02, 1.02))
    ax.set_title("Online validation, by the sequences that a patient has", loc="left")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside right upper", title="Dots: epochs. Line: moving average", alignment="left")
    return figure


def _mean(dice: Sequence[float]) -> float:
    """Over the classes or regions that occur; NaN where none does."""
    defined = [value for value in dice if not np.isnan(value)]
    return float(np.mean(defined)) if defined else np.nan


def moving_average(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """0.9 of the past and 0.1 of the present; it begins with the first value, and NaN leaves it where it was."""
    averages, average = np.full(len(values), np.nan), np.nan
    for i, value in enumerate(values):
        if not np.isnan(value):
            average = value if np.isnan(average) else MEMORY * average + (1 - MEMORY) * value
        averages[i] = average
    return averages
