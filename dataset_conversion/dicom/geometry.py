"""Checks by the slices' positions that a DICOM series is one complete volume, and computes its grid.

Positions are in mm along the slices' normal: for axial slices that is z, from feet to head.
"""

import numpy as np
import SimpleITK as sitk

from dataset_conversion.dicom.series import DicomSeries, DicomSlice
from dataset_conversion.faults import Fault, listed
from dataset_conversion.files.grids import LARGEST_DISTANCE_MM

LARGEST_DIFFERENCE = 1e-3
"""Of the sizes, pixel spacings (mm) and direction cosines of slices in one plane."""

REMEDY = "Export all slices of this series, and no others, or choose another series in a rules file."


def require_whole(series: DicomSeries) -> None:
    """Raises Fault where the slices are not one volume at even steps: a gap, a mixture of stacks, a single slice.

    Slices lacking at either end of the volume cannot be found by positions.
    """
    first = series.slices[0]
    if first.size[2] > 1:
        raise Fault(f"{series} has several slices in one file", remedy="Export it with one slice per file.")
    _require_one_plane(series)
    if len(series.slices) == 1:
        raise Fault(f"{series} is no volume", remedy=REMEDY)

    positions = np.array([one.position for one in series.slices])
    along = np.array([_along_normal(one) for one in series.slices])
    in_plane = positions - np.outer(along, _normal(first))
    if (shift := np.ptp(in_plane, axis=0).max()) > LARGEST_DISTANCE_MM:
        raise Fault(f"{series} mixes stacks: shifted by up to {shift:.1f} mm in the plane", remedy=REMEDY)
    along.sort()
    steps = np.diff(along)
    twice = along[1:][steps < LARGEST_DISTANCE_MM]
    if len(twice):
        where = listed([f"{position:.1f}" for position in twice])
        raise Fault(f"{series} mixes stacks: two slices each at {where} mm", remedy=REMEDY)
    step = np.quantile(steps, 0.5, method="lower")
    gaps = np.flatnonzero(np.abs(steps - step) > LARGEST_DISTANCE_MM)
    if len(gaps):
        where = listed([f"from {along[k]:.1f} to {along[k + 1]:.1f} mm" for k in gaps])
        raise Fault(f"{series} has gaps: {where}, elsewhere a slice every {step:.1f} mm", remedy=REMEDY)
    # steps that are all a little too long add up
    off = np.abs(along - np.linspace(along[0], along[-1], len(along))).max()
    if off > LARGEST_DISTANCE_MM:
        raise Fault(f"{series} has uneven steps: a slice lies {off:.1f} mm from its place", remedy=REMEDY)


def grid_of(series: DicomSeries) -> sitk.Image:
    """The grid of a whole series, as an image of zeros; its slices follow their normal."""
    ordered = sorted(series.slices, key=_along_normal)
    first, last = ordered[0], ordered[-1]
    step = (_along_normal(last) - _along_normal(first)) / (len(ordered) - 1)
    grid = sitk.Image([*first.size[:2], len(ordered)], sitk.sitkUInt8)
    grid.SetOrigin(first.position)
    grid.SetSpacing([*first.spacing[:2], step])
    grid.SetDirection(first.direction)
    return grid


def _require_one_plane(series: DicomSeries) -> None:
    first = series.slices[0]
    for name, of in (
        ("sizes", lambda one: one.size),
        ("pixel spacings", lambda one: one.spacing[:2]),
        ("orientations", lambda one: one.direction),
    ):
        for one in series.slices:
            if np.abs(np.subtract(of(one), of(first))).max() > LARGEST_DIFFERENCE:
                where = f"at {_along_normal(first):.1f} mm and at {_along_normal(one):.1f} mm"
                raise Fault(f"{series} mixes stacks: two {name}, {where} along their normals", remedy=REMEDY)


def _normal(one: DicomSlice) -> np.ndarray:
    return np.array(one.direction[2::3])


def _along_normal(one: DicomSlice) -> float:
    return float(np.dot(one.position, _normal(one)))
