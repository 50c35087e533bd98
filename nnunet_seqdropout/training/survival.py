"""Keeps a training safe: one process per fold, whole checkpoints to go on from, an end where the loss is NaN."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from dataset_conversion.descendants import ended_with_this_process
from dataset_conversion.files.checksums import NAME as CHECKSUMS
from dataset_conversion.files.checksums import forget, is_unchanged, replace_recorded
from dataset_conversion.files.locks import only_writer
from dataset_conversion.files.staging import to_disk

FINAL, LATEST, PREVIOUS, BEST = (f"checkpoint_{name}.pth" for name in ("final", "latest", "previous", "best"))
MOST_UNDEFINED = 10
"""Steps in a row with a loss that is not finite. Mixed precision may have a few, after which it takes smaller steps."""


class CheckpointError(RuntimeError):
    """A checkpoint cannot be used, or would be lost."""


class SurvivingTrainer(nnUNetTrainer):
    """nnU-Net's trainer that loses nothing when it is killed, doubled, or learns nothing any more.

    Checkpoints are written whole; their SHA-256 stand in ``checksums.json``. There is the latest and the one before it.
    ``--c`` takes the first that is intact of the final, the latest, the previous and the best, and says so. A finished
    fold is not overwritten without ``--c``, and only one process writes into a fold. The training ends, without saving,
    where weights or ``MOST_UNDEFINED`` losses in a row are not finite.
    """

    def run_training(self) -> None:
        with self._alone():
            if (final := self._folder / FINAL).is_file() and self.current_epoch == 0:
                raise CheckpointError(
                    f"{final}: this fold is finished. Use --c to validate it again, train another fold, or move "
                    f"{self._folder} away to train it anew."
                )
            self._n_undefined = 0
            super().run_training()

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        with self._alone():
            super().perform_actual_validation(save_probabilities)

    def get_tr_and_val_datasets(self) -> tuple:
        plans, configuration = self.plans_manager, self.configuration_name
        command = f"nnUNetv2_preprocess -d {plans.dataset_name} -plans_name {plans.plans_name} -c {configuration}"
        training, validation = super().get_tr_and_val_datasets()
        return NamedCases(training, command), NamedCases(validation, command)

    def train_step(self, batch: dict) -> dict:
        output = super().train_step(batch)
        self._n_undefined = 0 if np.isfinite(output["loss"]) else self._n_undefined + 1
        if self._n_undefined >= MOST_UNDEFINED:
            raise CheckpointError(f"The loss of {MOST_UNDEFINED} steps in a row is not finite. {self._how_to_go_on()}")
        return output

    def save_checkpoint(self, filename: str) -> None:
        """As nnU-Net's, but whole or not at all, with its SHA-256; the latest one that is there becomes the previous.

        Raises CheckpointError where a weight is not finite.
        """
        if undefined := [name for name, w in self.network.state_dict().items() if not torch.isfinite(w).all()]:
            problem = f"{undefined[0]} and {len(undefined) - 1} other weights are not finite: nothing is saved."
            raise CheckpointError(f"{problem} {self._how_to_go_on()}")
        partial, final = Path(f"{filename}.partial"), Path(filename)
        super().save_checkpoint(str(partial))
        if self.local_rank != 0 or not partial.is_file():  # it is not, where checkpointing is switched off
            return
        to_disk(partial)
        if final.name == LATEST and final.is_file():
            shutil.copyfile(final, copy := final.with_name(f"{PREVIOUS}.partial"))
            to_disk(copy)
            replace_recorded(copy, final.with_name(PREVIOUS))
        replace_recorded(partial, final)

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        """As nnU-Net's; a training that goes on takes the next one where a checkpoint is damaged, and says so.

        Raises CheckpointError where none is left.
        """
        if not isinstance(filename_or_checkpoint, str):
            super().load_checkpoint(filename_or_checkpoint)
            return
        asked = Path(filename_or_checkpoint)
        first: Exception | None = None
        for file in [asked, *(self._others(asked) if self.logger.resume else ())]:
            try:
                self._load(file)
            except Exception as error:  # whatever reading a damaged file raises
                self.print_to_log_file(f"WARNING: {file} cannot be used: {error}")
                first = first or error
            else:
                if file != asked:
                    self.print_to_log_file(f"WARNING: going on from {file}, after epoch {self.current_epoch - 1}.")
                return
        remedy = "Restore it from a backup, or move it away to train anew."
        raise CheckpointError(f"{asked} cannot be used. {remedy}") from first

    def on_train_end(self) -> None:
        super().on_train_end()
        if self.local_rank == 0:
            # the final one is there
            forget(self._folder, [LATEST, PREVIOUS])

    def _load(self, file: Path) -> None:
        if is_unchanged(file) is False:
            record = file.with_name(CHECKSUMS)
            raise CheckpointError(f"its SHA-256 is not the one in {record}: it is damaged, or was put there later")
        super().load_checkpoint(str(file))

    def _others(self, asked: Path) -> list[Path]:
        files = [asked.with_name(name) for name in (FINAL, LATEST, PREVIOUS, BEST)]
        return [file for file in files if file != asked and file.is_file()]

    def _how_to_go_on(self) -> str:
        there = [name for name in (LATEST, PREVIOUS, BEST) if (self._folder / name).is_file()]
        if not there:
            return "There is no checkpoint from before: train anew, with a lower learning_rate."
        return f"{', '.join(there)} are from before: go on with --c, with a lower learning_rate."

    @property
    def _folder(self) -> Path:
        return Path(self.output_folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Within it no other process writes into the fold, and workers end with this process."""
        with only_writer(self._folder) if self.local_rank == 0 else nullcontext(), ended_with_this_process():
            yield


class NamedCases:
    """A preprocessed data set of nnU-Net that says of a case that cannot be read which it is and what to do."""

    def __init__(self, dataset: nnUNetBaseDataset, command: str) -> None:
        self.dataset, self.identifiers, self.command = dataset, dataset.identifiers, command

    def load_case(self, identifier: str) -> tuple:
        """Raises RuntimeError where the case cannot be read."""
        try:
            return self.dataset.load_case(identifier)
        except Exception as error:
            problem = f"The preprocessed case {identifier} cannot be read ({error})."
            raise RuntimeError(f"{problem} Make it again: {self.command}") from error
