"""Checks by the slices' headers that a DICOM series is one complete volume, and computes its grid.

Positions are in mm along the slices' normal: for axial slices that is z, from feet to head.
"""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from dataset_conversion.dicom.headers.slices import DicomSeries, DicomSlice
from dataset_conversion.faults import Fault, listed
from dataset_conversion.files.images.grids import LARGEST_DISTANCE_MM

LARGEST_DIFFERENCE = 1e-3
"""Of the sizes, pixel spacings (mm) and direction cosines of slices in one plane."""

NEVER_IN_ONE_STACK = ("EchoNumbers", "StackID", "TemporalPosition")
"""Of other tags several values can be in one stack, such as those of an interleaved acquisition."""

REMEDY = "Export all slices of this series, and no others, or choose another series in a rules file."


def require_whole(series: DicomSeries) -> None:
    """Raises Fault where the slices are not one volume at even steps: a gap, a mixture of stacks, a single slice.

    Slices lacking at either end of the volume are found only where the header tells their number.
    """
    _require_usable(series)
    first = series.slices[0]
    _require_one_plane(series)
    if len(series.slices) == 1:
        raise Fault(f"{series} is no volume", remedy=REMEDY)

    positions = np.array([one.position for one in series.slices])
    along = np.array([position_mm(one) for one in series.slices])
    in_plane = positions - np.outer(along, _normal(first))
    if (shift := np.ptp(in_plane, axis=0).max()) > LARGEST_DISTANCE_MM:
        raise Fault(f"{series} mixes stacks: shifted by up to {shift:.1f} mm in the plane", remedy=REMEDY)
    along.sort()
    steps = np.diff(along)
    twice = along[1:][steps < LARGEST_DISTANCE_MM]
    if len(twice):
        where = listed([f"{position:.1f}" for position in twice])
        raise Fault(f"{series} mixes stacks: two slices each at {where} mm{_differing(series)}", remedy=REMEDY)
    if several := [name for name in NEVER_IN_ONE_STACK if len(values_of(series, name)) > 1]:
        raise Fault(f"{series} mixes stacks{_differing(series, several)}", remedy=REMEDY)
    step = np.quantile(steps, 0.5, method="lower")
    gaps = np.flatnonzero(np.abs(steps - step) > LARGEST_DISTANCE_MM)
    if len(gaps):
        where = listed([f"from {along[k]:.1f} to {along[k + 1]:.1f} mm" for k in gaps])
        raise Fault(f"{series} has gaps: {where}, elsewhere a slice every {step:.1f} mm", remedy=REMEDY)
    # steps that are all a little too long add up
    off = np.abs(along - np.linspace(along[0], along[-1], len(along))).max()
    if off > LARGEST_DISTANCE_MM:
        raise Fault(f"{series} has uneven steps: a slice lies {off:.1f} mm from its place", remedy=REMEDY)
    if series.declared:
        raise Fault(f"{series} has gaps: there are {series.declared} (ImagesInAcquisition)", remedy=REMEDY)


def grid_of(series: DicomSeries) -> sitk.Image:
    """The grid of a whole series, as an image of zeros; its slices follow their normal."""
    ordered = sorted(series.slices, key=position_mm)
    first = ordered[0]
    grid = sitk.Image([*first.size[:2], len(ordered)], sitk.sitkUInt8)
    grid.SetOrigin(first.position)
    grid.SetSpacing([*first.spacing[:2], step_mm(series)])
    grid.SetDirection(first.direction)
    return grid


def position_mm(one: DicomSlice) -> float:
    """Along the normal of the slice."""
    return float(np.dot(one.position, _normal(one)))


def step_mm(series: DicomSeries) -> float:
    """The mean distance between slices; 0 of one slice, or where positions are not known."""
    if not all(one.position and one.direction for one in series.slices):
        return 0.0
    along = [position_mm(one) for one in series.slices]
    return (max(along) - min(along)) / max(len(along) - 1, 1)


def steps_mm(series: DicomSeries) -> tuple[float, float]:
    """The smallest and the largest distance between neighbouring slices of a whole series."""
    steps = np.diff(sorted(map(position_mm, series.slices)))
    return float(steps.min()), float(steps.max())


def values_of(series: DicomSeries, name: str) -> list[str]:
    """All values that a tag has in the slices that have it."""
    return sorted({one.tags[name] for one in series.slices if name in one.tags})


def _require_usable(series: DicomSeries) -> None:
    """Raises Fault where a file is none that can be used, or its place is not known."""
    for problem in dict.fromkeys(one.problem for one in series.slices if one.problem):
        n = sum(one.problem == problem for one in series.slices)
        raise Fault(f"{series}: {n} of {len(series.slices)}: {problem}", remedy=REMEDY)
    for name, of in (
        ("no position (ImagePositionPatient)", lambda one: one.position),
        ("no orientation (ImageOrientationPatient), or one that is none", lambda one: one.direction),
        ("no pixel spacing (PixelSpacing)", lambda one: one.spacing),
    ):
        if n := sum(not of(one) for one in series.slices):
            raise Fault(f"{series}: {n} of {len(series.slices)} have {name}", remedy=REMEDY)


def _require_one_plane(series: DicomSeries) -> None:
    first = series.slices[0]
    for name, of in (
        ("sizes", lambda one: one.size),
        ("pixel spacings", lambda one: one.spacing[:2]),
        ("orientations", lambda one: one.direction),
    ):
        for one in series.slices:
            if np.abs(np.subtract(of(one), of(first))).max() > LARGEST_DIFFERENCE:
                where = f"at {position_mm(first):.1f} mm and at {position_mm(one):.1f} mm"
                raise Fault(f"{series} mixes stacks: two {name}, {where} along their normals", remedy=REMEDY)


def _differing(series: DicomSeries, names: Sequence[str] = ()) -> str:
    """The tags that have several values, with those that are numbers: others are texts, which may name somebody."""
    names = names or sorted({name for one in series.slices for name in one.tags})
    found = [(name, values) for name in names if len(values := values_of(series, name)) > 1]
    said = [f"{name} ({listed(values)})" if all(map(_is_number, values)) else name for name, values in found]
    return f"; of several {', '.join(said)}" if said else ""


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _normal(one: DicomSlice) -> np.ndarray:
    return np.array(one.direction[2::3])
