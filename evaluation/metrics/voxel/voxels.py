"""Computes voxel-wise agreement of a prediction with its reference; 0/0 is NaN, since there was nothing to judge."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Overlap:
    """Voxel-wise agreement of a prediction with its reference (Grøvik et al., Statistical Analysis; iou: the journal
    version, npj Digital Medicine 4, 33)."""

    dice: float
    precision: float
    recall: float
    iou: float


def overlap(reference: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> Overlap:
    """Dice, precision, recall and intersection over union of two masks of one shape.

    Both empty: all are NaN. Only one empty: Dice and IoU 0, and NaN for the one of the others that is 0/0.
    Raises ValueError where the shapes differ.
    """
    require_one_shape(reference, predicted)
    n_both, n_reference, n_predicted = (
        int(np.count_nonzero(mask)) for mask in (reference & predicted, reference, predicted)
    )
    return overlap_of_counts(n_both, n_reference, n_predicted)


def overlap_of_counts(n_both: int, n_reference: int, n_predicted: int) -> Overlap:
    """The same from the numbers of voxels in both masks, the reference, the prediction."""
    return Overlap(
        dice=_ratio(2 * n_both, n_reference + n_predicted),
        precision=_ratio(n_both, n_predicted),
        recall=_ratio(n_both, n_reference),
        iou=_ratio(n_both, n_reference + n_predicted - n_both),
    )


def brier(
    reference: NDArray[np.bool_], probability: NDArray[np.floating], mask: NDArray[np.bool_] | None = None
) -> float:
    """The mean of (p - y)^2 over the voxels, or over those of the mask; y is 1 on the reference, 0 elsewhere (Brier
    1950). Without voxels: NaN. Arrays are (Z, Y, X).

    Raises ValueError where the shapes differ.
    """
    require_one_shape(reference, probability)
    if mask is not None:
        require_one_shape(reference, mask)
    n_voxels = reference.size if mask is None else int(np.count_nonzero(mask))
    total = 0.0
    # a slice at a time, in the processor's cache: the whole volume in double precision would be 100 MB
    for z in range(len(reference)):
        error = probability[z].astype(np.float64) - reference[z]
        if mask is not None:
            error *= mask[z]
        total += float(np.vdot(error, error))
    return total / n_voxels if n_voxels else float("nan")


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


def require_one_shape(reference: NDArray, other: NDArray) -> None:
    """Raises ValueError where the shapes differ."""
    if reference.shape != other.shape:
        raise ValueError(f"The reference has shape {reference.shape}, the prediction {other.shape}.")


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
