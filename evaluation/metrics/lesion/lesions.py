"""Matches the 26-connected objects of reference and prediction by overlap: lesions found and false positives.

A voxel belongs to the object that it touches by a face, an edge or a corner. A lesion is found if any predicted voxel
lies on it; a predicted object is a false positive if none of its voxels lies on the reference. So one predicted object
over k lesions finds k, and several on one lesion are no false positives (Grøvik et al., Statistical Analysis).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics.lesion.assignment import best_assignment
from evaluation.metrics.lesion.forest import join, roots

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
        # by object, then by distance: the first of each object is the nearest
        order = np.lexsort((squared, self.number))
        return self.positions[order[self._starts]]

    def numbered(self, dtype: type[np.integer]) -> NDArray:
        """(Z, Y, X): the number of the object at each voxel, 0 elsewhere."""
        numbers = np.zeros(self.shape, dtype)
        numbers.flat[self.voxels] = self.number
        return numbers

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
        """The index of each object's first voxel once the voxels are sorted by object."""
        return np.cumsum(self.n_voxels) - self.n_voxels


def find_objects(mask: NDArray[np.bool_]) -> Objects:
    """The 26-connected objects of a mask, (Z, Y, X)."""
    return connect(np.flatnonzero(mask), mask.shape)


def connect(voxels: NDArray[np.int64], shape: tuple[int, ...]) -> Objects:
    """The 26-connected objects of voxels given by their flat indices, ascending; takes time for these voxels only.

    Voxels next to each other along x are one run; runs of neighbouring rows are joined where they touch.
    """
    if not voxels.size:
        return Objects(voxels, voxels, shape)
    place, row, plane = on_padded_grid(voxels, shape)
    begins = np.concatenate([[True], np.diff(place) > 1])
    first = place[begins]
    last = place[np.concatenate([begins[1:], [True]])]
    # four of the eight rows around a run; seen from the other four, the same pairs are found
    edges = [_touching(first, last, distance) for distance in (row, plane - row, plane, plane + row)]
    runs = np.arange(len(first))
    parent = runs.copy()
    join(parent, *np.concatenate(edges, axis=1))
    # the root is an object's lowest run, so counting roots numbers the objects by their first voxel
    number_of_root = np.cumsum(parent == runs)
    return Objects(voxels, number_of_root[roots(parent, runs)][np.cumsum(begins) - 1], shape)


def on_padded_grid(voxels: NDArray[np.int64], shape: tuple[int, ...]) -> tuple[NDArray[np.int64], int, int]:
    """Flat indices on a grid with one voxel more in every row and one row more in every plane, so that nothing touches
    across the border; and the length there of a row and of a plane."""
    _, n_y, n_x = shape
    line, x = np.divmod(voxels, n_x)
    return (line + line // n_y) * (n_x + 1) + x, n_x + 1, (n_y + 1) * (n_x + 1)  # line: z * n_y + y


def _touching(first: NDArray[np.int64], last: NDArray[np.int64], distance: int) -> NDArray[np.int64]:
    """(2, pairs): runs, and those that touch them in the row this far on; a corner is enough."""
    # the first run that does not end before, the last that does not begin behind; one voxel more allows corners
    begin = np.searchsorted(last, first + distance - 1)
    end = np.searchsorted(first, last + distance + 1, side="right")
    n = np.maximum(end - begin, 0)
    run = np.repeat(np.arange(len(first)), n)
    # the ranges from begin to end, one after the other
    return np.stack([run, np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n) + begin[run]])


@dataclass(frozen=True)
class Detection:
    """The lesions and predicted objects that share voxels.

    pairs: (pairs, 3) lesion, predicted object (both from 1), voxels that they share; in order.
    pair_dice: the Dice of each pair.
    lesion_mm3, object_mm3: the whole volume of each.
    """

    pairs: NDArray[np.int64]
    pair_dice: NDArray[np.float64]
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
        large = at_least(self.object_mm3, at_least_mm3)[self.pairs[:, 1] - 1]
        return len(np.unique(self.pairs[large, 0]))

    def n_false_positives(self, at_least_mm3: float = 0) -> int:
        """Objects of at least this volume, inclusive, with no voxel on the reference."""
        return int((~self.object_is_true & at_least(self.object_mm3, at_least_mm3)).sum())

    def best_dice(self, *, of_objects: bool = False) -> NDArray[np.float64]:
        """Of each lesion, or of each object, the Dice with its best partner on the other side; 0 without a partner."""
        best = np.zeros(self.n_objects if of_objects else self.n_lesions)
        np.maximum.at(best, self.pairs[:, int(of_objects)] - 1, self.pair_dice)
        return best

    def one_to_one(self) -> NDArray[np.int64]:
        """(matches, 2): lesion and object, each at most once: as many matches as there can be, then most overlap."""
        # together the shared voxels are worth less than one more match
        gain = 1 + self.pairs[:, 2] / (self.pairs[:, 2].sum() + 1)
        return self.pairs[best_assignment(self.pairs[:, :2], gain), :2]


def detect(reference: Objects, predicted: Objects, *, voxel_mm3: float = 1) -> Detection:
    """Matches the objects of two masks of one shape. Raises ValueError where the shapes differ."""
    if reference.shape != predicted.shape:
        raise ValueError(f"The reference has shape {reference.shape}, the prediction {predicted.shape}.")
    # both lists of flat indices ascend; -1 stands behind the end and equals no voxel
    there = np.searchsorted(predicted.voxels, reference.voxels)
    shared = np.append(predicted.voxels, -1)[there] == reference.voxels
    # each pair of numbers as one integer, so that np.unique counts the pairs
    both = reference.number[shared] * (predicted.count + 1) + predicted.number[there[shared]]
    codes, n_voxels = np.unique(both, return_counts=True)
    pairs = np.stack(np.divmod(codes, predicted.count + 1), axis=1)
    of_both = reference.n_voxels[pairs[:, 0] - 1] + predicted.n_voxels[pairs[:, 1] - 1]
    return Detection(
        pairs=np.column_stack([pairs, n_voxels]),
        pair_dice=2 * n_voxels / of_both,
        lesion_mm3=reference.n_voxels * voxel_mm3,
        object_mm3=predicted.n_voxels * voxel_mm3,
    )


def at_least(volumes_mm3: NDArray[np.floating], limit_mm3: float) -> NDArray[np.bool_]:
    """Which volumes reach the limit, within RELATIVE_TOLERANCE."""
    return volumes_mm3 >= limit_mm3 * (1 - RELATIVE_TOLERANCE)
