"""Describes the parts of a label map that DICOM results hold: name, values, colour and coded kind; and their maker."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CATEGORY = ("49755003", "SCT", "Morphologically Abnormal Structure")
METASTASIS = ("14799000", "SCT", "Neoplasm, Secondary")
KINDS = (
    (("edema", "oedema", "snfh"), ("79654002", "SCT", "Edema")),
    (("necro", "netc"), ("6574001", "SCT", "Necrosis")),
    (("glioma", "tumor", "tumour"), ("108369006", "SCT", "Neoplasm")),
)
"""What a part of this name is, by SNOMED CT in the words of DICOM's list of property types (CID 7151); all else is a
metastasis."""

# Okabe and Ito's, told apart by the colour-blind; yellow and black, hard to see on an image, left out
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (213, 94, 0), (204, 121, 167), (0, 114, 178))

LONGEST_NAME = 64
"""Of a value of type LO."""


@dataclass(frozen=True)
class Segment:
    """values: of its voxels in the array that goes with it; those of several segments may overlap."""

    name: str
    values: tuple[int, ...]

    @property
    def label(self) -> str:
        """Its name, as DICOM allows it."""
        allowed = (letter if letter.isprintable() and letter != "\\" else "_" for letter in self.name)
        return "".join(allowed)[:LONGEST_NAME].strip()

    @property
    def kind(self) -> tuple[str, str, str]:
        """Code, coding scheme and meaning."""
        name = self.name.lower()
        return next((kind for words, kind in KINDS if any(word in name for word in words)), METASTASIS)


@dataclass(frozen=True)
class Maker:
    """The program and the model that found the segments. fingerprint: of the model's weights. details: how it was run,
    without paths."""

    version: str
    model: str
    fingerprint: str
    details: str
    name: str = "nnunet_seqdropout"


def colour(i: int) -> tuple[int, int, int]:
    """Red, green and blue of the i-th segment, 0 to 255."""
    return COLOURS[i % len(COLOURS)]


def occupied(voxels: NDArray[np.integer], segments: Sequence[Segment]) -> list[Segment]:
    """Those that have a voxel."""
    there = {*np.unique(voxels).tolist()}
    return [segment for segment in segments if there & {*segment.values}]


def cropped(
    voxels: NDArray[np.integer], segments: Sequence[Segment]
) -> list[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """The mask of each segment in the smallest box around it, and where the box begins. None of them is empty."""
    boxes = ndimage.find_objects(voxels)
    found = []
    for segment in segments:
        own = [boxes[value - 1] for value in segment.values if value <= len(boxes) and boxes[value - 1]]
        ends = np.array([[(one.start, one.stop) for one in box] for box in own])  # (values, axes, 2)
        first, stop = ends[..., 0].min(axis=0), ends[..., 1].max(axis=0)
        box = tuple(slice(a, b) for a, b in zip(first, stop, strict=True))
        found.append((first, np.isin(voxels[box], segment.values)))
    return found
