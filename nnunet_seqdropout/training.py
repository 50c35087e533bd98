"""What our trainers change of nnU-Net's: settings as class attributes, a few guards, and sequence dropout."""

import math
import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from batchgenerators.utilities.file_and_folder_operations import isfile, join, load_json
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from dataset_conversion.sequences import pattern
from nnunet_seqdropout import __version__
from nnunet_seqdropout.dropout import (
    RecordPresence,
    Rescale,
    SequenceDropout,
    add_rescaling,
    keep_and_rescale,
    sequences_to_draw_from,
)
from nnunet_seqdropout.lesion_sampling import BalancedByLesion
from nnunet_seqdropout.optimisers import LEARNING_RATES, WEIGHT_DECAYS, OptimizerType, WarmedUpPolyLR
from nnunet_seqdropout.plans import Plans, with_largest_batch, with_settings
from nnunet_seqdropout.subsets import SubsetLaw, subsets
from nnunet_seqdropout.training_patterns import DicePerPattern

FOLDS_OF_NNUNET = 5
"""How many splits nnU-Net makes where none are declared."""

VALIDATION_SEED = 20210122
"""Of the subsets that the online validation is given."""

GPU_MEBIBYTES = "gpu_mebibytes"
"""The key in the checkpoints' ``logging``: the most memory that torch had reserved on the GPU, at every epoch's end."""


class ConfiguredTrainer(DicePerPattern):
    """nnU-Net's trainer, set by class attributes, that rewrites its own copy of the plans before it builds anything.

    An attribute that is None leaves nnU-Net's value. Raises ValueError where a declared split lacks the fold asked for.

    slices_per_epoch: as many iterations as it takes to train on so many slices, whatever the batch size, and a fifth as
    many to validate, as in nnU-Net; a sample of a 3D configuration counts as many slices as its patch has.
    seed: without augmentation workers (nnUNet_n_proc_DA=0) and on the CPU the same training gives the same weights,
    resumed or not.
    optimizer_type: nnU-Net's SGD, or AdamW. learning_rate: None is 0.01 for SGD, 3e-4 for AdamW. warmup_epochs: how
    many epochs the learning rate rises linearly.
    forced_foreground: whether the patches that nnU-Net centres on the foreground are drawn by voxel, as in nnU-Net, or
    by lesion, small ones as often as large ones.
    """

    epochs: ClassVar[int | None] = None
    iterations_per_epoch: ClassVar[int | None] = None
    slices_per_epoch: ClassVar[int | None] = None
    val_iterations_per_epoch: ClassVar[int | None] = None
    largest_batch: ClassVar[int | None] = None
    save_every_epochs: ClassVar[int | None] = None
    seed: ClassVar[int | None] = None
    optimizer_type: ClassVar[OptimizerType] = "sgd"
    learning_rate: ClassVar[float | None] = None
    warmup_epochs: ClassVar[int] = 0
    forced_foreground: ClassVar[Literal["voxels", "lesions"]] = "voxels"

    def initialize(self) -> None:
        self._refuse_undeclared_fold()
        require_one_of("optimizer_type", self.optimizer_type, get_args(OptimizerType))
        require_one_of("forced_foreground", self.forced_foreground, ("voxels", "lesions"))
        require_not_negative("warmup_epochs", self.warmup_epochs)
        self.initial_lr = LEARNING_RATES[self.optimizer_type] if self.learning_rate is None else self.learning_rate
        self.weight_decay = WEIGHT_DECAYS[self.optimizer_type]
        if self.epochs is not None:
            self.num_epochs = self.epochs
        if self.iterations_per_epoch is not None:
            self.num_iterations_per_epoch = self.iterations_per_epoch
        if self.val_iterations_per_epoch is not None:
            self.num_val_iterations_per_epoch = self.val_iterations_per_epoch
        self._use_plans(self.rewrite_plans(self.plans_manager.plans))
        if self.largest_batch is not None:
            planned = self.configuration_manager.batch_size
            limits = {"planned": planned, "largest": self.largest_batch}
            self._use_plans(with_largest_batch(self.plans_manager.plans, self.configuration_name, **limits))
        if self.slices_per_epoch is not None:
            self.num_iterations_per_epoch = math.ceil(self.slices_per_epoch / self._slices_per_batch)
            if self.val_iterations_per_epoch is None:
                self.num_val_iterations_per_epoch = math.ceil(self.num_iterations_per_epoch / 5)
        if self.save_every_epochs is not None:
            self.save_every = self.save_every_epochs
        budget = {
            "epochs": self.num_epochs,
            "iterations_per_epoch": self.num_iterations_per_epoch,
            "slices_per_iteration": self._slices_per_batch,
        }
        self._use_plans(with_settings(self.plans_manager.plans, **budget))
        self._sow(0)
        super().initialize()

    def rewrite_plans(self, plans: Plans) -> Plans:
        """The plans that this trainer trains by; the mixins add theirs."""
        return with_settings(
            plans,
            version=__version__,
            optimizer_type=self.optimizer_type,
            learning_rate=self.initial_lr,
            weight_decay=self.weight_decay,
            warmup_epochs=self.warmup_epochs,
            forced_foreground=self.forced_foreground,
        )

    def configure_optimizers(self) -> tuple:
        optimizer, schedule = super().configure_optimizers()
        if self.optimizer_type == "adamw":
            parameters = self.network.parameters()
            optimizer = torch.optim.AdamW(parameters, self.initial_lr, weight_decay=self.weight_decay)
        elif not self.warmup_epochs:
            return optimizer, schedule
        return optimizer, WarmedUpPolyLR(optimizer, self.initial_lr, self.num_epochs, self.warmup_epochs)

    def get_tr_and_val_datasets(self) -> tuple:
        training, validation = super().get_tr_and_val_datasets()
        if self.forced_foreground == "lesions":
            self.print_to_log_file(f"Finding the lesions of {len(training.identifiers)} training cases.")
            training = BalancedByLesion(training)
        return training, validation

    def on_epoch_start(self) -> None:
        self._sow(1 + self.current_epoch)
        super().on_epoch_start()

    def on_epoch_end(self) -> None:
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_reserved(self.device) / 2**20
            self.log_ours(GPU_MEBIBYTES, peak, nothing=math.nan)
        super().on_epoch_end()

    def save_checkpoint(self, filename: str) -> None:
        """As nnU-Net's, but whole or not at all: a killed training leaves the checkpoint before it."""
        partial = f"{filename}.partial"
        super().save_checkpoint(partial)
        if self.local_rank == 0 and Path(partial).is_file():  # it is not, where checkpointing is switched off
            with Path(partial).open("rb") as written:
                os.fsync(written.fileno())
            Path(partial).replace(filename)

    @property
    def _slices_per_batch(self) -> int:
        configuration = self.configuration_manager
        slices_per_sample = configuration.patch_size[0] if len(configuration.spacing) == 3 else 1
        return configuration.batch_size * slices_per_sample

    def _sow(self, epoch: int) -> None:
        """What is drawn in an epoch depends on the seed, the epoch and the GPU alone, not on what was drawn before."""
        if self.seed is not None:
            seed = np.random.SeedSequence([self.seed, epoch, self.local_rank]).generate_state(1)[0]
            random.seed(int(seed))
            np.random.seed(seed)
            torch.manual_seed(int(seed))

    def _use_plans(self, plans: Plans) -> None:
        self.plans_manager = PlansManager(plans)
        self.configuration_manager = self.plans_manager.get_configuration(self.configuration_name)

    def _refuse_undeclared_fold(self) -> None:
        if self.fold == "all":
            return
        splits_file = join(self.preprocessed_dataset_folder_base, "splits_final.json")
        n_declared = len(load_json(splits_file)) if isfile(splits_file) else FOLDS_OF_NNUNET
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


def require_one_of(setting: str, value: object, known: Sequence[str]) -> None:
    """Raises ValueError where a class attribute has a value that it cannot have."""
    if value not in known:
        raise ValueError(f"{setting} is {value!r}: choose one of {', '.join(known)}.")


def require_not_negative(setting: str, value: int) -> None:
    if value < 0:
        raise ValueError(f"{setting} is {value}: give a number of epochs, 0 for none.")


class Demo:
    """A few short epochs that a CPU finishes in minutes; the same number of slices for every trainer."""

    epochs = 10
    iterations_per_epoch = 50
    val_iterations_per_epoch = 5
    largest_batch = 6


class WithSequenceDropout(ConfiguredTrainer):
    """Adds sequence dropout to whatever network the trainer trains (Grøvik et al., Neural Network Details).

    In its online validation, which chooses ``checkpoint_best``, sequences are absent, too: the subsets are drawn by the
    same law, the same ones in every epoch. All that it logs, the Dice of the patients with a pattern included, is of
    these subsets. The final validation sees all that a patient has, as in nnU-Net.

    subset_law, drop_probability: see ``subsets.subset_probabilities``. always_keep: names of channels that are never
    dropped. subset_weights: under the law "weights", availability pattern -> weight, such as {"t1_pre+flair": 0}.
    rescale: see ``dropout.factor``. dropout_warmup_epochs: how many epochs it takes until every sample is subject to
    dropout. Raises ValueError for an unknown name or law, a droppable CT channel and a cascade.
    """

    subset_law: ClassVar[SubsetLaw] = "uniform_subsets"
    drop_probability: ClassVar[float] = 0.25
    always_keep: ClassVar[tuple[str, ...]] = ()
    subset_weights: ClassVar[Mapping[str, float]] = {}
    rescale: ClassVar[Rescale] = "paper"
    dropout_warmup_epochs: ClassVar[int] = 0

    def rewrite_plans(self, plans: Plans) -> Plans:
        self._refuse_what_cannot_be_dropped()
        self._dropout = self._configured_dropout()
        self._dropout.probabilities((True,) * len(self._sequences))
        return with_settings(
            super().rewrite_plans(plans),
            sequences=list(self._sequences),
            subset_law=self.subset_law,
            drop_probability=self.drop_probability,
            always_keep=list(self.always_keep),
            subset_weights=dict(self.subset_weights),
            rescale=self.rescale,
            dropout_warmup_epochs=self.dropout_warmup_epochs,
        )

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """nnU-Net's planned network, which receives its input rescaled when it predicts; same state dict keys."""
        network = super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        # a model from before this setting has the paper's
        add_rescaling(network, plans_manager.plans.get("seqdropout", {}).get("rescale", "paper"))
        return network

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> BasicTransform:
        stock = super().get_training_transforms(*args, **kwargs)
        # the workers draw batches before the first epoch starts
        self._warm_up_dropout()
        return ComposeTransforms([RecordPresence(), stock, self._dropout])

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self._warm_up_dropout()

    def _warm_up_dropout(self) -> None:
        self._dropout.strength.fill_(min(1.0, (self.current_epoch + 1) / (self.dropout_warmup_epochs + 1)))

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._validation_subsets = np.random.default_rng([VALIDATION_SEED, self.local_rank])

    def validation_step(self, batch: dict) -> dict:
        """nnU-Net's, on a drawn subset of each sample's sequences; the network rescales them as in prediction."""
        present = sequences_to_draw_from(batch["data"])
        kept = torch.tensor([self._dropout.draw(tuple(p), self._validation_subsets) for p in present.tolist()])
        return super().validation_step({**batch, "data": keep_and_rescale(batch["data"], kept, "none")})

    def _configured_dropout(self) -> SequenceDropout:
        known = {pattern(p, self._sequences): p for p in subsets([True] * len(self._sequences))}
        if unknown := self.subset_weights.keys() - known.keys():
            raise ValueError(f"subset_weights names {', '.join(unknown)}; name subsets such as {' or '.join(known)}.")
        return SequenceDropout(
            self.subset_law,
            drop_probability=self.drop_probability,
            always_keep=[name in self.always_keep for name in self._sequences],
            weights={known[name]: weight for name, weight in self.subset_weights.items()},
            rescale=self.rescale,
        )

    def _refuse_what_cannot_be_dropped(self) -> None:
        if self.is_cascaded:
            raise ValueError(f"{self.configuration_name} is a cascade; train 2d or 3d_fullres with sequence dropout.")
        require_not_negative("dropout_warmup_epochs", self.dropout_warmup_epochs)
        for name in self.always_keep:
            if name not in self._sequences:
                raise ValueError(f"always_keep names '{name}'; this data set has {', '.join(self._sequences)}.")
        for name in self._sequences:
            if name.lower() == "ct" and name not in self.always_keep:
                raise ValueError(
                    f"Channel '{name}' is normalised as CT, which turns the zeros of an absent image into another "
                    "constant: it cannot be dropped. Add it to always_keep, or rename it in dataset.json."
                )
