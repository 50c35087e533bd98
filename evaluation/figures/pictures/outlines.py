"""Outlines an object in a slice at a small distance, so that the line hides none of its voxels."""

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

DISTANCE_MM = 1.0
"""Between the object's border and the line."""

Line = tuple[tuple[float, float], ...]
"""A closed line, (x, y) in mm from the picture's upper left corner; it may leave the picture."""


def outline(voxels: NDArray[np.int64], spacing_mm: NDArray[np.float64]) -> tuple[Line, ...]:
    """The lines around an object's voxels in one slice, (n, 2) indices y, x; ``spacing_mm`` is (y, x).

    Several where the slice cuts the object into parts that lie far apart, or where the object surrounds a hole.
    """
    level = DISTANCE_MM + spacing_mm.max() / 2  # distances are those between the centres of voxels
    border = np.ceil(level / spacing_mm).astype(int) + 1  # lets every line close
    corner = voxels.min(axis=0) - border
    outside = np.ones(voxels.max(axis=0) + 1 + border - corner, bool)
    outside[tuple((voxels - corner).T)] = False
    distance = np.asarray(distance_transform_edt(outside, sampling=spacing_mm))
    lines = contour_generator(z=distance).lines(level)
    return tuple(_in_mm(np.asarray(line)[:, ::-1] + corner, spacing_mm) for line in lines)


def _in_mm(points: NDArray[np.float64], spacing_mm: NDArray[np.float64]) -> Line:
    """points: (n, 2) indices y, x, of which the integers are the centres of voxels."""
    return tuple((float(x), float(y)) for y, x in (points + 0.5) * spacing_mm)
