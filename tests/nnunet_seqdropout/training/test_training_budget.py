"""How long a training is, that it can be repeated, and that a killed one leaves a whole checkpoint."""

import json
import shutil
from pathlib import Path

import pytest
import torch


@pytest.fixture
def seeded(make_trainer):
    """A trainer of three epochs of two iterations, in an empty folder unless it goes on where another ended."""

    def make(name: str, *, anew: bool = True, **settings):
        trainer = make_trainer(name)
        if anew:
            shutil.rmtree(trainer.output_folder, ignore_errors=True)
            Path(trainer.output_folder).mkdir(parents=True)
        defaults = {"epochs": 3, "iterations_per_epoch": 2, "seed": 5, "save_every_epochs": 1}
        for attribute, value in {**defaults, **settings}.items():
            setattr(trainer, attribute, value)
        return trainer

    return make


@pytest.mark.parametrize(
    ("name", "configuration", "slices_per_sample"),
    [
        ("TinySeqDropout", "2d", 1),
        ("TinyPlus", "2d", 1),
        ("TinyStock", "2d", 1),
        ("TinyStockSeqDropout", "3d_fullres", None),
    ],
)
def test_every_trainer_sees_as_many_slices_whatever_its_batch(make_trainer, name, configuration, slices_per_sample):
    trainer = make_trainer(name, configuration=configuration)
    trainer.slices_per_epoch, trainer.val_iterations_per_epoch = 601, None
    trainer.initialize()
    per_sample = slices_per_sample or trainer.configuration_manager.patch_size[0]
    seen = trainer.num_iterations_per_epoch * trainer.configuration_manager.batch_size * per_sample
    assert 601 <= seen < 601 + trainer.configuration_manager.batch_size * per_sample
    assert trainer.num_val_iterations_per_epoch == -(-trainer.num_iterations_per_epoch // 5)


def test_the_plans_say_how_long_a_model_was_trained(seeded):
    trainer = seeded("TinyStock")
    trainer.run_training()
    plans = json.loads((Path(trainer.output_folder_base) / "plans.json").read_text())
    said = {key: plans["seqdropout"][key] for key in ("epochs", "iterations_per_epoch", "slices_per_iteration")}
    assert said == {"epochs": 3, "iterations_per_epoch": 2, "slices_per_iteration": 2}


def weights(trainer) -> dict[str, torch.Tensor]:
    file = Path(trainer.output_folder) / "checkpoint_final.pth"
    return torch.load(file, weights_only=False)["network_weights"]


def same(first, second) -> bool:
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("TinySeqDropout", marks=pytest.mark.slow),
        pytest.param("TinyPlusSeqDropout", marks=pytest.mark.slow),
        "TinyStockSeqDropout",
    ],
)
def test_the_same_seed_gives_the_same_weights_also_when_it_was_interrupted(seeded, name):
    trainer = seeded(name, epochs=2)
    trainer.run_training()
    whole = weights(trainer)
    interrupted = seeded(name, epochs=2)
    interrupted.on_epoch_end = lambda: stop_after_the_first(interrupted)
    with pytest.raises(KeyboardInterrupt):
        interrupted.run_training()
    resumed = seeded(name, anew=False, epochs=2)
    resumed.load_checkpoint(str(Path(resumed.output_folder) / "checkpoint_latest.pth"))
    assert resumed.current_epoch == 1
    resumed.run_training()
    assert same(whole, weights(resumed))
    other = seeded(name, seed=6, epochs=2)
    other.run_training()
    assert not same(whole, weights(other))


def stop_after_the_first(trainer) -> None:
    type(trainer).on_epoch_end(trainer)
    raise KeyboardInterrupt


def test_a_training_killed_while_it_saves_keeps_the_checkpoint_before(seeded, monkeypatch):
    trainer = seeded("TinyStock")
    trainer.initialize()
    file = Path(trainer.output_folder) / "checkpoint_latest.pth"
    trainer.save_checkpoint(str(file))
    before = file.read_bytes()

    def dies_half_way(checkpoint, target) -> None:
        Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", dies_half_way)
    with pytest.raises(KeyboardInterrupt):
        trainer.save_checkpoint(str(file))
    assert file.read_bytes() == before


def test_without_checkpointing_nothing_is_written(seeded):
    trainer = seeded("TinyStock")
    trainer.initialize()
    trainer.disable_checkpointing = True
    trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_latest.pth"))
    assert not list(Path(trainer.output_folder).glob("checkpoint*"))
