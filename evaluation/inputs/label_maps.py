"""Reads label maps: which values they may have, and where the target is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.files.images.label_values import label_array, value_faults, voxels_of_value
from dataset_conversion.files.texts.dataset_json import Description
from evaluation.inputs.target import Target

LABELS_WITHOUT_DATASET_JSON = frozenset({0, 1, 2, 3})


@dataclass(frozen=True)
class LabelMaps:
    """mapping: label values to be taken for others, such as 255 for 1."""

    target: Target
    description: Description
    mapping: Mapping[int, int]

    def values(self, image: sitk.Image, file: Path) -> NDArray[np.number]:
        """Whole numbers, (Z, Y, X), or a view of them, which the image must outlive.

        Raises Fault where a value is not whole or stands for no label.
        """
        stored, allowed = label_array(image), self._allowed
        # counting the values takes longer than all the rest
        if stored.dtype.kind == "f" or stored.min() < 0 or not allowed.issuperset(range(int(stored.max()) + 1)):
            for fault in value_faults(voxels_of_value(image), known=allowed, file=file):
                raise fault
        return stored

    def where_target(self, values: NDArray[np.number]) -> NDArray[np.bool_]:
        return self._where(values, self.target.labels)

    def where_ignored(self, values: NDArray[np.number]) -> NDArray[np.bool_] | None:
        """The voxels that count on neither side, as nnU-Net's ignore label says; None where there are none."""
        label = self.description.ignore_label
        ignored = None if label is None else self._where(values, (label,))
        return ignored if ignored is not None and ignored.any() else None

    def _where(self, values: NDArray[np.number], labels: Sequence[int]) -> NDArray[np.bool_]:
        """Where one of these labels is stored, or a value that is to be taken for one."""
        stored = [v for v in {*labels, *self.mapping} if self.mapping.get(v, v) in labels]
        return values == stored[0] if len(stored) == 1 else np.isin(values, stored)

    @property
    def _allowed(self) -> frozenset[int]:
        known = self.description.label_values or LABELS_WITHOUT_DATASET_JSON
        return frozenset({*known, *self.target.labels, *self.mapping})
