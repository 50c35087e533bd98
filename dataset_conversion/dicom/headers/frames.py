"""Looks up the values of a frame: in its functional groups, in those that all frames share, or in the file's own tags.

A classic file is one frame without groups.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

TELLING = {
    "EchoNumbers": (("", "EchoNumbers"),),
    "EchoTime": (("MREchoSequence", "EffectiveEchoTime"), ("", "EchoTime")),
    "InversionTime": (
        ("MRModifierSequence", "InversionTimes"),
        ("MRModifierSequence", "InversionTime"),
        ("", "InversionTime"),
    ),
    "RepetitionTime": (("MRTimingAndRelatedParametersSequence", "RepetitionTime"), ("", "RepetitionTime")),
    "FlipAngle": (("MRTimingAndRelatedParametersSequence", "FlipAngle"), ("", "FlipAngle")),
    "AcquisitionNumber": (("FrameContentSequence", "FrameAcquisitionNumber"), ("", "AcquisitionNumber")),
    "TemporalPosition": (
        ("FrameContentSequence", "TemporalPositionIndex"),
        ("", "TemporalPositionIdentifier"),
    ),
    "StackID": (("FrameContentSequence", "StackID"), ("", "StackID")),
    "DiffusionBValue": (("MRDiffusionSequence", "DiffusionBValue"), ("", "DiffusionBValue")),
    "TriggerTime": (("", "TriggerTime"),),
    "RescaleSlope": (("PixelValueTransformationSequence", "RescaleSlope"), ("", "RescaleSlope")),
    "RescaleIntercept": (("PixelValueTransformationSequence", "RescaleIntercept"), ("", "RescaleIntercept")),
    "ImageType": (("MRImageFrameTypeSequence", "FrameType"), ("", "ImageType")),
}
"""What can tell the stacks of one series apart: where it stands, by sequence and keyword; the first that is there."""

LARGEST_SKEW = 1e-2
"""Of the cosine between rows and columns, and of the length of either."""


@dataclass(frozen=True)
class FunctionalGroups:
    """frame, shared: the items of the two sequences of functional groups; None where there are none."""

    header: Dataset
    frame: Dataset | None = None
    shared: Dataset | None = None

    @staticmethod
    def of(header: Dataset) -> "list[FunctionalGroups]":
        """Of every frame of an enhanced file in order; none of a classic one."""
        shared = next(iter(header.get("SharedFunctionalGroupsSequence") or ()), None)
        return [FunctionalGroups(header, f, shared) for f in header.get("PerFrameFunctionalGroupsSequence") or ()]

    def holder(self, sequence: str, keyword: str) -> Dataset:
        """The data set that has the tag: an item of the frame's or of the shared sequence, else the file itself."""
        for groups in (self.frame, self.shared):
            items = groups.get(sequence) if groups is not None and sequence else None
            if items and keyword in items[0]:
                return items[0]
        return self.header

    def text(self, sequence: str, keyword: str, of_file: str) -> str:
        return text(self.holder(sequence, keyword), keyword) or text(self.header, of_file)

    def numbers(self, sequence: str, keyword: str) -> tuple[float, ...]:
        return numbers(self.holder(sequence, keyword), keyword)

    def tags(self) -> dict[str, str]:
        found = {
            name: next(filter(None, (text(self.holder(*place), place[1]) for place in places)), "")
            for name, places in TELLING.items()
        }
        return {name: value for name, value in found.items() if value}

    def own_numbers(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Of the frame in its stack, and in all dimensions of the file."""
        names = ("InStackPositionNumber", "DimensionIndexValues")
        in_stack, in_file = (self.numbers("FrameContentSequence", name) for name in names)
        return in_stack, in_file

    def time_ms(self, name: str) -> float | None:
        """The first of these times that is there."""
        found = (self.numbers(*place) for place in TELLING[name])
        return next((values[0] for values in found if values), None)


def in_plane(group: FunctionalGroups) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Spacing, position and direction of a slice as ``DicomSlice`` has them; empty where they cannot be had."""
    between_rows_first = group.numbers("PixelMeasuresSequence", "PixelSpacing")
    spacing = between_rows_first[::-1] if len(between_rows_first) == 2 and min(between_rows_first) > 0 else ()
    position = group.numbers("PlanePositionSequence", "ImagePositionPatient")
    direction = _direction(group.numbers("PlaneOrientationSequence", "ImageOrientationPatient"))
    return spacing, position if len(position) == 3 else (), direction


def _direction(cosines: Sequence[float]) -> tuple[float, ...]:
    """Rows, columns and their normal as the columns of a matrix, row by row."""
    if len(cosines) != 6:
        return ()
    row, column = np.reshape(cosines, (2, 3))
    if max(abs(row @ column), abs(row @ row - 1), abs(column @ column - 1)) > LARGEST_SKEW:
        return ()
    return tuple(np.column_stack([row, column, np.cross(row, column)]).ravel().tolist())


def text(header: Dataset, keyword: str) -> str:
    """The value of a tag, several joined by a backslash as in the file; empty where it is not there or not readable."""
    try:
        value = header.get(keyword)
    except Exception:  # of a value that is not of its type, in whatever way
        return ""
    if value is None:
        return ""
    found = value if _is_list(value) else [value]
    joined = "\\".join(str(one).strip(" \0") for one in found)
    return joined.encode("utf-8", "replace").decode("utf-8")


def numbers(header: Dataset, keyword: str) -> tuple[float, ...]:
    """The values of a tag; none where one of them is no finite number."""
    try:
        value = header.get(keyword)
        found = tuple(float(one) for one in (value if _is_list(value) else [value]) if one is not None)
    except Exception:  # as above
        return ()
    return found if all(map(math.isfinite, found)) else ()


def _is_list(value: Any) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, (str, bytes, PersonName))
