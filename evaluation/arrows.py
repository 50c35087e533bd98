"""Arrows at what the eye would miss: where they start and end, in mm from a picture's upper left corner."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

BELOW_MM = 12.0
"""Arrows point at cross-sections smaller than a disc of this diameter."""
LENGTH_MM, GAP_MM = 11.0, 1.5

Status = Literal["found", "missed", "false"]


@dataclass(frozen=True)
class Arrow:
    """``tail`` and ``tip`` are (x, y)."""

    status: Status
    tail: tuple[float, float]
    tip: tuple[float, float]


def arrow_at(
    cross_section: NDArray[np.int64], status: Status, *, shape: Sequence[int], spacing_mm: Sequence[float]
) -> Arrow | None:
    """An arrow at an object's voxels in one slice, (n, 2) indices y, x; None where there are none or many.

    ``shape`` and ``spacing_mm`` of the picture are (y, x). It comes from outside the head, pointing at the picture's
    centre, so that it hides little; it comes from inside where it would begin outside the picture.
    """
    size_mm = np.multiply(shape, spacing_mm)
    diameter_mm = 2 * np.sqrt(len(cross_section) * np.prod(spacing_mm) / np.pi)
    if not len(cross_section) or diameter_mm >= BELOW_MM:
        return None
    place = (cross_section.mean(axis=0) + 0.5) * spacing_mm
    outwards = place - size_mm / 2
    distance = float(np.hypot(*outwards))
    direction = outwards / distance if distance > 1 else np.array([0.0, 1.0])
    reach = diameter_mm / 2 + GAP_MM
    tail = place + (reach + LENGTH_MM) * direction
    if (tail < 0).any() or (tail > size_mm).any():
        direction = -direction
        tail = place + (reach + LENGTH_MM) * direction
    tip = place + reach * direction
    return Arrow(status, tail=(float(tail[1]), float(tail[0])), tip=(float(tip[1]), float(tip[0])))
