"""Places arrows that point at small objects in a slice, in mm from the picture's upper left corner."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

BELOW_MM = 12.0
"""Arrows point at cross-sections smaller than a disc of this diameter."""
LENGTH_MM, GAP_MM, APART_MM = 11.0, 2.0, 8.0
"""The gap leaves room for the outline of the object."""
TURNS_DEG = (0, 45, -45, 90, -90, 135, -135, 180)

Status = Literal["found", "missed", "false", "predicted"]
"""What became of an object: a lesion found or missed, a predicted object that is a false alarm, or one of which nobody
knows, for want of a reference."""


@dataclass(frozen=True)
class Arrow:
    """``tail`` and ``tip`` are (x, y)."""

    status: Status
    tail: tuple[float, float]
    tip: tuple[float, float]


def arrows_at(
    objects: Sequence[tuple[Status, NDArray[np.int64]]], *, shape: Sequence[int], spacing_mm: Sequence[float]
) -> tuple[Arrow, ...]:
    """An arrow at each of the objects' voxels in one slice, (n, 2) indices y, x, unless there are none or many.

    ``shape`` and ``spacing_mm`` of the picture are (y, x). An arrow comes from outside the head, so that it hides
    little, or turned as far as it must be to begin inside the picture and apart from the arrows before it.
    """
    size_mm = np.multiply(shape, spacing_mm)
    arrows: list[Arrow] = []
    for status, voxels in objects:
        diameter_mm = 2 * np.sqrt(len(voxels) * np.prod(spacing_mm) / np.pi)
        if not 0 < diameter_mm < BELOW_MM:
            continue
        place = (voxels.mean(axis=0) + 0.5) * spacing_mm
        possible = []
        for direction in directions(place - size_mm / 2):
            tip = place + (diameter_mm / 2 + GAP_MM) * direction
            tail = tip + LENGTH_MM * direction
            if (tail >= 0).all() and (tail <= size_mm).all():
                possible.append(
                    Arrow(status, tail=(float(tail[1]), float(tail[0])), tip=(float(tip[1]), float(tip[0])))
                )
        free = [arrow for arrow in possible if all(_distance(arrow, other) >= APART_MM for other in arrows)]
        arrows += (free or possible)[:1]
    return tuple(arrows)


def directions(first: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Unit vectors (y, x), from that of ``first`` to its opposite."""
    angle = np.arctan2(first[0], first[1])
    return [np.array([np.sin(angle + turn), np.cos(angle + turn)]) for turn in np.deg2rad(TURNS_DEG)]


def _distance(one: Arrow, other: Arrow) -> float:
    """From tail to tail."""
    return float(np.hypot(*np.subtract(one.tail, other.tail)))
