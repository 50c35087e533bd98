"""Refuses multi-frame files of which dcm2niix 1.0.20260724 makes other voxels than they hold.

Which they are was found by writing such files for every vendor and comparing voxel by voxel.
"""

from itertools import pairwise

from dataset_conversion.dicom.headers.geometry import position_mm, values_of
from dataset_conversion.dicom.headers.slices import DicomSeries
from dataset_conversion.faults import Fault

SLOPES_BY_FRAME = ("Philips",)
"""Vendors of whose frames each gets its own slope; those of the others all get the first one's."""

ORDERED_BY_NUMBER = ("Philips", "Canon")
"""Vendors whose frames are ordered by their numbers; those of the others are ordered by position."""

REMEDY = "Export it with one slice per file."


def require_readable_frames(series: DicomSeries) -> None:
    """Raises Fault where the frames would be scaled wrongly or come in another order than they lie."""
    if not any(one.frame for one in series.slices):
        return
    for name in ("RescaleSlope", "RescaleIntercept"):
        if series.vendor not in SLOPES_BY_FRAME and (n := len(values_of(series, name))) > 1:
            problem = f"{series} is stored in frames of {n} values of {name}, which dcm2niix does not apply"
            raise Fault(problem, remedy=REMEDY)
    if series.vendor in ORDERED_BY_NUMBER and not _is_numbered_by_position(series):
        problem = f"{series} has frames whose numbers are not in the order of their positions"
        raise Fault(f"{problem} (InStackPositionNumber, DimensionIndexValues)", remedy=REMEDY)


def _is_numbered_by_position(series: DicomSeries) -> bool:
    """Whether all numbers of the frames rise, or all fall, from slice to slice."""
    along = [one.numbers for one in sorted(series.slices, key=position_mm)]
    rises = {b > a for before, after in pairwise(along) for a, b in zip(before, after, strict=False) if a and b}
    return len(rises) < 2
