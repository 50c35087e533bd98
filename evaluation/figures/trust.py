"""Draws how far probabilities can be trusted: of voxels, and of the objects that a reader is shown."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes

from evaluation.figures.colours import MODELS
from evaluation.figures.plots import LINES, name_models
from evaluation.tables.results import Evaluation


def draw_reliability(ax: Axes, evaluations: Sequence[Evaluation]) -> None:
    """The share of lesion among the voxels of a probability, and the diagonal on which the two agree; the patients of
    all patterns together."""
    _diagonal(ax)
    for evaluation, colour, line in zip(evaluations, cycle(MODELS), cycle(LINES)):
        table = evaluation.reliability
        weighted = table.assign(p=table["p_mean"] * table["n_voxels"], lesion=table["lesion_share"] * table["n_voxels"])
        sums = weighted.groupby("p_from")[["n_voxels", "p", "lesion"]].sum()
        share = sums["lesion"] / sums["n_voxels"]
        ax.plot(sums["p"] / sums["n_voxels"], share, linestyle=line, marker="o", color=colour)
    ax.set(xlabel="Probability of a voxel", ylabel="Share that is lesion")
    name_models(ax, evaluations)


def draw_confidence(ax: Axes, evaluations: Sequence[Evaluation]) -> None:
    """The share of true ones among the predicted objects of a confidence, the highest probability in the object, with
    95 % intervals; n below counts the objects of the first model."""
    _diagonal(ax)
    for number, (evaluation, colour, line) in enumerate(zip(evaluations, cycle(MODELS), cycle(LINES))):
        table = evaluation.confidence[evaluation.confidence["measure"] == "p_max"]
        middle = (table["p_from"] + table["p_to"]) / 2 + 0.012 * (number - (len(evaluations) - 1) / 2)
        share = table["true_share"]
        reach = np.clip([share - table["ci_low"], table["ci_high"] - share], 0, None)
        ax.errorbar(middle, share, reach, linestyle=line, marker="o", color=colour, capsize=3, linewidth=1.2)
    ax.set(xlabel="Highest probability in the object", ylabel="Share that is a lesion")
    first = evaluations[0].confidence
    for row in first[first["measure"] == "p_max"].itertuples():
        place = (row.p_from + row.p_to) / 2
        ax.annotate(f"{row.n_objects}", (place, 0.01), ha="center", va="bottom", fontsize=6.5, color="#5b6570")
    name_models(ax, evaluations)


def _diagonal(ax: Axes) -> None:
    ax.plot([0, 1], [0, 1], color="#9aa4ae", linewidth=1, linestyle=(0, (2, 2)), zorder=1)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
