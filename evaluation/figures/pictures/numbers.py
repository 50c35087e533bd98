"""Places the numbers of objects beside them in a slice, in mm from the picture's upper left corner."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.figures.pictures.arrows import directions

GAP_MM, APART_MM = 5.5, 7.0
"""From the object's border to the middle of its number; between the middles of two numbers."""


@dataclass(frozen=True)
class Number:
    """``place``: the middle of the number, (x, y)."""

    value: int
    place: tuple[float, float]


def numbers_at(
    objects: Sequence[tuple[int, NDArray[np.int64]]], *, shape: Sequence[int], spacing_mm: Sequence[float]
) -> tuple[Number, ...]:
    """The number of each object that has voxels in the slice, (n, 2) indices y, x; 0 is not shown.

    ``shape`` and ``spacing_mm`` of the picture are (y, x). A number lies on the side of the object towards the middle
    of the picture, since arrows come from the other one, or turned as far as it must be apart from those before it.
    """
    middle = np.multiply(shape, spacing_mm) / 2
    places: list[NDArray[np.float64]] = []
    values = [value for value, voxels in objects if value and len(voxels)]
    for voxels in (voxels for value, voxels in objects if value and len(voxels)):
        points = (voxels + 0.5) * spacing_mm
        centre = points.mean(axis=0)
        possible = []
        for direction in directions(middle - centre):
            reach = float(((points - centre) @ direction).max())
            possible.append(centre + (reach + GAP_MM) * direction)
        free = [place for place in possible if all(np.hypot(*(place - other)) >= APART_MM for other in places)]
        places.append((free or possible)[0])
    return tuple(
        Number(value, place=(float(place[1]), float(place[0]))) for value, place in zip(values, places, strict=True)
    )
