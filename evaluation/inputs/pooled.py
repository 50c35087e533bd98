"""Counts, at every value that a lesion voxel of some validation patients has, what a threshold there would do.

Between two such values a higher threshold removes background only. It makes no patient's Dice smaller and no false
positive rate higher, so that the best threshold of all is one of these values.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.outcomes import Outcome, each_case, map_cases
from evaluation.inputs.folders import Folders
from evaluation.inputs.volumes import Volumes
from evaluation.metrics.voxel.ranks import background_counts
from evaluation.metrics.voxel.roc import Roc


@dataclass(frozen=True)
class Pooled:
    """roc: the curve of all voxels together, as if of one image. mean_dice: over the patients in whom it is defined, at
    each of the curve's values."""

    roc: Roc
    mean_dice: NDArray[np.float64]

    @property
    def values(self) -> NDArray[np.floating]:
        return self.roc.values

    def best_dice(self) -> int:
        """Which value has the highest mean Dice; of several that are as good, the highest."""
        return len(self.mean_dice) - 1 - int(self.mean_dice[::-1].argmax())

    def flat(self, *, within: float) -> tuple[float, float]:
        """The lowest and the highest of the values around the best one at which the mean Dice is this near to it."""
        enough = self.mean_dice >= self.mean_dice.max() - within
        best = self.best_dice()
        gaps = np.flatnonzero(~enough)
        below, above = gaps[gaps < best], gaps[gaps > best]
        first = int(below[-1]) + 1 if below.size else 0
        last = int(above[0]) - 1 if above.size else len(enough) - 1
        return float(self.values[first]), float(self.values[last])


def pool(folders: Folders, cases: list[str], *, n_workers: int | None) -> tuple[Pooled | None, dict[str, Outcome]]:
    """The counts of these patients, None where nobody has a lesion; and what became of each patient.

    Memory holds one patient per worker and, of all, the lesion voxels' values: the files are read twice.
    """
    outcomes, lesions = map_cases(cases, lambda c: _lesion_values(folders, c), doing="Lesions", n_workers=n_workers)
    values = np.unique(np.concatenate([own for own, _ in lesions.values()])) if lesions else np.zeros(0)
    if not values.size:
        return None, outcomes
    lesion, above, at_or_above = np.zeros((3, len(values)), np.int64)
    n_background, dice = 0, _Mean(len(values))
    for case, outcome, counts in each_case(
        lesions, lambda c: _counts(folders, c, values), doing="Background", n_workers=n_workers
    ):
        outcomes[case] = outcome
        if outcome.status != "failed":
            own, n_of_value = lesions[case]
            lesion[np.searchsorted(values, own)] += n_of_value
            above += counts.above
            at_or_above += counts.at_or_above
            n_background += counts.n_background
            dice.add(counts.dice)
    return Pooled(Roc(values, lesion, above, at_or_above, n_background), dice.value), outcomes


@dataclass(frozen=True)
class _Counts:
    """Of one patient, at each value: voxels of the background above it, and at or above it; and the Dice there."""

    above: NDArray[np.int64]
    at_or_above: NDArray[np.int64]
    n_background: int
    dice: NDArray[np.float64]


class _Mean:
    """The mean over the patients in whom a figure is defined, taken up one by one; 0 where it is defined in none."""

    def __init__(self, n_values: int) -> None:
        self._sum, self._n = np.zeros(n_values), np.zeros(n_values, np.int64)

    def add(self, of_patient: NDArray[np.float64]) -> None:
        defined = ~np.isnan(of_patient)
        self._sum[defined] += of_patient[defined]
        self._n += defined

    @property
    def value(self) -> NDArray[np.float64]:
        return self._sum / np.maximum(self._n, 1)


def _lesion_values(folders: Folders, case: str) -> tuple[NDArray, NDArray]:
    reference, probability = _inside(folders.read(case))
    return np.unique(probability[reference].astype(np.float64), return_counts=True)


def _counts(folders: Folders, case: str, values: NDArray[np.float64]) -> _Counts:
    reference, probability = _inside(folders.read(case))
    lesion = probability[reference]
    above, at_or_above = background_counts(lesion, probability.ravel(), values, n_voxels=probability.size)
    found = lesion.size - np.searchsorted(np.sort(lesion), values, side="left")
    marked = lesion.size + found + at_or_above
    dice = np.divide(2 * found, marked, out=np.full(len(values), np.nan), where=marked > 0)
    return _Counts(above, at_or_above, int(np.count_nonzero(~reference)), dice)


def _inside(volumes: Volumes) -> tuple[NDArray[np.bool_], NDArray[np.floating]]:
    """The voxels that count."""
    probability = np.asarray(volumes.probability)
    if volumes.mask is None:
        return volumes.reference, probability
    return volumes.reference[volumes.mask], probability[volumes.mask]
