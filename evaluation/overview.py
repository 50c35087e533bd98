"""One patient on one picture: bare slices, and below them what was found, missed and falsely predicted."""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evaluation.colours import FALSE, FOUND, MISSED


def overlay(ax: Axes, background: NDArray, reference: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> None:
    """One slice: voxels found, missed and falsely predicted over the background; all arrays are (Y, X)."""
    ax.imshow(background, cmap="gray", interpolation="nearest")
    for mask, colour in (
        (reference & predicted, FOUND),
        (reference & ~predicted, MISSED),
        (predicted & ~reference, FALSE),
    ):
        colours = np.zeros((*mask.shape, 4))
        colours[mask] = (*matplotlib.colors.to_rgb(colour), 0.75)
        ax.imshow(colours, interpolation="nearest")
    ax.set_axis_off()


def patient_overview(
    title: str,
    background: NDArray,
    reference: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
    *,
    n_slices: int = 4,
) -> Figure:
    """Slices of one patient, (Z, Y, X), above them the bare image: those with most lesion, spread over the head."""
    amount = (reference | predicted).sum(axis=(1, 2))
    chosen = _spread(amount, n_slices)
    brightest = float(np.percentile(background[background > 0], 99.8)) if (background > 0).any() else 1.0
    shown = np.clip(background, 0, brightest)
    figure = Figure(figsize=(2.6 * len(chosen), 5.8), layout="constrained")
    axes = figure.subplots(2, len(chosen), squeeze=False)
    for column, z in enumerate(chosen):
        axes[0, column].imshow(shown[z], cmap="gray", interpolation="nearest")
        axes[0, column].set_axis_off()
        axes[0, column].set_title(f"slice {z}", fontsize=9)
        overlay(axes[1, column], shown[z], reference[z], predicted[z])
    figure.suptitle(title, fontsize=11)
    keys = [
        matplotlib.patches.Patch(color=c, label=n) for c, n in ((FOUND, "found"), (MISSED, "missed"), (FALSE, "false"))
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def _spread(amount: NDArray[np.int_], n: int) -> list[int]:
    """Up to n slices with the most to see, no two closer than a twentieth of the volume; in order."""
    apart = max(1, len(amount) // 20)
    chosen: list[int] = []
    for z in np.argsort(-amount, kind="stable").tolist():
        if len(chosen) < n and (amount[z] or not chosen) and all(abs(z - other) >= apart for other in chosen):
            chosen.append(z)
    return sorted(chosen)
