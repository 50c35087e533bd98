"""Trains the 2.5D networks in nnU-Net: on windows of a few slices, whereas prediction takes whole volumes."""

import os
from typing import Any, ClassVar

import numpy as np
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from batchgenerators.utilities.file_and_folder_operations import join, load_json
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA
from torch._dynamo import OptimizedModule

from nnunet_seqdropout.plans import RATES_OF_DEEPLAB, Plans, fitting_rates, rates_outside, with_deeplab
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


class DeepLab25D(ConfiguredTrainer):
    """Trains the 2.5D DeepLabV3 on a 2D configuration: ``n_slices`` slices in, the centre slice out.

    The attributes are those of ``DeepLabV3Slab``; ``atrous_rates`` None takes ``fitting_rates`` of the patch.
    torch.compile, nnU-Net's default on a GPU, is used only where nnUNet_compile asks for it: on an H200 a slice took
    1.5 ms in training without it and 2.35 ms with it. Raises ValueError for 3D configurations.
    """

    n_slices: ClassVar[int] = 5
    backbone: ClassVar[str] = "resnet50"
    output_stride: ClassVar[int] = 8
    atrous_rates: ClassVar[tuple[int, ...] | None] = RATES_OF_DEEPLAB
    decoder: ClassVar[tuple[int, ...]] = ()
    bfloat16_on_cpu: ClassVar[bool] = True

    def initialize(self) -> None:
        self.enable_deep_supervision = False
        super().initialize()
        if outside := rates_outside(self._rates, *self._in_plane, self.output_stride):
            shown = ", ".join(map(str, outside))
            self.print_to_log_file(
                f"Atrous rates {shown} ({len(outside)} of {len(self._rates)} branches) lie outside the map: "
                "such a branch sees one pixel. atrous_rates = None scales them to the patch."
            )

    def _do_i_compile(self) -> bool:
        return "nnUNet_compile" in os.environ and super()._do_i_compile()

    def rewrite_plans(self, plans: Plans) -> Plans:
        return with_deeplab(
            super().rewrite_plans(plans),
            self.configuration_name,
            resolved=self.configuration_manager.configuration,
            fingerprint=load_json(join(self.preprocessed_dataset_folder_base, "dataset_fingerprint.json")),
            n_sequences=len(self.dataset_json["channel_names"]),
            n_classes=self.label_manager.num_segmentation_heads,
            network_settings={
                "n_slices": self.n_slices,
                "backbone": self.backbone,
                "output_stride": self.output_stride,
                "atrous_rates": self._rates,
                "decoder": list(self.decoder),
                "bfloat16_on_cpu": self.bfloat16_on_cpu,
            },
        )

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

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Nothing to switch: DeepLabV3 has one output."""

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._bare_network.window_mode = True

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        self._bare_network.window_mode = False
        super().on_validation_epoch_end(val_outputs)

    @property
    def _in_plane(self) -> tuple[int, int]:
        """Height and width of the patch."""
        height, width = self.configuration_manager.patch_size[-2:]
        return height, width

    @property
    def _rates(self) -> list[int]:
        return list(self.atrous_rates or fitting_rates(*self._in_plane, self.output_stride))

    @property
    def _augmented_depth(self) -> int:
        return max(self.n_slices, SHALLOWEST_AUGMENTED)

    @property
    def _bare_network(self) -> Any:
        """The network without the wrappers of DDP and torch.compile."""
        network = self.network.module if self.is_ddp else self.network
        return network._orig_mod if isinstance(network, OptimizedModule) else network


class DeepLab25DPlus(DeepLab25D):
    """Trains DeepLabV3+, the network with a decoder: it outlines small lesions, which the paper's cannot draw.

    Encoder at stride 16, atrous rates that fit the patch, low-level features at strides 4, 2 and 1.
    """

    output_stride = 16
    atrous_rates = None
    decoder = (4, 2, 1)
    optimizer_type = "adamw"
