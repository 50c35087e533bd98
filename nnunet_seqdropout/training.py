"""What our trainers change of nnU-Net's, as two mixins: the 2.5D network, and sequence dropout."""

from typing import Any, ClassVar

import numpy as np
import torch
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from batchgenerators.utilities.file_and_folder_operations import isfile, join, load_json
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform, SegOnlyTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn
from torch._dynamo import OptimizedModule

from nnunet_seqdropout import __version__
from nnunet_seqdropout.dropout import RecordPresence, SequenceDropout, rescale_in_evaluation
from nnunet_seqdropout.plans import Plans, with_deeplab, with_largest_batch, with_settings
from nnunet_seqdropout.subsets import SubsetLaw


class ConfiguredTrainer(nnUNetTrainer):
    """nnU-Net's trainer, set by class attributes, that rewrites its own copy of the plans before it builds anything.

    An attribute that is None leaves nnU-Net's value. Raises ValueError where a declared split lacks the fold asked for.
    """

    epochs: ClassVar[int | None] = None
    iterations_per_epoch: ClassVar[int | None] = None
    val_iterations_per_epoch: ClassVar[int | None] = None
    largest_batch: ClassVar[int | None] = None

    def initialize(self) -> None:
        self._refuse_undeclared_fold()
        self.num_epochs = self.epochs or self.num_epochs
        self.num_iterations_per_epoch = self.iterations_per_epoch or self.num_iterations_per_epoch
        self.num_val_iterations_per_epoch = self.val_iterations_per_epoch or self.num_val_iterations_per_epoch
        self._use_plans(self.rewrite_plans(self.plans_manager.plans))
        if self.largest_batch is not None:
            planned = self.configuration_manager.batch_size
            limits = {"planned": planned, "largest": self.largest_batch}
            self._use_plans(with_largest_batch(self.plans_manager.plans, self.configuration_name, **limits))
        super().initialize()

    def rewrite_plans(self, plans: Plans) -> Plans:
        """The plans that this trainer trains by; the mixins add theirs."""
        return with_settings(plans, version=__version__)

    def _use_plans(self, plans: Plans) -> None:
        self.plans_manager = PlansManager(plans)
        self.configuration_manager = self.plans_manager.get_configuration(self.configuration_name)

    def _refuse_undeclared_fold(self) -> None:
        splits_file = join(self.preprocessed_dataset_folder_base, "splits_final.json")
        if self.fold == "all" or not isfile(splits_file):
            return
        n_declared = len(load_json(splits_file))
        if int(self.fold) >= n_declared:
            raise ValueError(
                f"Fold {self.fold} is not declared: {splits_file} has {n_declared} split(s). nnU-Net would make up a "
                f"random one and mix the cohorts. Choose a fold from 0 to {n_declared - 1}, or all."
            )

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        """As nnU-Net's, but an epoch without foreground (Dice 0/0) leaves the moving average where it was."""
        super().on_validation_epoch_end(val_outputs)
        ema = self.logger.get_value("ema_fg_dice", step=None)
        if not np.isfinite(ema[-1]):
            ema[-1] = ema[-2] if len(ema) > 1 else 0.0


class Demo:
    """A few short epochs that a CPU finishes in minutes; the same number of slices for every trainer."""

    epochs = 12
    iterations_per_epoch = 50
    val_iterations_per_epoch = 5
    largest_batch = 12


class WithSequenceDropout(ConfiguredTrainer):
    """Adds sequence dropout to whatever network the trainer trains (Grøvik et al., Neural Network Details).

    subset_law, drop_probability: see ``subsets.subset_probabilities``. always_keep: names of channels that are never
    dropped. Raises ValueError for an unknown name there, for a droppable CT channel and for a cascade.
    """

    subset_law: ClassVar[SubsetLaw] = "uniform_subsets"
    drop_probability: ClassVar[float] = 0.25
    always_keep: ClassVar[tuple[str, ...]] = ()

    def rewrite_plans(self, plans: Plans) -> Plans:
        self._refuse_what_cannot_be_dropped()
        return with_settings(
            super().rewrite_plans(plans),
            sequences=list(self._sequences),
            subset_law=self.subset_law,
            drop_probability=self.drop_probability,
            always_keep=list(self.always_keep),
        )

    @staticmethod
    def build_network_architecture(
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """nnU-Net's planned network, which receives its input rescaled when it predicts; same state dict keys."""
        network = nnUNetTrainer.build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        network.register_forward_pre_hook(rescale_in_evaluation)
        return network

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> BasicTransform:
        dropout = SequenceDropout(
            self.subset_law,
            drop_probability=self.drop_probability,
            always_keep=[name in self.always_keep for name in self._sequences],
        )
        return ComposeTransforms([RecordPresence(), super().get_training_transforms(*args, **kwargs), dropout])

    @property
    def _sequences(self) -> tuple[str, ...]:
        return tuple(self.dataset_json["channel_names"].values())

    def _refuse_what_cannot_be_dropped(self) -> None:
        if self.is_cascaded:
            raise ValueError(f"{self.configuration_name} is a cascade; train 2d or 3d_fullres with sequence dropout.")
        for name in self.always_keep:
            if name not in self._sequences:
                raise ValueError(f"always_keep names '{name}'; this data set has {', '.join(self._sequences)}.")
        for name in self._sequences:
            if name.lower() == "ct" and name not in self.always_keep:
                raise ValueError(
                    f"Channel '{name}' is normalised as CT, which turns the zeros of an absent image into another "
                    "constant: it cannot be dropped. Add it to always_keep, or rename it in dataset.json."
                )


class KeepCentreSlice(SegOnlyTransform):
    """Keeps the middle slice of the segmentation, the one that the 2.5D network predicts: (C, Z, H, W) -> (C, 1, H, W)."""

    def _apply_to_segmentation(self, segmentation: torch.Tensor, **params: object) -> torch.Tensor:
        centre = segmentation.shape[1] // 2
        return segmentation[:, centre : centre + 1]


class DeepLab25D(ConfiguredTrainer):
    """Trains the 2.5D DeepLabV3 on a 2D configuration: ``n_slices`` slices in, the centre slice out.

    The attributes are those of ``DeepLabV3Slab``. Raises ValueError for 3D configurations.
    """

    n_slices: ClassVar[int] = 5
    backbone: ClassVar[str] = "resnet50"
    output_stride: ClassVar[int] = 8
    atrous_rates: ClassVar[tuple[int, ...]] = (12, 24, 36)
    bfloat16_on_cpu: ClassVar[bool] = True

    def rewrite_plans(self, plans: Plans) -> Plans:
        self.enable_deep_supervision = False
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
                "atrous_rates": list(self.atrous_rates),
                "bfloat16_on_cpu": self.bfloat16_on_cpu,
            },
        )

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple:
        """nnU-Net's choices for a 2D patch, for a patch of ``n_slices`` such slices."""
        in_plane = self.configuration_manager.patch_size[-2:]
        degrees = 15 if max(in_plane) / min(in_plane) > 1.5 else 180
        rotation = (-np.deg2rad(degrees), np.deg2rad(degrees))
        initial_patch_size = [self.n_slices, *get_patch_size(in_plane, rotation, rotation, rotation, (0.85, 1.25))]
        self.inference_allowed_mirroring_axes = (1, 2)
        return rotation, True, initial_patch_size, self.inference_allowed_mirroring_axes

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> BasicTransform:
        return ComposeTransforms([super().get_training_transforms(*args, **kwargs), KeepCentreSlice()])

    def get_validation_transforms(self, *args: Any, **kwargs: Any) -> BasicTransform:
        return ComposeTransforms([super().get_validation_transforms(*args, **kwargs), KeepCentreSlice()])

    def get_dataloaders(self) -> tuple:
        """nnU-Net's data loaders for windows; zeros beyond the volume let its first and last slices be centres."""
        window = [self.n_slices, *self.configuration_manager.patch_size[-2:]]
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
                pad_sides=(self.n_slices - 1, 0, 0),
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
    def _bare_network(self) -> Any:
        """The network without the wrappers of DDP and torch.compile."""
        network = self.network.module if self.is_ddp else self.network
        return network._orig_mod if isinstance(network, OptimizedModule) else network
