"""Describes further files of a predicted case, such as a page or DICOM, and what they are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.files.texts.dataset_json import described
from evaluation.inputs.target import Target
from evaluation.metrics.lesion.lesions import Objects
from nnunet_seqdropout.prediction.case import CaseImages
from nnunet_seqdropout.prediction.model import Model

OF_EXTRAS = (".html", "_viewer.html", "_seg.dcm", "_rtstruct.dcm")
"""What follows the case's id in the names of files that extras write."""


@dataclass(frozen=True)
class CaseResult:
    """What further files of a case are made of, on the grid of the results.

    labels: the label map. probability: (Z, Y, X) of the target. objects: of the target, as in ``lesions``, the rows of
    ``<case>_lesions.csv``. record: the keys of ``<case>.json`` but ``files``.
    """

    case: str
    model: Model
    target: Target
    images: CaseImages
    labels: sitk.Image
    probability: NDArray[np.floating]
    objects: Objects
    lesions: pd.DataFrame
    record: Mapping[str, Any]

    @property
    def target_name(self) -> str:
        return described(self.model.predictor.dataset_json).name_of(self.target.labels)


class Extra(Protocol):
    """Further files of a case, which appear with the others or not at all."""

    def recorded(self) -> dict[str, Any]:
        """Keys of the record, by which a resumed run knows whether they would be the same."""

    def names(self, case: str) -> Sequence[str]:
        """Of the files that there may be."""

    def most_bytes(self, n_voxels: int) -> int:
        """That the files can take of an image with so many voxels."""

    def write(self, result: CaseResult, stage: Path) -> Sequence[str]:
        """Writes them into a folder; returns what to say of it in the record and on the screen."""
