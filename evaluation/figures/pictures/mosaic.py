"""Selects the slices that show a patient's lesions and false positives, and draws each as layers of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.files.pictures import grey_levels, grey_window
from evaluation.figures.pictures.arrows import Arrow, Status, arrows_at
from evaluation.figures.pictures.layers import agreement_layer, background_layer, probability_layer
from evaluation.figures.pictures.numbers import Number, numbers_at
from evaluation.figures.pictures.outlines import Line, outline
from evaluation.figures.pictures.slices import Extent, choose_slices, filled_up
from evaluation.metrics.lesion.lesions import Objects, find_objects

MOST_SLICES, WITHOUT_OBJECTS = 12, 5
MARGIN_MM = 4.0
APART_MM = 5.0
"""Between two slices through one object of which there is no reference."""
CUT_PERCENT = 0.2
"""Of the voxels that are not 0, shown white; of negative ones, shown black."""


@dataclass(frozen=True)
class Mark:
    """An object to show, by one voxel (z, y, x) inside it: of the reference if found or missed, else predicted.

    number: stands beside it in the picture, but for 0.
    """

    status: Status
    voxel: tuple[int, int, int]
    number: int = 0


@dataclass(frozen=True)
class MosaicSlice:
    """One axial slice in radiological view. ``z``: its index; ``position_mm``: its height above the lowest slice.

    Three WebP images to be laid over each other, all of ``width_mm`` x ``height_mm``: the background; the probability,
    transparent below 0.05 (None without probabilities); the agreement, transparent but for true positive, false
    negative and false positive voxels (None without a reference). ``outlines``: the lines around each object that
    crosses this slice. ``shown``: how many objects of each status do. ``numbers``: those of objects that have one.
    ``sequence``: the name of the background, if it is known.
    """

    z: int
    position_mm: float
    width_mm: float
    height_mm: float
    background: bytes
    probability: bytes | None
    agreement: bytes | None
    arrows: tuple[Arrow, ...]
    outlines: tuple[tuple[Status, tuple[Line, ...]], ...]
    shown: dict[Status, int]
    sequence: str = ""
    numbers: tuple[Number, ...] = ()


@dataclass(frozen=True)
class _Object:
    """``voxels``: (n, 3) indices z, y, x."""

    status: Status
    voxels: NDArray[np.int64]
    number: int

    @property
    def extent(self) -> Extent:
        z = self.voxels[:, 0]
        return Extent(int(z.min()), np.bincount(z - z.min()), urgent=self.status != "found")

    def in_slice(self, z: int) -> NDArray[np.int64]:
        """(n, 2) indices y, x."""
        return self.voxels[self.voxels[:, 0] == z, 1:]


def mosaic(
    background: NDArray,
    probability: NDArray | None,
    reference: NDArray[np.bool_] | None,
    predicted: NDArray[np.bool_],
    marks: Sequence[Mark],
    spacing_mm: Sequence[float],
) -> list[MosaicSlice]:
    """At most 12 axial slices that show as many of the marked objects as can be, missed and false ones first.

    Arrays are (Z, Y, X) in LPS orientation: row 0 is anterior, column 0 the patient's right, the slices run from below
    upwards. ``spacing_mm`` is (z, y, x). A patient without objects is shown in five slices spread over the head.
    Without a reference (None), what is left of the 12 goes through the objects once more, 5 mm apart.
    Raises ValueError where shapes differ and for a mark that lies in no object.
    """
    volumes = [v for v in (background, probability, reference, predicted) if v is not None]
    if len({v.shape for v in volumes}) > 1:
        raise ValueError(f"All volumes must have one shape, not {', '.join(str(v.shape) for v in volumes)}.")
    grey = grey_levels(background, grey_window(background, cut_percent=CUT_PERCENT))
    head = _head(grey, predicted if reference is None else reference | predicted, spacing_mm)
    lowest, *corner = (side.start for side in head)
    grey, predicted = grey[head], predicted[head]
    compared = np.zeros_like(predicted) if reference is None else reference[head]
    objects = _marked(marks, find_objects(compared), find_objects(predicted), corner=(lowest, *corner))
    height, width = grey.shape[1:]
    chosen = choose_slices([o.extent for o in objects], len(grey), at_most=MOST_SLICES)
    if reference is None:
        apart = max(1, round(APART_MM / spacing_mm[0]))
        chosen = filled_up(chosen, predicted.sum(axis=(1, 2)), at_most=MOST_SLICES, apart=apart)
    slices = []
    for z in chosen or _spread(len(grey)):
        sections = [(o.status, o.in_slice(z)) for o in objects]
        numbered = [(o.number, voxels) for o, (_, voxels) in zip(objects, sections, strict=True)]
        slices.append(
            MosaicSlice(
                z=lowest + z,
                position_mm=(lowest + z) * spacing_mm[0],
                width_mm=width * spacing_mm[2],
                height_mm=height * spacing_mm[1],
                background=background_layer(grey[z]),
                probability=None if probability is None else probability_layer(probability[head][z]),
                agreement=None if reference is None else agreement_layer(compared[z], predicted[z]),
                outlines=tuple((s, outline(v, np.array(spacing_mm[1:]))) for s, v in sections if len(v)),
                arrows=arrows_at(sections, shape=grey.shape[1:], spacing_mm=spacing_mm[1:]),
                shown={kind: sum(status == kind and len(v) > 0 for status, v in sections) for kind in get_args(Status)},
                numbers=numbers_at(numbered, shape=grey.shape[1:], spacing_mm=spacing_mm[1:]),
            )
        )
    return slices


def _marked(marks: Sequence[Mark], reference: Objects, predicted: Objects, *, corner: Sequence[int]) -> list[_Object]:
    """The objects behind the marks; ``corner`` is the first voxel of the box in which the objects were sought."""
    objects = []
    for mark in marks:
        in_prediction = mark.status in ("false", "predicted")
        name, side = ("prediction", predicted) if in_prediction else ("reference", reference)
        here = np.flatnonzero((side.positions == np.subtract(mark.voxel, corner)).all(axis=1))
        if not len(here):
            raise ValueError(f"The voxel {mark.voxel}, marked as {mark.status}, is not in the {name}.")
        objects.append(_Object(mark.status, side.positions[side.number == side.number[here[0]]], mark.number))
    return objects


def _head(
    grey: NDArray[np.uint8], objects: NDArray[np.bool_], spacing_mm: Sequence[float]
) -> tuple[slice, slice, slice]:
    """The box around everything brighter than a twentieth of white and around all objects, with a margin."""
    seen = (grey > 255 / 20) | objects
    if not seen.any():
        return (slice(0, seen.shape[0]), slice(0, seen.shape[1]), slice(0, seen.shape[2]))
    box = []
    for axis, mm in enumerate(spacing_mm):
        inside = np.flatnonzero(seen.any(axis=tuple({0, 1, 2} - {axis})))
        margin = round(MARGIN_MM / mm)
        box.append(slice(max(0, int(inside[0]) - margin), min(seen.shape[axis], int(inside[-1]) + 1 + margin)))
    return box[0], box[1], box[2]


def _spread(n_slices: int) -> list[int]:
    """Five slices, or all if there are fewer, at even distances from a sixth of the height to five sixths."""
    heights = np.linspace(n_slices / 6, n_slices * 5 / 6, min(WITHOUT_OBJECTS, n_slices))
    return sorted({int(z) for z in heights})
