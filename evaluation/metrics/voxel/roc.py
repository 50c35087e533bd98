"""Computes the exact ROC curve of voxels and its areas from counts, not from points of a curve."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics.voxel.ranks import background_counts
from evaluation.metrics.voxel.voxels import require_one_shape, require_probabilities


@dataclass(frozen=True)
class Roc:
    """A receiver operating characteristic, exact, from counts at the values that lesion voxels have.

    Between two such values a lower threshold adds background only, so nothing is lost by leaving them out.

    values: the distinct probabilities of the lesion voxels, ascending. lesion: how many lesion voxels have each.
    background_above, background_from: how many voxels of the background lie above each, at or above each.
    """

    values: NDArray[np.floating]
    lesion: NDArray[np.int64]
    background_above: NDArray[np.int64]
    background_from: NDArray[np.int64]
    n_background: int

    @property
    def n_lesion(self) -> int:
        return int(self.lesion.sum())

    @property
    def auc(self) -> float:
        """The area under the curve, ties counting half; NaN where one of the two classes is empty."""
        pairs = self.n_lesion * self.n_background
        # pairs in which the background voxel is the higher one, counted twice, and ties, counted once
        wrong = int((self.lesion * (self.background_above + self.background_from)).sum())
        return 1 - wrong / (2 * pairs) if pairs else float("nan")

    @property
    def auprc(self) -> float:
        """The area under the precision-recall curve as average precision: over the thresholds, from the highest down,
        the sum of precision times the rise of recall; not interpolated. NaN without lesion voxels."""
        # recall rises only at values that lesion voxels have, so the sum has no other terms
        lesion_from = self.lesion[::-1].cumsum()[::-1]
        precision = lesion_from / (lesion_from + self.background_from)
        return float(self.lesion @ precision) / self.n_lesion if self.n_lesion else float("nan")

    def youden(self) -> tuple[float, float]:
        """The threshold with the highest TPR - FPR, the highest one among ties, and that index (Youden 1950).

        Both are NaN where one of the two classes is empty.
        """
        if not self.n_lesion or not self.n_background:
            return float("nan"), float("nan")
        lesion_from = self.lesion[::-1].cumsum()[::-1]
        # whole numbers, so that ties are ties
        index = lesion_from * self.n_background - self.background_from * self.n_lesion
        best = len(index) - 1 - int(index[::-1].argmax())
        return float(self.values[best]), int(index[best]) / (self.n_lesion * self.n_background)

    def sensitivity_at(self, false_positive_rates: NDArray[np.floating]) -> NDArray[np.float64]:
        """TPR at each FPR, on straight lines between the curve's corners; where it rises vertically, its upper end.

        NaN where one of the two classes is empty.
        """
        if not self.n_lesion or not self.n_background:
            return np.full(len(false_positive_rates), np.nan)
        lesion_from = np.cumsum(self.lesion[::-1])
        # from the highest value down, two corners each: before and after its voxels, which the curve joins diagonally
        corners = np.stack([self.background_above[::-1], self.background_from[::-1]], axis=1).ravel()
        heights = np.stack([lesion_from - self.lesion[::-1], lesion_from], axis=1).ravel()
        fpr = np.concatenate([[0], corners / self.n_background, [1]])
        tpr = np.concatenate([[0], heights / self.n_lesion, [1]])
        # the last corner at or before each rate: of a vertical rise its upper end
        left = np.searchsorted(fpr, false_positive_rates, side="right") - 1
        right = np.minimum(left + 1, len(fpr) - 1)
        width = fpr[right] - fpr[left]
        share = np.divide(false_positive_rates - fpr[left], width, out=np.zeros(len(left)), where=width > 0)
        return tpr[left] + share * (tpr[right] - tpr[left])


def roc(reference: NDArray[np.bool_], probability: NDArray[np.floating]) -> Roc:
    """The exact curve of one patient (or of any set of voxels).

    Raises ValueError where the shapes differ, or a probability is negative or not finite.
    """
    require_one_shape(reference, probability)
    require_probabilities(probability)
    return roc_of_values(probability[reference], probability.ravel(), n_voxels=probability.size)


def roc_of_values(lesion: NDArray[np.floating], probability: NDArray[np.floating], *, n_voxels: int) -> Roc:
    """The exact curve from the probabilities of the lesion voxels and of all voxels, in any order.

    Of ``n_voxels`` in all, those may be left out that are 0 or lie below every lesion voxel.
    """
    values, counts = np.unique(lesion, return_counts=True)
    above, at_or_above = background_counts(lesion, probability, values, n_voxels=n_voxels)
    return Roc(values, counts, above, at_or_above, n_background=n_voxels - lesion.size)
