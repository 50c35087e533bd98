"""Adapts nnU-Net's trainer: settings as class attributes, a few guards, and reproducible seeds."""

import math
import random
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from batchgenerators.utilities.file_and_folder_operations import isfile, join, load_json
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from dataset_conversion.files.texts.preparation_record import KEY as PREPARATION
from dataset_conversion.plurals import n_of
from nnunet_seqdropout import __version__
from nnunet_seqdropout.plans import Plans, with_largest_batch, with_settings
from nnunet_seqdropout.settings import require_not_negative, require_one_of, unknown_attributes
from nnunet_seqdropout.training.lesion_sampling import BalancedByLesion
from nnunet_seqdropout.training.optimisers import LEARNING_RATES, WEIGHT_DECAYS, OptimizerType, WarmedUpPolyLR
from nnunet_seqdropout.training.patterns import DicePerPattern
from nnunet_seqdropout.training.remaining_time import expected_end
from nnunet_seqdropout.training.survival import SurvivingTrainer

FOLDS_OF_NNUNET = 5
"""Number of splits that nnU-Net makes if none are declared."""


OURS = ("nnunet_seqdropout", "nnunetv2", "typing", "abc")
"""Packages whose classes are not a user's."""

GPU_MEBIBYTES = "gpu_mebibytes"
"""The key in the checkpoints' ``logging``: the most memory that torch had reserved on the GPU, at every epoch's end."""


class ConfiguredTrainer(DicePerPattern, SurvivingTrainer):
    """nnU-Net's trainer, set by class attributes, that rewrites its own copy of the plans before it builds anything.

    It survives, see ``SurvivingTrainer``, and says how well each pattern of sequences is segmented.

    An attribute that is None leaves nnU-Net's value. Raises ValueError where a declared split lacks the fold asked for.

    slices_per_epoch: as many iterations as it takes to train on so many slices, whatever the batch size, and a fifth as
    many to validate, as in nnU-Net; a sample of a 3D configuration counts as many slices as its patch has.
    seed: without augmentation workers (nnUNet_n_proc_DA=0), with MKL_CBWR=AUTO,STRICT and on the CPU the same training
    gives the same weights, resumed or not.
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
        self._say_what_nothing_reads()
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
        how = self.dataset_json.get(PREPARATION)
        return with_settings(
            plans,
            **({} if how is None else {PREPARATION: how}),
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
            self.print_to_log_file(f"Finding the lesions of {n_of(len(training.identifiers), 'training case')}.")
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
        if (n_left := self.num_epochs - self.current_epoch) > 0:
            begun, ended = (self.logger.get_value(f"epoch_{at}_timestamps", step=None) for at in ("start", "end"))
            self.print_to_log_file(expected_end(begun, ended, n_left))

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
                f"Fold {self.fold} is not declared: {splits_file} has {n_of(n_declared, 'split')}. nnU-Net would make "
                f"up a random one and mix the cohorts. Choose a fold from 0 to {n_declared - 1}, or all."
            )

    def _say_what_nothing_reads(self) -> None:
        """Raises ValueError where a class attribute is a misspelt setting; others are named in the log."""
        for name, meant in unknown_attributes(type(self), ours=OURS).items():
            problem = f"{type(self).__name__}.{name} has no effect"
            if meant:
                raise ValueError(f"{problem}. Write {meant}.")
            self.print_to_log_file(f"WARNING: {problem}, unless your own code reads it.")

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        """As nnU-Net's, but an epoch without foreground (Dice 0/0) leaves the moving average where it was."""
        super().on_validation_epoch_end(val_outputs)
        ema = self.logger.get_value("ema_fg_dice", step=None)
        if not np.isfinite(ema[-1]):
            ema[-1] = ema[-2] if len(ema) > 1 else 0.0


class Demo:
    """A few short epochs that a CPU finishes in minutes; the same number of slices for every trainer."""

    epochs: ClassVar[int | None] = 10
    iterations_per_epoch: ClassVar[int | None] = 50
    val_iterations_per_epoch: ClassVar[int | None] = 5
    largest_batch: ClassVar[int | None] = 6
