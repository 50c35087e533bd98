"""How well two masks agree, voxel by voxel. What is 0/0 is NaN: there was nothing to judge."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
    if reference.shape != predicted.shape:
        raise ValueError(f"The reference has shape {reference.shape}, the prediction {predicted.shape}.")
    true_positives, n_reference, n_predicted = (int(m.sum()) for m in (reference & predicted, reference, predicted))
    return Overlap(
        dice=_ratio(2 * true_positives, n_reference + n_predicted),
        precision=_ratio(true_positives, n_predicted),
        recall=_ratio(true_positives, n_reference),
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
