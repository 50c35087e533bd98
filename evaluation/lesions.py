"""Lesions found and false alarms: 26-connected objects of the reference and of the prediction, matched by overlap.

A voxel belongs to the object that it touches by a face, an edge or a corner. A lesion is found if any predicted voxel
lies on it; a predicted object is a false positive if none of its voxels lies on the reference. So one predicted object
over k lesions finds k, and several on one lesion are no false positives (Grøvik et al., Statistical Analysis).
"""

from dataclasses import dataclass
from functools import cached_property

import cc3d
import numpy as np
from numpy.typing import NDArray

RELATIVE_TOLERANCE = 1e-6
"""A volume this little below a limit reaches it: headers hold spacings in single precision."""


@dataclass(frozen=True)
class Objects:
    """The objects of a mask, numbered from 1 by their first voxel.

    voxels: flat indices of all voxels of the mask, ascending, C order. number: the object of each. shape: (Z, Y, X).
    """

    voxels: NDArray[np.int64]
    number: NDArray[np.int64]
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        return int(self.number.max(initial=0))

    @cached_property
    def n_voxels(self) -> NDArray[np.int64]:
        """Voxels of object 1, 2, ..."""
        return np.bincount(self.number, minlength=self.count + 1)[1:]

    @cached_property
    def positions(self) -> NDArray[np.int64]:
        """(voxels, 3) indices z, y, x."""
        return np.stack(np.unravel_index(self.voxels, self.shape), axis=1)

    @cached_property
    def centroids(self) -> NDArray[np.float64]:
        """(objects, 3), in voxels: z, y, x."""
        sums = [np.bincount(self.number, weights=axis, minlength=self.count + 1)[1:] for axis in self.positions.T]
        return np.stack(sums, axis=1) / self.n_voxels[:, None]

    def central_voxels(self) -> NDArray[np.int64]:
        """(objects, 3): of each object the voxel nearest to its centroid, the first among equals; z, y, x."""
        squared = ((self.positions - self.centroids[self.number - 1]) ** 2).sum(axis=1)
        order = np.lexsort((squared, self.number))
        return self.positions[order[self._starts]]

    def within(self, box: tuple[slice, ...]) -> "Objects":
        """What of them lies in a box, under the numbers that they have in the whole volume."""
        numbers = np.zeros(self.shape, np.int64)
        numbers.flat[self.voxels] = self.number
        numbers = numbers[box]
        return Objects(np.flatnonzero(numbers), numbers[numbers > 0], numbers.shape)

    def maxima(self, volume: NDArray) -> NDArray:
        """The highest value of a volume of the mask's shape within each object."""
        order = np.argsort(self.number, kind="stable")
        values = volume.ravel()[self.voxels][order]
        return np.maximum.reduceat(values, self._starts) if self.count else values

    def means(self, volume: NDArray) -> NDArray[np.float64]:
        """The mean value of a volume of the mask's shape within each object."""
        sums = np.bincount(self.number, weights=volume.ravel()[self.voxels], minlength=self.count + 1)
        return sums[1:] / self.n_voxels

    @property
    def _starts(self) -> NDArray[np.int64]:
        """Where each object begins once the voxels are sorted by object."""
        return np.cumsum(self.n_voxels) - self.n_voxels


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box around a mask's voxels, (Z, Y, X); of no extent where there is none."""
    inside = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    return tuple(slice(int(i[0]), int(i[-1]) + 1) if i.size else slice(0) for i in inside)


def find_objects(mask: NDArray[np.bool_]) -> Objects:
    """The 26-connected objects of a mask, (Z, Y, X); only the box around its voxels is searched."""
    voxels = np.flatnonzero(mask)
    if not voxels.size:
        return Objects(voxels, voxels, mask.shape)
    positions = np.unravel_index(voxels, mask.shape)
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in positions)
    # padded, since cc3d 4.1 fails on arrays with two axes of length 1
    labels = cc3d.connected_components(np.pad(mask[box], [(0, 1)] * 3), connectivity=26)
    number = labels[tuple(axis - side.start for axis, side in zip(positions, box, strict=True))]
    return Objects(voxels, number.astype(np.int64), mask.shape)


@dataclass(frozen=True)
class Detection:
    """Which lesions and predicted objects share voxels.

    pairs: (pairs, 3) lesion, predicted object (both from 1), voxels that they share; in order.
    lesion_mm3, object_mm3: the whole volume of each.
    """

    pairs: NDArray[np.int64]
    lesion_mm3: NDArray[np.floating]
    object_mm3: NDArray[np.floating]

    @property
    def n_lesions(self) -> int:
        return len(self.lesion_mm3)

    @property
    def n_objects(self) -> int:
        return len(self.object_mm3)

    @property
    def lesion_is_found(self) -> NDArray[np.bool_]:
        return np.isin(np.arange(1, self.n_lesions + 1), self.pairs[:, 0])

    @property
    def object_is_true(self) -> NDArray[np.bool_]:
        return np.isin(np.arange(1, self.n_objects + 1), self.pairs[:, 1])

    def n_found(self, at_least_mm3: float = 0) -> int:
        """Lesions hit by an object of at least this volume."""
        large = _reaches(self.object_mm3, at_least_mm3)[self.pairs[:, 1] - 1]
        return len(np.unique(self.pairs[large, 0]))

    def n_false_positives(self, at_least_mm3: float = 0) -> int:
        """Objects of at least this volume, inclusive, with no voxel on the reference."""
        return int((~self.object_is_true & _reaches(self.object_mm3, at_least_mm3)).sum())

    def one_to_one(self) -> NDArray[np.int64]:
        """(matches, 2): lesion and object, each at most once: as many matches as there can be, then most overlap."""
        if all(len(np.unique(side)) == len(side) for side in self.pairs[:, :2].T):
            return self.pairs[:, :2]
        # takes a quarter of a second, which most calls can do without
        from scipy.optimize import linear_sum_assignment

        lesions, rows = np.unique(self.pairs[:, 0], return_inverse=True)
        objects, columns = np.unique(self.pairs[:, 1], return_inverse=True)
        gain = np.zeros((len(lesions), len(objects)))
        # together the shared voxels are worth less than one more match
        gain[rows, columns] = 1 + self.pairs[:, 2] / (self.pairs[:, 2].sum() + 1)
        chosen = linear_sum_assignment(gain, maximize=True)
        real = gain[chosen] > 0
        return np.stack([lesions[chosen[0][real]], objects[chosen[1][real]]], axis=1)


def detect(reference: Objects, predicted: Objects, *, voxel_mm3: float = 1) -> Detection:
    """Matches the objects of two masks of one shape. Raises ValueError where the shapes differ."""
    if reference.shape != predicted.shape:
        raise ValueError(f"The reference has shape {reference.shape}, the prediction {predicted.shape}.")
    _, here, there = np.intersect1d(reference.voxels, predicted.voxels, assume_unique=True, return_indices=True)
    shared = np.stack([reference.number[here], predicted.number[there]], axis=1)
    pairs, n_voxels = np.unique(shared, axis=0, return_counts=True)
    return Detection(
        pairs=np.column_stack([pairs, n_voxels]),
        lesion_mm3=reference.n_voxels * voxel_mm3,
        object_mm3=predicted.n_voxels * voxel_mm3,
    )


def _reaches(volumes_mm3: NDArray[np.floating], limit_mm3: float) -> NDArray[np.bool_]:
    return volumes_mm3 >= limit_mm3 * (1 - RELATIVE_TOLERANCE)
