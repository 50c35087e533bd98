"""Registers a series rigidly to the patient's reference series; an unreliable result raises a Fault."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.grids import on_same_grid
from dataset_conversion.plurals import n_of
from dataset_conversion.registration.search import LEVELS_MM, blurred, coarsened, factors, in_one_thread, search, starts
from dataset_conversion.registration.similarity import clipped, gain, similarity

SIMILARITY_LEVEL_MM = 2.0
LARGEST_SHIFT_MM, LARGEST_ROTATION_DEG = 50.0, 30.0
REST_STEP, TRUST_STEP = 1.0, 4.0
SMALLEST_GAIN = 0.01
"""On real series the gain over steps of 4 mm was 0.017 to 0.17 where they were aligned, else less than 0.005."""
LARGEST_LOSS = 0.005
"""Loss of similarity that the search may cause on aligned images: it maximises another estimate, at other points."""

LARGEST_MIRROR_GAIN = 0.02
"""On 24 real and 21 synthetic pairs the mirror image was less similar, by 0.037 and more."""


@dataclass(frozen=True)
class Registration:
    """A rigid transform between two series, and how far it moves the series from the scanner's geometry.

    transform: rigid, from a point of the reference to the point of the series with the same tissue (LPS, mm).
    similarity: normalised mutual information, 1 to 2, by the scanner's geometry and by the transform.
    translation_mm: how far the transform moves the centre of the reference's volume. rotation_deg: about its axis.
    skipped: the transform is the identity, and the series need not be resampled.
    """

    transform: sitk.Euler3DTransform
    similarity_before: float
    similarity_after: float
    translation_mm: float
    rotation_deg: float
    skipped: bool = False

    @property
    def matrix(self) -> list[list[float]]:
        """The transform as four rows, for columns (x, y, z, 1)."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(self.transform.GetMatrix(), (3, 3))
        matrix[:3, 3] = self.transform.TransformPoint((0.0, 0.0, 0.0))
        return matrix.tolist()

    def as_json(self) -> dict[str, Any]:
        """For the manifest of a data set and the record of a prediction."""
        return {
            "transform": self.matrix,
            "similarity_before": round(self.similarity_before, 4),
            "similarity_after": round(self.similarity_after, 4),
            "translation_mm": round(self.translation_mm, 2),
            "rotation_deg": round(self.rotation_deg, 2),
        }


class Diverged(Fault):
    """A registration that must not be used. ``attempt`` is for the picture that shows why, and for nothing else."""

    def __init__(self, problem: str, *, attempt: Registration) -> None:
        self.attempt = attempt
        super().__init__(problem, remedy="Look at the picture; align this series by hand or leave it out.")


def _require_thick(image: sitk.Image) -> None:
    """Raises Fault where an axis is shorter than a voxel of the coarsest level: what is searched there is a volume."""
    for n, factor, spacing in zip(image.GetSize(), factors(image, LEVELS_MM[0]), image.GetSpacing(), strict=True):
        if n < factor:
            problem = f"too thin to be registered: {n_of(n, 'voxel')} of {spacing:.3g} mm along one axis"
            remedy = "If the series lie on each other, convert them with --register never; else leave this patient out."
            raise Fault(problem, remedy=remedy)


def _motion(start: sitk.Euler3DTransform, end: sitk.Euler3DTransform, centre: list[float]) -> tuple[float, float]:
    """How far a point comes to lie from where it was (mm), and the angle between the two (degrees)."""
    shift = np.subtract(end.TransformPoint(centre), start.TransformPoint(centre))
    turn = np.reshape(end.GetMatrix(), (3, 3)) @ np.reshape(start.GetMatrix(), (3, 3)).T
    # the trace of a rotation is 1 + 2 cos(angle)
    return float(np.linalg.norm(shift)), float(np.rad2deg(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))


def _require_own_sides(reference: sitk.Image, moving: sitk.Image, found: Registration) -> None:
    """Raises Diverged where the series' mirror image, registered coarsely, is clearly more similar than the series."""
    # row 0 of the direction is each axis's share of left-right
    left_right = int(np.abs(np.reshape(moving.GetDirection(), (3, 3))[0]).argmax())
    mirrored = sitk.Flip(moving, [axis == left_right for axis in range(3)])
    # Flip changes the header too, which leaves the head where it was; with the old header it is mirrored in space
    mirrored.CopyInformation(moving)
    with in_one_thread():
        transform = search(reference, mirrored, found.transform, levels_mm=LEVELS_MM[:-1])
    judged = coarsened(reference, SIMILARITY_LEVEL_MM), coarsened(mirrored, SIMILARITY_LEVEL_MM)
    alike = similarity(*judged, transform)
    if alike > found.similarity_after + LARGEST_MIRROR_GAIN:
        problem = f"left and right seem exchanged: the mirror image is more similar ({alike:.3f}) than the series"
        raise Diverged(f"{problem} ({found.similarity_after:.3f})", attempt=found)


def register(reference: sitk.Image, moving: sitk.Image) -> Registration:
    """Finds the rigid motion between two series of one head by mutual information; the same images, the same bits.

    Skipped where the grids agree, the similarity has a peak (see below), and no step of 1 mm along, or 1 degree about,
    any axis raises it: what could be corrected is then less than about half a step, and resampling would only blur.
    The search begins at the scanner's geometry and, where that fails, with the centres of mass on each other.
    Raises Diverged if both searches end more than 50 mm or 30 degrees from their start, at a clearly lower similarity,
    or without a peak: moving by 4 mm or 4 degrees, any way, has to cost at least 0.01 of similarity; and if the mirror
    image of the series is more similar by over 0.02, since then left and right are exchanged in one of the two.
    Raises Fault for an image that is no volume, is too thin, or holds one value only.
    """
    fixed, other = clipped(reference), clipped(moving)
    for image in (fixed, other):
        _require_thick(image)
    same_grid = on_same_grid(reference, moving)
    if same_grid:
        # only on one grid can the voxels of both images coincide
        fixed, other = blurred(fixed), blurred(other)
    judged = coarsened(fixed, SIMILARITY_LEVEL_MM), coarsened(other, SIMILARITY_LEVEL_MM)
    centre = reference.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in reference.GetSize()])
    rest = sitk.Euler3DTransform()
    rest.SetCenter(centre)
    before = similarity(*judged, rest)
    may_rest = same_grid and gain(*judged, rest, step=REST_STEP) >= 0
    # staying also needs a peak: between images without common content no step improves anything either
    if may_rest and gain(*judged, rest, step=TRUST_STEP) >= SMALLEST_GAIN:
        stays = Registration(rest, before, before, translation_mm=0.0, rotation_deg=0.0, skipped=True)
        _require_own_sides(fixed, other, stays)
        return stays
    failures = []
    with in_one_thread():
        for start in starts(fixed, other, rest):
            transform = search(fixed, other, start)
            found = Registration(transform, before, similarity(*judged, transform), *_motion(rest, transform, centre))
            # from the start: aligned centres of mass may rightly be far from a wrong geometry
            shift_mm, rotation_deg = _motion(start, transform, centre)
            peak = gain(*judged, transform, step=TRUST_STEP)
            if shift_mm > LARGEST_SHIFT_MM or rotation_deg > LARGEST_ROTATION_DEG:
                problem = f"registration moved it by {shift_mm:.0f} mm and {rotation_deg:.0f} degrees"
            elif found.similarity_after < before - LARGEST_LOSS:
                problem = (
                    f"registration lowered the similarity ({before:.3f} before, {found.similarity_after:.3f} after)"
                )
            elif peak < SMALLEST_GAIN:
                problem = f"registration found no peak of similarity (gain {peak:.3f}, at least {SMALLEST_GAIN})"
            else:
                _require_own_sides(fixed, other, found)
                return found
            failures.append(Diverged(problem, attempt=found))
    raise failures[0]  # of the search from the scanner's geometry
