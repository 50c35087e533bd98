"""Checks that a NIfTI header defines the image's position and axes, and that sform and qform agree.

A header may say it twice: the sform is any affine, the qform a rotation with the widths of ``pixdim``. SimpleITK, and
so nnU-Net, takes the one or the other by rules of its own; nibabel and FSL take the sform if its code is not 0.
"""

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from dataset_conversion.faults import Fault

LARGEST_DISAGREEMENT_MM = 0.1
LARGEST_SKEW = 1e-3
LARGEST_WIDTH_DIFFERENCE = 0.01
SMALLEST_SHEARED_VOLUME = 0.5
"""Volume of a voxel divided by that of a right-angled voxel with the same edges; no scanner makes less."""
REMEDY = "Correct the header, or resample the image."


class DoubtfulAxes(Fault):
    """Axes that are not at right angles, or two forms that disagree.

    affine: from voxel to RAS mm (4, 4), the sform if there is one; None where it would be a guess, since the forms
    disagree about left and right or about the width of a voxel, or the axes nearly lie in a plane.
    """

    def __init__(self, doubt: str, *, affine: NDArray | None, file: Path, remedy: str = REMEDY) -> None:
        self.doubt, self.affine = doubt, affine
        super().__init__(doubt, file=file, remedy=remedy)


def require_sound_axes(header: nibabel.Nifti1Header, path: Path) -> None:
    """Raises DoubtfulAxes, or Fault where the header places the image nowhere."""
    spacing = np.asarray(header.get_zooms()[:3], float)
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise Fault(f"its header has the spacing {spacing.tolist()}", file=path, remedy=REMEDY)
    forms = stored_forms(header)
    if not all(np.isfinite(affine).all() for affine in forms):
        raise Fault("its header gives no position (NaN)", file=path, remedy=REMEDY)
    doubts = []
    if len(forms) == 2 and (distance := _apart_mm(forms, header.get_data_shape()[:3])) > LARGEST_DISAGREEMENT_MM:
        doubts.append(f"sform and qform of its header disagree by {distance:.1f} mm")
    if any(skew(affine) > LARGEST_SKEW for affine in forms):
        doubts.append("the axes in its header are not at right angles")
    wide = all(_same_widths(affine, spacing) for affine in forms)
    if not wide:
        doubts.append("the parts of its header disagree about the width of a voxel")
    if doubts:
        raise DoubtfulAxes(", and ".join(doubts), affine=believed(header) if wide else None, file=path)


def stored_forms(header: nibabel.Nifti1Header) -> list[NDArray]:
    """Sform and qform, those of them that the header has."""
    return [affine for affine, code in (header.get_sform(True), header.get_qform(True)) if code]


def believed(header: nibabel.Nifti1Header) -> NDArray | None:
    """The sform, else the qform; None where the two exchange left and right, or the axes nearly lie in a plane."""
    forms = stored_forms(header)
    # the sign of the determinant tells a right-handed from a left-handed frame: a mirror image
    if not forms or len({bool(np.linalg.det(affine[:3, :3]) > 0) for affine in forms}) > 1:
        return None
    # the volume that three unit vectors span: 1 at right angles, 0 in a plane
    upright = abs(np.linalg.det(unit_axes(forms[0]))) >= SMALLEST_SHEARED_VOLUME
    return forms[0] if upright else None


def unit_axes(affine: NDArray) -> NDArray:
    """The three columns of the affine, each scaled to length 1."""
    return affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0).clip(1e-12)  # an axis of length 0 stays 0


def skew(affine: NDArray) -> float:
    """The largest cosine of the angle between two axes: 0 at right angles."""
    axes = unit_axes(affine)
    # products of unit vectors are cosines
    return float(np.abs(axes.T @ axes - np.eye(len(axes))).max())


def _same_widths(affine: NDArray, spacing: NDArray) -> bool:
    widths = np.linalg.norm(affine[:3, :3], axis=0)
    return bool((np.abs(widths / spacing - 1) <= LARGEST_WIDTH_DIFFERENCE).all())


def _apart_mm(forms: Sequence[NDArray], shape: tuple[int, ...]) -> float:
    """How far a corner is by one of two affines from where it is by the other, at most."""
    # the distance between two affine maps is convex, so that it is largest at a corner
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape]), axis=-1).reshape(-1, 3)
    points = [nibabel.affines.apply_affine(affine, corners) for affine in forms]
    return float(np.linalg.norm(points[0] - points[1], axis=1).max())
