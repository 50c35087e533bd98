"""Draws the plots of a cohort from computed tables of one or more models into given axes."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from dataset_conversion.plurals import counted
from evaluation.figures.colours import MODELS
from evaluation.metrics.names import label
from evaluation.tables.results import Evaluation

LINES: Final = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)))
LOWEST_RATE = 1e-5
FEWEST_FALSE_POSITIVES, MOST_FALSE_POSITIVES = 1 / 8, 64
"""Per patient. Beyond the latter a FROC is drawn only where a model works there."""


def draw_roc(ax: Axes, evaluations: Sequence[Evaluation]) -> None:
    """The mean ROC curve of every model with its 95 % band (Fig. 3), and the same in an inset with a logarithmic axis:
    the lesions are a thousandth of the head, so that the curve bends at rates that the linear axis cannot show."""
    inset = ax.inset_axes((0.38, 0.2, 0.58, 0.46))
    for evaluation, colour, line in zip(evaluations, cycle(MODELS), cycle(LINES)):
        roc = evaluation.roc
        for axes in (ax, inset):
            axes.fill_between(roc["fpr"], roc["tpr_low"], roc["tpr_high"], color=colour, alpha=0.2, linewidth=0)
            axes.plot(roc["fpr"], roc["tpr_mean"], linestyle=line, color=colour)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="False positive rate", ylabel="True positive rate")
    inset.set(xscale="log", xlim=(LOWEST_RATE, 1), ylim=(0, 1.02))
    inset.tick_params(labelsize=7.5)
    inset.set_title("same curves, logarithmic axis", fontsize=7.5)
    name_models(ax, evaluations)


def draw_box(ax: Axes, evaluations: Sequence[Evaluation], metric: str) -> None:
    """A box of quartiles per model, whiskers to 1.5 times their distance, and every patient as a dot (Fig. 4).

    Patients in whom the metric is undefined are left out; n under each box counts the others.
    """
    ticks = []
    for place, (evaluation, colour) in enumerate(zip(evaluations, cycle(MODELS)), start=1):
        values = evaluation.cases[metric].dropna().to_numpy(float)
        ax.boxplot(
            values,
            positions=[place],
            widths=0.5,
            showfliers=False,
            boxprops={"color": colour},
            whiskerprops={"color": colour},
            capprops={"color": colour},
            medianprops={"color": colour, "linewidth": 2},
        )
        ax.scatter(place + _aside(values), values, s=22, color=colour, alpha=0.6, linewidths=0, zorder=3)
        ticks.append(f"n = {len(values)}")
    ax.set_xticks(range(1, len(ticks) + 1), ticks)
    ax.set(xlim=(0.4, len(ticks) + 0.6), ylabel=label(metric) + (" per patient" if metric.startswith("fp") else ""))
    top = 1.0 if metric == "dice" else max(1.0, ax.get_ylim()[1])
    ax.set_ylim(-0.03 * top, 1.03 * top)
    if metric != "dice":
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="x", visible=False)
    name_models(ax, evaluations)


def draw_froc(ax: Axes, evaluations: Sequence[Evaluation]) -> None:
    """Share of all lesions found against false positives per patient, over thresholds, with a 95 % band over patients;
    the disc is the threshold that the tables use. The axis is linear up to 1/8 and doubles from there on."""
    highest = 1.0
    for evaluation, colour, line in zip(evaluations, cycle(MODELS), cycle(LINES)):
        froc = evaluation.froc.sort_values(["fp_highest", "sensitivity"])
        places = froc["fp_highest"]
        ax.fill_between(
            places, froc["sensitivity_low"], froc["sensitivity_high"], step="post", color=colour, alpha=0.2, linewidth=0
        )
        ax.plot(places, froc["sensitivity"], linestyle=line, color=colour, drawstyle="steps-post")
        summary: Mapping[str, Any] = evaluation.summary
        totals = summary["totals"]
        if totals["n_lesions"] and totals["n_patients"]:
            used = (totals["fp"] / totals["n_patients"], totals["n_found"] / totals["n_lesions"])
            ax.plot(*used, "o", color=colour, markersize=9, markeredgecolor="white", markeredgewidth=1.5)
            highest = max(highest, used[0])
        highest = max(highest, min(places.max(), MOST_FALSE_POSITIVES))
    ax.set_xscale("symlog", base=2, linthresh=FEWEST_FALSE_POSITIVES)
    ticks = _doubling(FEWEST_FALSE_POSITIVES, highest)
    ax.set_xticks(ticks, [_fraction(tick) for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="False positives per patient", ylabel="Share of lesions found", ylim=(-0.02, 1.02))
    ax.set_xlim(-FEWEST_FALSE_POSITIVES / 8, 1.1 * max(highest, ticks[-1]))
    name_models(ax, evaluations)


def _doubling(lowest: float, highest: float) -> list[float]:
    """0 and ``lowest`` times powers of 2 up to the first that reaches ``highest``: all, or every second or third."""
    n = int(np.ceil(np.log2(highest / lowest)))
    each = n // 10 + 1
    return [0.0, *(lowest * 2.0**power for power in range(0, n + each, each))]


def _fraction(value: float) -> str:
    """1/8, 1/4, 1/2, 1, 2."""
    return f"1/{1 / value:g}" if 0 < value < 1 else f"{value:g}"


def draw_sensitivity_by_size(ax: Axes, evaluations: Sequence[Evaluation]) -> None:
    """Share of lesions found with its 95 % interval, by the diameter of the sphere of equal volume; n counts the
    lesions of the first model's reference."""
    summaries: list[Mapping[str, Any]] = [evaluation.summary for evaluation in evaluations]
    for number, (summary, colour) in enumerate(zip(summaries, cycle(MODELS))):
        aside = 0.16 * (number - (len(summaries) - 1) / 2)
        for place, size in enumerate(summary["sensitivity_by_size"]):
            if size["n_lesions"]:
                share = size["sensitivity"]
                reach = [[max(0, share - size["ci_low"])], [max(0, size["ci_high"] - share)]]
                ax.errorbar(place + aside, share, reach, fmt="o", color=colour, markersize=7, capsize=4)
    sizes = summaries[0]["sensitivity_by_size"]
    ax.set_xticks(range(len(sizes)), [f"{_range(size)}\nn = {counted(size['n_lesions'])}" for size in sizes])
    ax.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(-0.02, 1.02), xlabel="Diameter (mm)", ylabel="Share of lesions found")
    ax.grid(axis="x", visible=False)
    name_models(ax, evaluations)


def name_models(ax: Axes, evaluations: Sequence[Evaluation]) -> None:
    """Names above the axes, where they hide nothing; none for a single model."""
    if len(evaluations) > 1:
        keys = []
        for evaluation, colour, line in zip(evaluations, cycle(MODELS), cycle(LINES)):
            keys += ax.plot([], [], linestyle=line, marker="o", color=colour, label=evaluation.name)
        _legend_above(ax, keys)


def _legend_above(ax: Axes, keys: Sequence[Artist]) -> None:
    """Of many models in two columns: the picture keeps its size, and the axes theirs."""
    shape: dict[str, Any] = (
        {"ncols": 2, "fontsize": "small", "columnspacing": 1, "handlelength": 1.6} if len(keys) > 3 else {}
    )
    ax.legend(handles=keys, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0, **shape)


def _aside(values: NDArray[np.float64]) -> NDArray:
    """How far each dot moves sideways so that equal values lie beside each other; the same at every drawing."""
    golden_ratio = (5**0.5 - 1) / 2
    return 0.44 * ((np.argsort(np.argsort(values, kind="stable")) * golden_ratio) % 1 - 0.5)


def _range(size: Mapping[str, Any]) -> str:
    low, high = size["from_mm"], size["to_mm"]
    return f"≥ {low:g}" if high is None else f"{low:g} to {high:g}" if low else f"< {high:g}"


def draw_learning(ax: Axes, learning: pd.DataFrame, names: Sequence[str]) -> None:
    """The moving average of the pseudo Dice over the epochs, for every model, fold and seed."""
    for name, colour, line in zip(names, cycle(MODELS), cycle(LINES)):
        for number, (_, curve) in enumerate(learning[learning["arm"] == name].groupby(["data", "fold", "seed"])):
            label = name if number == 0 else None
            ax.plot(curve["epoch"], curve["pseudo_dice"], linestyle=line, color=colour, linewidth=1.2, label=label)
    ax.set(xlabel="Epoch", ylabel="Pseudo Dice, moving average", ylim=(-0.02, 1.02))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend_above(ax, ax.get_legend_handles_labels()[0])
