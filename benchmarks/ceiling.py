"""Measures the best Dice that coarse logits, enlarged bilinearly, can reach on real lesions.

    python -m benchmarks.ceiling LABELS [--figure docs/ceiling.png]

For the middle slice of every lesion in a folder of label maps, an optimiser looks for the best logits on a grid of
stride 8, 4 and 2. What it finds is close to the best that a network which ends at this stride could do. Prints Dice by
diameter in voxels.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch.nn import functional as F

from dataset_conversion.files.staging import staged
from evaluation.metrics.lesion.lesions import find_objects

STRIDES = (8, 4, 2)
WINDOW = 48
BINS = (0, 3, 6, 9, np.inf)
LABELS = ("below 3", "3 to 6", "6 to 9", "9 and more")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    lesions = list(lesions_of(arguments.labels))
    windows = torch.tensor(np.stack([window for _, window in lesions]))
    table = pd.DataFrame({"diameter": [diameter for diameter, _ in lesions]})
    for stride in STRIDES:
        table[f"stride {stride}"] = best_dice(windows, stride)
    group = pd.cut(table["diameter"], BINS, labels=LABELS, right=False)
    columns = [f"stride {stride}" for stride in STRIDES]
    means = table.groupby(group, observed=True)[columns].mean().assign(lesions=group.value_counts())
    print(means.round(3).to_string())
    print(table[columns].mean().round(3).to_string())
    if arguments.figure:
        with staged(arguments.figure.parent) as stage:
            drawn(means).savefig(stage / arguments.figure.name, dpi=150)


def lesions_of(folder: Path) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """Of every lesion its diameter in voxels, that of a sphere of equal volume, and the window around its middle slice,
    cut so that the grid falls on it as it does on the image."""
    for file in sorted(folder.glob("*.nii.gz")):
        mask = sitk.GetArrayFromImage(sitk.ReadImage(str(file))) > 0
        margin = WINDOW
        objects = find_objects(mask)
        for number, (z, y, x) in enumerate(objects.central_voxels(), start=1):
            alone = np.zeros(mask.size, np.float32)
            alone[objects.voxels[objects.number == number]] = 1
            middle = np.pad(alone.reshape(mask.shape)[z], margin)
            top, left = (8 * ((n + margin - WINDOW // 2) // 8) for n in (y, x))
            diameter = (6 * objects.n_voxels[number - 1] / np.pi) ** (1 / 3)
            yield float(diameter), middle[top : top + WINDOW, left : left + WINDOW]


def best_dice(windows: torch.Tensor, stride: int, *, steps: int = 400) -> NDArray[np.float64]:
    """(lesions, H, W) -> the Dice of the best logits found on a grid of this stride, of each."""
    size = windows.shape[-1] // stride
    logits = torch.full((len(windows), 1, size, size), -4.0, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.3)
    best = np.zeros(len(windows))
    for _ in range(steps):
        enlarged = F.interpolate(logits, size=windows.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
        best = np.maximum(best, dice((enlarged > 0).float(), windows).detach().numpy())
        # a Dice loss of the probabilities alone stalls where they are 0 or 1
        loss = (1 - dice(enlarged.sigmoid(), windows)).sum()
        loss = loss + F.binary_cross_entropy_with_logits(enlarged, windows, reduction="none").sum() / WINDOW
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return best


def dice(predicted: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """(lesions, H, W) -> (lesions,)."""
    both = (predicted * reference).sum(dim=(1, 2))
    return 2 * both / (predicted + reference).sum(dim=(1, 2))


def drawn(means: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(means))
    for number, (stride, colour) in enumerate(zip(STRIDES, ("#b5452c", "#d79a3a", "#2f6f8f"), strict=True)):
        values = means[f"stride {stride}"]
        bars = axes.bar(places + (number - 1) * 0.27, values, 0.25, color=colour, label=f"output at stride {stride}")
        axes.bar_label(bars, [f"{value:.2f}" for value in values], fontsize=8)
    labels = [f"{name}\n({n} lesions)" for name, n in zip(means.index, means["lesions"], strict=True)]
    axes.set(ylim=(0, 1.08), ylabel="Dice of the best outline found", xlabel="diameter in voxels")
    axes.set_xticks(places, labels)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    main()
