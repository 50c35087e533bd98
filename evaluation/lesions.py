"""Lesions found and false alarms: 26-connected objects of the reference and of the prediction, matched by overlap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

TOUCHING = np.ones((3, 3, 3), bool)
"""Voxels are connected if their faces, edges or corners touch (Grøvik et al., Statistical Analysis)."""


@dataclass(frozen=True)
class Detection:
    """n_lesions of the reference, n_found of them hit by any predicted voxel, false_positives: predicted objects with
    no voxel on the reference."""

    n_lesions: int
    n_found: int
    false_positives: int


def detect(reference: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> Detection:
    """Counts of two masks of one shape, (Z, Y, X).

    One predicted object over k lesions finds k; several on one lesion are no false positives.
    """
    lesions, n_lesions = ndimage.label(reference, TOUCHING)
    objects, n_objects = ndimage.label(predicted, TOUCHING)
    both = reference & predicted
    return Detection(
        n_lesions=n_lesions,
        n_found=len(np.unique(lesions[both])),
        false_positives=n_objects - len(np.unique(objects[both])),
    )
