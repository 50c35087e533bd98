"""Holds the arrays of one patient: reference, prediction, and the voxels that count."""

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from evaluation.patient import Grid


@dataclass(frozen=True)
class Volumes:
    """One patient: masks and probabilities, (Z, Y, X), on the grid of ``image``, the reference's label map.

    Either probability or predicted is None. mask: None where all voxels count. pattern: the sequences that the
    prediction had, empty where nobody wrote it down.
    """

    image: sitk.Image
    reference: NDArray[np.bool_]
    probability: NDArray[np.floating] | None
    predicted: NDArray[np.bool_] | None
    mask: NDArray[np.bool_] | None
    pattern: str

    @property
    def grid(self) -> Grid:
        return Grid.of(self.image)

    def inside_mask(self) -> "Volumes":
        """The volumes with 0 outside the mask, which is then None."""
        if self.mask is None:
            return self
        return replace(
            self,
            reference=self.reference & self.mask,
            probability=None if self.probability is None else np.where(self.mask, self.probability, 0),
            predicted=None if self.predicted is None else self.predicted & self.mask,
            mask=None,
        )
