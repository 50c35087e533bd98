"""Trains on windows of a few slices, cut out of the volumes of a 2D configuration."""

from typing import Any, ClassVar

import numpy as np
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

from nnunet_seqdropout.training.configured import ConfiguredTrainer

SHALLOWEST_AUGMENTED = 5
"""nnU-Net's blur mirrors up to three slices at the border of a patch: shallower windows are cut out afterwards."""


class CutOutWindow(BasicTransform):
    """Last in the pipeline: the middle ``n_slices`` of the image, and of the segmentation the slice to be predicted.

    (N, Z, H, W), (C, Z, H, W) -> (N, n_slices, H, W), (C, 1, H, W).
    """

    def __init__(self, n_slices: int) -> None:
        super().__init__()
        self.n_slices = n_slices

    def _apply_to_image(self, img: torch.Tensor, **params: object) -> torch.Tensor:
        return _middle(img, self.n_slices)

    def _apply_to_segmentation(self, segmentation: torch.Tensor, **params: object) -> torch.Tensor:
        return _middle(segmentation, 1)


def _middle(x: torch.Tensor, depth: int) -> torch.Tensor:
    """(C, Z, H, W) -> (C, depth, H, W)."""
    start = (x.shape[1] - depth) // 2
    return crop_and_pad_nd(x, [[start, start + depth], *([0, n] for n in x.shape[2:])])


class WindowTrainer(ConfiguredTrainer):
    """Hands the network windows of ``n_slices`` contiguous slices, and of the reference the centre slice."""

    n_slices: ClassVar[int] = 5

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple:
        """nnU-Net's choices for a 2D patch, for a patch of ``n_slices`` such slices."""
        in_plane = self._in_plane
        degrees = 15 if max(in_plane) / min(in_plane) > 1.5 else 180
        rotation = (-np.deg2rad(degrees), np.deg2rad(degrees))
        initial_patch_size = [
            self._augmented_depth,
            *get_patch_size(in_plane, rotation, rotation, rotation, (0.85, 1.25)),
        ]
        self.inference_allowed_mirroring_axes = (1, 2)
        return rotation, True, initial_patch_size, self.inference_allowed_mirroring_axes

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> BasicTransform:
        return ComposeTransforms([super().get_training_transforms(*args, **kwargs), CutOutWindow(self.n_slices)])

    def get_validation_transforms(self, *args: Any, **kwargs: Any) -> BasicTransform:
        return ComposeTransforms([super().get_validation_transforms(*args, **kwargs), CutOutWindow(self.n_slices)])

    def get_dataloaders(self) -> tuple:
        """nnU-Net's data loaders for windows; zeros beyond the volume let its first and last slices be centres."""
        window = [self._augmented_depth, *self._in_plane]
        rotation, dummy_2d, initial_patch_size, mirror_axes = (
            self.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        labels = {
            "foreground_labels": self.label_manager.foreground_labels,
            "regions": self.label_manager.foreground_regions if self.label_manager.has_regions else None,
            "ignore_label": self.label_manager.ignore_label,
        }
        use_mask = self.configuration_manager.use_mask_for_norm
        training = self.get_training_transforms(
            window, rotation, None, mirror_axes, dummy_2d, use_mask_for_norm=use_mask, **labels
        )
        validation = self.get_validation_transforms(None, **labels)
        n_workers = get_allowed_n_proc_DA()
        pipelines = zip(
            self.get_tr_and_val_datasets(),
            (initial_patch_size, window),
            (training, validation),
            (n_workers, max(1, n_workers // 2)),
            strict=True,
        )
        augmenters = []
        for dataset, patch_size, transforms, n_processes in pipelines:
            loader = nnUNetDataLoader(
                dataset,
                self.batch_size,
                patch_size,
                window,
                self.label_manager,
                oversample_foreground_percent=self.oversample_foreground_percent,
                pad_sides=(self._augmented_depth - 1, 0, 0),
                probabilistic_oversampling=self.probabilistic_oversampling,
                transforms=transforms,
            )
            augmenters.append(self._augmenter(loader, n_processes if n_workers else 0))
        for augmenter in augmenters:
            next(augmenter)
        return tuple(augmenters)

    def _augmenter(self, loader: nnUNetDataLoader, n_processes: int) -> Any:
        if n_processes == 0:
            return SingleThreadedAugmenter(loader, None)
        return NonDetMultiThreadedAugmenter(
            loader,
            None,
            num_processes=n_processes,
            num_cached=max(6, n_processes // 2),
            seeds=None,
            pin_memory=self.device.type == "cuda",
            wait_time=0.002,
        )

    @property
    def _in_plane(self) -> tuple[int, int]:
        """Height and width of the patch."""
        height, width = self.configuration_manager.patch_size[-2:]
        return height, width

    @property
    def _augmented_depth(self) -> int:
        return max(self.n_slices, SHALLOWEST_AUGMENTED)
