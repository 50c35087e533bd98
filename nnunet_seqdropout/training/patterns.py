"""Adds Dice per availability pattern to a trainer: counts in the online validation, logs and plots."""

from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from numpy.typing import NDArray
from torch import distributed, nn

from dataset_conversion.files.texts.dataset_json import channel_names
from dataset_conversion.sequences import Pattern
from nnunet_seqdropout.training.pattern_dice import Sample, count_per_sample, dice_per_pattern, sequences_there

LOGGED_AS = "dice_per_pattern"
"""The key in nnU-Net's logger and in the checkpoints' ``logging``: a ``PatternDice`` for every epoch."""


class DicePerPattern(nnUNetTrainer):
    """Says after every epoch how well the validation patients with the same sequences are segmented.

    A pattern is what a patient really has; under sequence dropout the patches are shown with fewer sequences, drawn in
    ``WithSequenceDropout.validation_step``. It adds lines to the training log, a key to the logger and
    ``progress_patterns.png``, and leaves nnU-Net's own figures as they are. Where all validation patients of the fold
    have the same sequences, it adds nothing.
    """

    def initialize(self) -> None:
        self._patterns: dict[str, str] = {}
        super().initialize()

    @property
    def _sequences(self) -> tuple[str, ...]:
        """The declared sequences in channel order."""
        return channel_names(self.dataset_json["channel_names"])

    def get_tr_and_val_datasets(self) -> tuple:
        training, validation = super().get_tr_and_val_datasets()
        patterns = {
            case: str(Pattern.of(sequences_there(validation.load_case(case)[0]), self._sequences))
            for case in validation.identifiers
        }
        self._patterns = patterns if len(set(patterns.values())) > 1 else {}
        return training, validation

    def validation_step(self, batch: dict) -> dict:
        """nnU-Net's, and the voxels of every sample under ``samples``: counted where the loss meets the output."""
        if not self._patterns:
            return super().validation_step(batch)
        counted: list[NDArray[np.float32]] = []

        def count(loss: nn.Module, inputs: tuple[Any, Any], value: Any) -> None:
            output, target = (x[0] for x in inputs) if self.enable_deep_supervision else inputs
            counted.extend(count_per_sample(output, target, self.label_manager))

        with self.loss.register_forward_hook(count):
            step = super().validation_step(batch)
        return {**step, "samples": list(zip((self._patterns[key] for key in batch["keys"]), counted, strict=True))}

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        super().on_validation_epoch_end(val_outputs)
        if not self._patterns and LOGGED_AS not in self.logger.get_checkpoint():
            return
        dice = dice_per_pattern(self._samples_of_all_processes(val_outputs))
        n_patches = sum(found["n_patches"] for found in dice.values())
        for name, found in dice.items():
            rounded = [round(value, 4) for value in found["dice"]]
            self.print_to_log_file(f"Pseudo dice of {name} {rounded} (patches: {found['n_patches']} of {n_patches})")
        self.log_ours(LOGGED_AS, dice, nothing={})

    def log_ours(self, key: str, value: Any, *, nothing: Any) -> None:
        """Logs what nnU-Net does not. nothing: stands for each epoch before the first that was logged, such as stock's.

        nnU-Net's logger takes known keys only, and wants every list as long as the others.
        """
        epochs = self.logger.get_checkpoint().setdefault(key, [])
        epochs += [nothing] * (self.current_epoch - len(epochs))
        self.logger.log(key, value, self.current_epoch)

    def _samples_of_all_processes(self, val_outputs: list[dict]) -> list[Sample]:
        samples = [sample for output in val_outputs for sample in output.get("samples", ())]
        if not self.is_ddp:
            return samples
        gathered: list[Any] = [None] * distributed.get_world_size()
        distributed.all_gather_object(gathered, samples)
        return [sample for process in gathered for sample in process]

    def on_epoch_end(self) -> None:
        super().on_epoch_end()
        epochs = self.logger.get_checkpoint().get(LOGGED_AS)
        if self.local_rank == 0 and epochs:
            # here, since predicting needs the trainer too, and no plots
            from nnunet_seqdropout.training.pattern_plot import write_pattern_plot

            write_pattern_plot(Path(self.output_folder), epochs)
