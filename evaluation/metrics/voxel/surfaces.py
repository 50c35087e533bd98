"""Compares the surfaces of two masks: 95th percentile of the distances (HD95) and normalised surface Dice (NSD).

A surface voxel is one of the mask that has a face in common with a voxel outside it or with the border of the image.
Distances are between centres of voxels, from each surface voxel to the nearest of the other mask, in both directions.
These are the conventions of the BraTS challenges (package brats-evaluation 0.0.10). That package takes the spacings of
an image in the reverse order of its axes, which matters on anisotropic grids; here each axis has its own
(docs/decisions/0004-lesion-wise.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics.lesion.lesions import RELATIVE_TOLERANCE, Objects, find_objects, on_padded_grid

NO_COUNTERPART_MM = 373.0
"""HD95 where only one of two masks has voxels: the diagonal of a BraTS image, 240 x 240 x 155 mm, which those
challenges take; far more than any distance within a head, on any grid."""


@dataclass(frozen=True)
class Surface:
    """The surface voxels of a mask. points_mm: (voxels, 3), their centres from the first voxel of the image, z, y, x.
    number: the object of each. tolerance_mm: the smallest spacing of the grid."""

    points_mm: NDArray[np.float64]
    number: NDArray[np.int64]
    tolerance_mm: float

    def of(self, number: int) -> "Surface":
        """That of one object. No other lies nearer than an edge or a corner, so none takes a face from it."""
        own = self.number == number
        return Surface(self.points_mm[own], self.number[own], self.tolerance_mm)


@dataclass(frozen=True)
class SurfaceAgreement:
    """hd95_mm: the 95th percentile of the distances of both directions together, linear between two of them.
    nsd: the mean of the shares of each surface that lie within the tolerance of the other."""

    hd95_mm: float
    nsd: float


def surface_agreement(
    reference: NDArray[np.bool_], predicted: NDArray[np.bool_], *, spacing_mm: Sequence[float] = (1.0, 1.0, 1.0)
) -> SurfaceAgreement:
    """As ``compare_surfaces``, of two masks, (Z, Y, X), of one shape; spacing_mm: x, y, z, as in a header.

    Raises ValueError where the shapes differ.
    """
    if reference.shape != predicted.shape:
        raise ValueError(f"The reference has shape {reference.shape}, the prediction {predicted.shape}.")
    return compare_surfaces(*(surface_of(find_objects(mask), spacing_mm) for mask in (reference, predicted)))


def surface_of(objects: Objects, spacing_mm: Sequence[float]) -> Surface:
    """The surface of a mask; spacing_mm: x, y, z, as in a header."""
    outer = _is_outer(objects.voxels, objects.shape)
    z_y_x = np.stack(np.unravel_index(objects.voxels[outer], objects.shape), axis=1)
    return Surface(z_y_x * np.array(spacing_mm[::-1], float), objects.number[outer], min(spacing_mm))


def _is_outer(voxels: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which voxels of a mask, by their flat indices, ascending, lack one of their six neighbours."""
    if not voxels.size:
        return np.zeros(0, bool)
    place, row, plane = on_padded_grid(voxels, shape)
    # from the first voxel to the last alone, with room for their neighbours
    place += plane - place[0]
    filled = np.zeros(place[-1] + plane + 1, bool)
    filled[place] = True
    inner = np.ones(len(place), bool)
    for step in (1, row, plane):
        inner &= filled[place - step] & filled[place + step]
    return ~inner


def compare_surfaces(reference: Surface, predicted: Surface) -> SurfaceAgreement:
    """Tolerance of the NSD: the smallest spacing of the grid, so that a surface may be one voxel off.

    Both empty: both figures are NaN. One empty: NO_COUNTERPART_MM, and an NSD of 0.
    """
    n_reference, n_predicted = len(reference.points_mm), len(predicted.points_mm)
    if not n_reference and not n_predicted:
        return SurfaceAgreement(float("nan"), float("nan"))
    if not n_reference or not n_predicted:
        return SurfaceAgreement(NO_COUNTERPART_MM, 0.0)
    forth, back = _nearest_mm(reference, predicted), _nearest_mm(predicted, reference)
    # headers hold spacings in single precision
    near_mm = reference.tolerance_mm * (1 + RELATIVE_TOLERANCE)
    return SurfaceAgreement(
        hd95_mm=float(np.percentile(np.concatenate([forth, back]), 95)),
        nsd=float(np.mean([(distances <= near_mm).mean() for distances in (forth, back)])),
    )


def _nearest_mm(these: Surface, others: Surface) -> NDArray[np.float64]:
    """From each voxel of one surface to the nearest of the other."""
    # takes a quarter of a second
    from scipy.spatial import KDTree

    # on voxels, whose coordinates repeat, queries take a third of the time that the default tree needs
    tree = KDTree(others.points_mm, balanced_tree=False, compact_nodes=False)
    return tree.query(these.points_mm)[0]
