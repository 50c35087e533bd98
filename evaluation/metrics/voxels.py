"""Computes voxel-wise agreement of a prediction with its reference; 0/0 is NaN, since there was nothing to judge."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BITS_PER_CELL = 8


@dataclass(frozen=True)
class Overlap:
    """Voxel-wise agreement of a prediction with its reference (Grøvik et al., Statistical Analysis)."""

    dice: float
    precision: float
    recall: float


def overlap(reference: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> Overlap:
    """Dice, precision and recall of two masks of one shape.

    Both empty: all three are NaN. Only one empty: Dice 0, and NaN for the one of the others that is 0/0.
    Raises ValueError where the shapes differ.
    """
    _require_one_shape(reference, predicted)
    n_both, n_reference, n_predicted = (
        int(np.count_nonzero(mask)) for mask in (reference & predicted, reference, predicted)
    )
    return overlap_of_counts(n_both, n_reference, n_predicted)


def overlap_of_counts(n_both: int, n_reference: int, n_predicted: int) -> Overlap:
    """Dice, precision and recall from the numbers of voxels in both masks, the reference, the prediction."""
    return Overlap(
        dice=_ratio(2 * n_both, n_reference + n_predicted),
        precision=_ratio(n_both, n_predicted),
        recall=_ratio(n_both, n_reference),
    )


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
    _require_one_shape(reference, probability)
    require_probabilities(probability)
    return roc_of_values(probability[reference], probability.ravel(), n_voxels=probability.size)


def roc_of_values(lesion: NDArray[np.floating], probability: NDArray[np.floating], *, n_voxels: int) -> Roc:
    """The exact curve from the probabilities of the lesion voxels and of all voxels, in any order.

    Of ``n_voxels`` in all, those may be left out that are 0 or lie below every lesion voxel.
    """
    values, counts = np.unique(lesion, return_counts=True)
    above, at_or_above = background_counts(lesion, probability, values, n_voxels=n_voxels)
    return Roc(values, counts, above, at_or_above, n_background=n_voxels - lesion.size)


def background_counts(
    lesion: NDArray[np.floating], probability: NDArray[np.floating], values: NDArray[np.floating], *, n_voxels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many voxels of the background have a probability above each value, and at or above it; values ascending.

    lesion: the probabilities of the lesion voxels; probability: those of all voxels, but for those that are 0 or lie
    below every value; n_voxels: of all. Curves of several patients become one pooled curve by adding these counts at
    common values.
    """
    above, at_or_above = _counts(probability, values, n_voxels=n_voxels)
    lesion = np.sort(lesion)
    return (
        above - (lesion.size - np.searchsorted(lesion, values, side="right")),
        at_or_above - (lesion.size - np.searchsorted(lesion, values, side="left")),
    )


def _counts(
    probability: NDArray[np.floating], values: NDArray[np.floating], *, n_voxels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many of all voxels lie above, and at or above each value, without sorting them all.

    Voxels are counted in cells of neighbouring numbers; only those in the cell of a value are compared with it.
    """
    above, at_or_above = np.zeros((2, len(values)), np.int64)
    if not values.size:
        return above, at_or_above
    # what lies below the lowest value is dropped first: that is most of the image
    if values[0] > 0:
        selected = probability[reaches(probability, values[0])]
        at_or_above[0] = selected.size
        selected = selected[selected > values[0]]
    else:  # nothing is lower than 0, which most voxels may have
        at_or_above[0] = n_voxels
        selected = probability[probability > values[0]]
    above[0] = selected.size
    first = _cell(values[:1])
    cells, cells_of_values = _cell(selected) - first, _cell(values[1:]) - first
    in_cell = np.bincount(cells, minlength=cells_of_values.max(initial=0) + 1)
    contested = np.zeros(len(in_cell), bool)
    contested[cells_of_values] = True
    # voxels that share a cell with a value are compared one by one below, all others are counted by cell
    in_cell[contested] = 0
    # (cells,) -> (values,)
    in_higher_cells = in_cell[::-1].cumsum()[::-1][cells_of_values]
    near = np.sort(selected[contested[cells]])
    above[1:] = in_higher_cells + len(near) - np.searchsorted(near, values[1:], side="right")
    at_or_above[1:] = in_higher_cells + len(near) - np.searchsorted(near, values[1:], side="left")
    return above, at_or_above


def _cell(values: NDArray[np.floating]) -> NDArray[np.int32]:
    """A number that never falls while the value, which is not negative, rises: the leading bits of its float32."""
    # adding 0 turns -0.0 into 0.0; read as an integer, -0.0 would be the lowest number
    return (np.asarray(values, np.float32) + np.float32(0)).view(np.int32) >> _BITS_PER_CELL


def reaches(probability: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """p >= threshold as compared in float64, without converting the array: its type's lowest number that reaches it."""
    kind = probability.dtype.type
    lowest = kind(threshold)
    if np.float64(lowest) < threshold:
        lowest = np.nextafter(lowest, kind(np.inf))  # rounding to the array's type went below the threshold
    return probability >= lowest


def require_probabilities(values: NDArray[np.floating]) -> None:
    """Raises ValueError where one is negative or not finite."""
    bits = np.ascontiguousarray(values).view(f"u{values.itemsize}")
    # the bits of a number from 0 up rise with it; those of all others lie above, as do those of -0.0
    suspicious = bits.max(initial=0) >= np.array(np.inf, values.dtype).view(bits.dtype)
    if suspicious and not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError("A probability is negative, infinite or not a number.")


def _require_one_shape(reference: NDArray, other: NDArray) -> None:
    if reference.shape != other.shape:
        raise ValueError(f"The reference has shape {reference.shape}, the prediction {other.shape}.")


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
