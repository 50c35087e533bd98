"""Scores every lesion by itself, one object to one lesion, by the rule of the BraTS-METS challenge.

Lesions and predicted objects are matched one to one, with the highest total Dice among pairs that share a voxel. A
prediction that touches all lesions without outlining them, or covers several with one object, does not pass for good.
Rule and numbers: package brats-evaluation 0.0.10 (config_mets, volumes from 20 mm3, Dice from 0.1), and
docs/decisions/0004-lesion-wise.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics.lesion.assignment import best_assignment
from evaluation.metrics.lesion.lesions import Detection, at_least
from evaluation.metrics.voxel.surfaces import NO_COUNTERPART_MM, Surface, compare_surfaces

LARGE_FROM_MM3 = 20.0
FOUND_FROM_DICE = 0.1
_MORE_MATCHES = 1e-6
"""What one more match is worth beside its Dice: it decides between equal sums."""


@dataclass(frozen=True)
class LesionWise:
    """The figures of one patient, by their columns in ``cases.csv``.

    lesion_f1: F1 of detection; a lesion is found if its match has a Dice of at least 0.1, an object without a match is
    a false positive. NaN with neither lesions nor objects. lesion_f1_small: the same of lesions below 20 mm3, with all
    false positives; NaN where there are none.
    lesion_dice, lesion_hd95_mm, lesion_nsd: means over the lesions of at least 20 mm3, matched ones with their value,
    and over all false positives; a missed lesion and a false positive count as 0, 373 mm and 0. NaN without such a
    lesion.
    """

    lesion_f1: float
    lesion_dice: float
    lesion_hd95_mm: float
    lesion_nsd: float
    lesion_f1_small: float


def lesion_wise(detection: Detection, reference: Surface, predicted: Surface) -> LesionWise:
    """Scores a patient. reference, predicted: the surfaces of the objects that ``detection`` matches."""
    matches = best_assignment(detection.pairs[:, :2], detection.pair_dice + _MORE_MATCHES)
    n_false = detection.n_objects - len(matches)
    dice = np.zeros(detection.n_lesions)
    dice[detection.pairs[matches, 0] - 1] = detection.pair_dice[matches]
    found = dice >= FOUND_FROM_DICE
    large = at_least(detection.lesion_mm3, LARGE_FROM_MM3)
    surfaces = [
        compare_surfaces(reference.of(lesion), predicted.of(match))
        for lesion, match in detection.pairs[matches, :2].tolist()
        if large[lesion - 1]
    ]
    n_scored = int(large.sum()) + n_false if large.any() else 0
    return LesionWise(
        lesion_f1=_f1(found, n_false),
        lesion_dice=_mean(dice[large].tolist(), n_scored, otherwise=0),
        lesion_hd95_mm=_mean([surface.hd95_mm for surface in surfaces], n_scored, otherwise=NO_COUNTERPART_MM),
        lesion_nsd=_mean([surface.nsd for surface in surfaces], n_scored, otherwise=0),
        lesion_f1_small=float("nan") if large.all() else _f1(found[~large], n_false),
    )


def _f1(found: NDArray[np.bool_], n_false: int) -> float:
    """found: of each lesion. NaN where there is neither a lesion nor a false positive."""
    n_found = int(found.sum())
    whole = n_found + len(found) + n_false  # 2 TP + FN + FP
    return 2 * n_found / whole if whole else float("nan")


def _mean(values: list[float], n: int, *, otherwise: float) -> float:
    """Of n values, those not given being ``otherwise``; NaN where n is 0."""
    return (sum(values) + (n - len(values)) * otherwise) / n if n else float("nan")
