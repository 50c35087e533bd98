"""Draws nnU-Net's forced foreground by lesion, so that small lesions are drawn as often as large ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
from numpy.typing import NDArray

from evaluation.metrics.lesion.lesions import find_objects

VOXELS_PER_LESION = 256
"""Number of entries of each lesion in the list that nnU-Net draws from; voxels of smaller lesions are repeated."""

Label = int | tuple[int, ...]
"""A class, or the classes of a region: the keys of nnU-Net's ``class_locations``."""


class BalancedByLesion:
    """A preprocessed data set of nnU-Net whose ``class_locations`` hold every lesion of a class equally often.

    nnU-Net lists a sample of at most 10,000 voxels of each class and draws one of them, so that a lesion is drawn as
    often as it is large. The objects are found in the preprocessed label, once per case, when the data set is made: it
    reads every label, and keeps 8 KiB for each lesion and class.
    """

    def __init__(self, dataset: nnUNetBaseDataset) -> None:
        self.dataset, self.identifiers = dataset, dataset.identifiers
        self.locations = {case: self._locations(case) for case in dataset.identifiers}

    def load_case(self, identifier: str) -> tuple:
        data, segmentation, previous, properties = self.dataset.load_case(identifier)
        return data, segmentation, previous, {**properties, "class_locations": self.locations[identifier]}

    def _locations(self, identifier: str) -> dict[Label, NDArray]:
        _, segmentation, _, properties = self.dataset.load_case(identifier)
        return by_lesion(np.asarray(segmentation[0]), properties["class_locations"])


def by_lesion(segmentation: NDArray, class_locations: Mapping[Label, Any]) -> dict[Label, NDArray]:
    """nnU-Net's ``class_locations`` with ``VOXELS_PER_LESION`` rows for every 26-connected object of a class or region.

    segmentation: (Z, Y, X). A row is (0, z, y, x), as nnU-Net writes it. A key that holds -1 stands for all annotated
    voxels, not for lesions, and is left as it is.
    """
    return {
        key: locations if -1 in _values(key) else _rows(np.isin(segmentation, _values(key)))
        for key, locations in class_locations.items()
    }


def _values(key: Label) -> list[int]:
    return [key] if isinstance(key, (int, np.integer)) else list(key)


def _rows(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Voxels of each object, evenly spaced in its list of voxels."""
    objects = find_objects(mask)
    # by object; stable, so that the voxels of each stay in order
    order = np.argsort(objects.number, kind="stable")
    chosen = [_evenly(each) for each in np.split(order, np.cumsum(objects.n_voxels)[:-1]) if each.size]
    if not chosen:
        return np.empty((0, 4), np.int64)
    positions = objects.positions[np.concatenate(chosen)]  # (rows, 3): z, y, x
    return np.concatenate([np.zeros((len(positions), 1), np.int64), positions], axis=1)


def _evenly(voxels: NDArray[np.int64]) -> NDArray[np.int64]:
    # whole numbers: smaller lesions repeat voxels, of larger ones every n-th is taken
    return voxels[np.arange(VOXELS_PER_LESION) * len(voxels) // VOXELS_PER_LESION]
