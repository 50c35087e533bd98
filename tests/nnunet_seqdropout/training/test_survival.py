"""What a training leaves when it is killed, doubled, fed with broken files, or learns nothing any more."""

import multiprocessing
import os
import shutil
import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, SpawnContext
from pathlib import Path

import numpy as np
import pytest
import torch
from running_processes import is_running

from dataset_conversion.descendants import ended_with_this_process
from dataset_conversion.faults import Fault
from dataset_conversion.files.checksums import is_unchanged
from dataset_conversion.files.locks import only_writer
from nnunet_seqdropout.training.survival import BEST, FINAL, LATEST, MOST_UNDEFINED, PREVIOUS, CheckpointError


@pytest.fixture
def trainer(make_trainer):
    """Of a fold of which nothing is there."""
    made = make_trainer("TinyStock", fold=1)
    shutil.rmtree(made.output_folder)
    Path(made.output_folder).mkdir()
    made.initialize()
    return made


def folder(trainer) -> Path:
    return Path(trainer.output_folder)


def save(trainer, name: str, *, epoch: int) -> Path:
    trainer.current_epoch = epoch
    trainer.save_checkpoint(str(folder(trainer) / name))
    return folder(trainer) / name


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at % len(content)] ^= 1
    file.write_bytes(bytes(content))


def test_the_latest_checkpoint_and_the_one_before_are_there_and_known(trainer):
    for epoch in range(3):
        save(trainer, LATEST, epoch=epoch)
    there = {name: torch.load(folder(trainer) / name, weights_only=False) for name in (LATEST, PREVIOUS)}
    # nnU-Net stores the epoch that comes next
    assert {name: content["current_epoch"] for name, content in there.items()} == {LATEST: 3, PREVIOUS: 2}
    assert is_unchanged(folder(trainer) / LATEST) is True
    assert is_unchanged(folder(trainer) / PREVIOUS) is True


def test_a_finished_training_has_no_previous_checkpoint(trainer):
    save(trainer, LATEST, epoch=0)
    save(trainer, LATEST, epoch=1)
    trainer.current_epoch = 0
    trainer.run_training()
    names = {file.name for file in folder(trainer).glob("checkpoint*")}
    assert names == {FINAL, BEST}
    assert not list(folder(trainer).glob(".seqdropout*"))


@pytest.mark.parametrize(
    ("damaged", "taken"),
    [((), LATEST), ((LATEST,), PREVIOUS), ((LATEST, PREVIOUS), BEST)],
)
def test_a_training_goes_on_from_the_newest_checkpoint_that_is_whole(trainer, damaged, taken, capsys):
    save(trainer, BEST, epoch=3)
    for epoch in (10, 20):
        save(trainer, LATEST, epoch=epoch)
    for name in damaged:
        flip(folder(trainer) / name, at=5000)
    trainer.logger.resume = True  # as with --c
    trainer.load_checkpoint(str(folder(trainer) / LATEST))
    assert trainer.current_epoch == {LATEST: 21, PREVIOUS: 11, BEST: 4}[taken]
    printed = capsys.readouterr().out
    assert printed.count("cannot be used: its SHA-256 is not the one in") == len(damaged)
    assert (f"going on from {folder(trainer) / taken}" in printed) == bool(damaged)


def test_without_a_record_a_truncated_checkpoint_is_passed_over_too(trainer):
    save(trainer, BEST, epoch=3)
    latest = save(trainer, LATEST, epoch=10)
    (folder(trainer) / "checksums.json").unlink()
    latest.write_bytes(latest.read_bytes()[:3000])
    trainer.logger.resume = True
    trainer.load_checkpoint(str(latest))
    assert trainer.current_epoch == 4


@pytest.mark.parametrize("resumed", [True, False])
def test_where_no_other_checkpoint_may_be_taken_the_damaged_one_is_an_error(trainer, resumed):
    """A validation of another checkpoint than the one that was asked for would be a lie."""
    final = save(trainer, FINAL, epoch=0)
    if not resumed:
        save(trainer, BEST, epoch=0)
    flip(final, at=4000)
    trainer.logger.resume = resumed
    with pytest.raises(CheckpointError, match=f"{FINAL} cannot be used"):
        trainer.load_checkpoint(str(final))


def test_twenty_flipped_bytes_are_found(trainer):
    final = save(trainer, FINAL, epoch=0)
    whole = final.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 20).astype(int):
        flip(final, at=int(place))
        with pytest.raises(CheckpointError):
            trainer.load_checkpoint(str(final))
        final.write_bytes(whole)
    trainer.load_checkpoint(str(final))


def test_a_finished_fold_is_not_overwritten(trainer):
    final = save(trainer, FINAL, epoch=0)
    before = final.read_bytes()
    trainer.current_epoch = 0
    with pytest.raises(CheckpointError, match=f"{FINAL}: this fold is finished. Use --c"):
        trainer.run_training()
    assert final.read_bytes() == before


def test_two_trainings_of_one_fold_are_refused(trainer):
    with only_writer(folder(trainer)):
        with pytest.raises(Fault, match=f"process {os.getpid()} on .* is writing here"):
            trainer.run_training()
        with pytest.raises(Fault, match="is writing here"):
            trainer.perform_actual_validation()


def test_a_loss_that_is_not_a_number_ends_the_training(trainer):
    """Ten steps in a row; three, then a number, and three more go on."""
    losses = iter([np.nan] * 3 + [0.5] + [np.inf] * MOST_UNDEFINED)
    trainer.num_iterations_per_epoch, trainer.num_epochs = 20, 1
    with pytest.MonkeyPatch.context() as patched:
        stock = "nnunetv2.training.nnUNetTrainer.nnUNetTrainer.nnUNetTrainer.train_step"
        patched.setattr(stock, lambda self, batch: {"loss": np.float32(next(losses))})
        with pytest.raises(CheckpointError, match=r"loss of 10 steps in a row is not finite\. There is no checkpoint"):
            trainer.run_training()
    assert next(losses, None) is None
    assert not list(folder(trainer).glob("checkpoint*"))


def test_weights_that_are_not_numbers_are_not_saved_over_good_ones(trainer):
    best = save(trainer, BEST, epoch=0)
    before = best.read_bytes()
    with torch.no_grad():
        next(trainer.network.parameters()).view(-1)[3] = torch.nan
    with pytest.raises(CheckpointError, match=rf"not finite: nothing is saved. {BEST} are from before: go on with --c"):
        trainer.save_checkpoint(str(best))
    assert best.read_bytes() == before
    assert not list(folder(trainer).glob("*.partial"))


def test_a_preprocessed_case_that_cannot_be_read_is_named(trainer, monkeypatch):
    def broken(self, identifier):
        if identifier == "D":
            raise OSError("blosc")
        return read(self, identifier)

    read = trainer.dataset_class.load_case
    monkeypatch.setattr(trainer.dataset_class, "load_case", broken)
    training, _ = trainer.get_tr_and_val_datasets()
    assert len(training.load_case("C")) == 4
    command = "nnUNetv2_preprocess -d Dataset001_Four -plans_name nnUNetPlans -c 2d"
    with pytest.raises(RuntimeError, match=rf"case D cannot be read \(blosc\). Make it again: {command}"):
        training.load_case("D")


def _start_a_worker(context: ForkContext | SpawnContext, tell: Connection) -> None:
    with ended_with_this_process():
        worker = context.Process(target=time.sleep, args=(60,))
        worker.start()
        tell.send(worker.pid)
        time.sleep(60)


@pytest.mark.parametrize("of_worker", [multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")])
def test_a_worker_ends_with_the_process_that_started_it(of_worker):
    """Which is killed: it has no time to say so."""
    context = multiprocessing.get_context("fork")
    told, tell = context.Pipe(duplex=False)
    parent = context.Process(target=_start_a_worker, args=(of_worker, tell))
    parent.start()
    worker = told.recv()
    assert parent.pid is not None
    time.sleep(2)
    assert is_running(worker)
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    until = time.monotonic() + 5
    while is_running(worker) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running(worker)
