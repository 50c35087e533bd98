"""Counts the values of a label map and reports those that are not allowed."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.plurals import n_of

LISTED_VALUES = 5
"""A map of probabilities has thousands of values; a message names the most frequent ones."""

ROUNDING = 1e-4
"""Values this near to whole numbers are meant to be them: a header holds a slope, such as 1/255, in single precision,
and 255 times it is not exactly 1."""


def label_array(label: sitk.Image) -> NDArray[np.number]:
    """The values, (Z, Y, X): a view where they are stored as whole numbers, and where a slope only rounded them, the
    whole numbers that they stand for. The image must outlive the view."""
    stored = sitk.GetArrayViewFromImage(label)
    if stored.dtype.kind != "f":
        return stored
    whole = np.rint(stored)
    # false where a value is not a number
    return whole if np.abs(stored - whole).max(initial=0) <= ROUNDING else stored


def voxels_of_value(label: sitk.Image) -> dict[float, int]:
    """How many voxels have each value but 0; empty for an empty label."""
    stored = label_array(label)
    values, counts = np.unique(stored[stored != 0], return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def value_faults(voxels: Mapping[float, int], *, known: Collection[int] | None, file: Path) -> list[Fault]:
    """At most two: values that are no whole numbers, and whole ones beside 0 and ``known`` (None knows them all)."""
    fractions = {value: n for value, n in voxels.items() if value % 1}
    unknown = {value: n for value, n in voxels.items() if not value % 1 and known is not None and value not in known}
    faults = []
    if fractions:
        remedy = "Give a label map of whole numbers, not an interpolated one or a map of probabilities."
        faults.append(Fault(f"values that are not whole numbers: {_listed(fractions)}", file=file, remedy=remedy))
    if unknown:
        labels = ", ".join(map(str, sorted({0, *(known or ())})))
        replaced = ",".join(f"{value:.0f}=1" for value in sorted(unknown)[:LISTED_VALUES])
        remedy = f"The labels are {labels}; convert and evaluate can replace values: --map {replaced}."
        faults.append(Fault(f"unknown label values {_listed(unknown)}", file=file, remedy=remedy))
    return faults


def _listed(voxels: Mapping[float, int]) -> str:
    frequent = sorted(voxels.items(), key=lambda pair: -pair[1])[:LISTED_VALUES]
    more = f" and {len(voxels) - LISTED_VALUES} more" if len(voxels) > LISTED_VALUES else ""
    return ", ".join(f"{value:g} ({n_of(n, 'voxel')})" for value, n in frequent) + more
