"""Dice per availability pattern in the online validation: counted by hand, as nnU-Net counts, over processes."""

import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import seaborn
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from nnunetv2.run.run_training import get_trainer_from_args
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_seqdropout.training.pattern_dice import count_per_sample, dice_per_pattern, sequences_there
from nnunet_seqdropout.training.pattern_plot import NAME, draw_patterns, moving_average, write_pattern_plot

COMPLETE, WITHOUT_BRAVO = "bravo+t1_pre+t1_gd+flair", "t1_pre+t1_gd+flair"
LABELS = LabelManager({"background": 0, "lesion": 1}, None)
STOCK_KEYS = ("loss", "tp_hard", "fp_hard", "fn_hard")


def logits(labels: list[int]) -> torch.Tensor:
    """A row of voxels, (1, 2, 1, n), whose most probable labels are these."""
    lesion = torch.tensor(labels, dtype=torch.float32).view(1, 1, 1, -1)
    return torch.cat((1 - lesion, lesion), dim=1)


def test_two_patterns_counted_by_hand():
    predicted = torch.cat([logits([1, 1, 1, 0, 0, 0]), logits([1, 0, 0, 0, 0, 0]), logits([0, 0, 0, 0, 1, 1])])
    target = torch.tensor([[0, 1, 1, 1, 1, 0], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]]).view(3, 1, 1, 6)
    counts = count_per_sample(predicted, target, LABELS)
    # tp, fp, fn: voxels 1 2 are hit, 0 is false, 3 4 are missed; one hit; one hit and one false
    assert counts[:, :, 0].tolist() == [[2, 1, 2], [1, 0, 0], [1, 1, 0]]
    found = dice_per_pattern(zip(("t1_gd", "t1_gd+flair", "t1_gd"), counts, strict=True))
    # t1_gd alone: tp 3, fp 2, fn 2, so 6 / 10
    assert found == {"t1_gd+flair": {"dice": [1.0], "n_patches": 1}, "t1_gd": {"dice": [0.6], "n_patches": 2}}


def test_ignored_voxels_are_not_counted():
    labels = LabelManager({"background": 0, "lesion": 1, "ignore": 2}, None)
    target = torch.tensor([1, 2, 0, 2]).view(1, 1, 1, 4)
    assert count_per_sample(logits([1, 1, 1, 0]), target, labels)[0, :, 0].tolist() == [1, 1, 0]


def test_a_pattern_without_foreground_has_no_dice():
    (found,) = dice_per_pattern([("flair", np.zeros((3, 2), np.float32))]).values()
    assert np.isnan(found["dice"]).all()


def test_a_placeholder_is_absent_whatever_the_normalisation_made_of_it():
    image = np.random.default_rng(0).normal(size=(3, 4, 4))
    image[0] = 0  # an empty slice does not make a sequence absent
    volume = np.stack([image, np.zeros_like(image), np.full_like(image, -1.3)])
    assert sequences_there(volume) == (True, False, False)


REGIONS = {"background": 0, "whole": [1, 2], "core": 2}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("deep_supervision", [True, False])
@pytest.mark.parametrize(
    ("labels", "n_outputs", "largest", "n_targets"),
    [
        (LabelManager({"background": 0, "a": 1, "b": 2}, None), 3, 2, 1),
        (LabelManager({"background": 0, "a": 1, "b": 2, "ignore": 3}, None), 3, 3, 1),
        (LabelManager(REGIONS, [1, 2]), 2, 1, 2),
        (LabelManager({**REGIONS, "ignore": 3}, [1, 2]), 2, 1, 3),
    ],
)
def test_nnunets_own_numbers_stay_and_the_samples_add_up_to_them(
    make_trainer, labels, n_outputs, largest, n_targets, deep_supervision, dtype
):
    torch.manual_seed(0)
    output = torch.randn(4, n_outputs, 3, 8, 8).to(dtype)
    target = torch.randint(0, largest + 1, (4, n_targets, 3, 8, 8), dtype=torch.int16)
    trainer = make_trainer("TinyStock")
    trainer.label_manager, trainer.enable_deep_supervision = labels, deep_supervision
    trainer.network = lambda data: [output, output[..., ::2]] if deep_supervision else output
    trainer.loss = Loss()
    trainer._patterns = {"D": COMPLETE, "E": WITHOUT_BRAVO}

    def batch() -> dict:
        """Anew, since nnU-Net writes into the target."""
        targets = [target.clone(), target[..., ::2].clone()] if deep_supervision else target.clone()
        return {"data": torch.zeros(4, 4, 3, 8, 8), "target": targets, "keys": np.array(["D", "E", "E", "D"])}

    stock, ours = nnUNetTrainer.validation_step(trainer, batch()), trainer.validation_step(batch())
    for key in STOCK_KEYS:
        np.testing.assert_array_equal(ours[key], stock[key])
    assert [pattern for pattern, _ in ours["samples"]] == [COMPLETE, WITHOUT_BRAVO, WITHOUT_BRAVO, COMPLETE]
    summed = np.sum([voxels for _, voxels in ours["samples"]], axis=0)
    np.testing.assert_array_equal(summed, [stock[key] for key in STOCK_KEYS[1:]])
    assert not trainer.loss._forward_hooks


class Loss(torch.nn.Module):
    def forward(self, output, target):
        return (output[0] if isinstance(output, list) else output).float().mean()


def outcome(*samples: tuple[str, list[int]]) -> dict:
    """What a validation step returns for samples of tp, fp, fn."""
    counts = [(pattern, np.array(voxels, np.float32)[:, None]) for pattern, voxels in samples]
    tp, fp, fn = np.sum([voxels for _, voxels in counts], axis=0)
    return {"loss": np.array(0.5), "tp_hard": tp, "fp_hard": fp, "fn_hard": fn, "samples": counts}


def test_the_logged_values_of_nnunet_are_those_of_nnunet(make_trainer):
    outputs = [outcome((COMPLETE, [6, 1, 1]), (WITHOUT_BRAVO, [1, 1, 5])), outcome((COMPLETE, [2, 0, 1]))]
    ours, stock = make_trainer("TinyStock"), make_trainer("nnUNetTrainer")
    ours._patterns = {"D": COMPLETE, "E": WITHOUT_BRAVO}
    for trainer in (ours, stock):
        trainer.on_validation_epoch_end(outputs)
    logged = ours.logger.get_checkpoint()
    # 2 x 8 / (2 x 8 + 1 + 2) and 2 x 1 / (2 x 1 + 1 + 5)
    expected = {COMPLETE: {"dice": [16 / 19], "n_patches": 2}, WITHOUT_BRAVO: {"dice": [0.25], "n_patches": 1}}
    assert logged.pop("dice_per_pattern") == [expected]
    assert logged == stock.logger.get_checkpoint()
    log = Path(ours.log_file).read_text()
    assert f"Pseudo dice of {COMPLETE} [0.8421] (patches: 2 of 3)" in log
    assert f"Pseudo dice of {WITHOUT_BRAVO} [0.25] (patches: 1 of 3)" in log


def _validate(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    trainer = get_trainer_from_args("1", "2d", 0, "TinyStock", device=torch.device("cpu"))
    trainer._patterns = {"D": COMPLETE, "E": WITHOUT_BRAVO}
    of_ranks = [outcome((COMPLETE, [6, 1, 1]), (WITHOUT_BRAVO, [1, 1, 5])), outcome((COMPLETE, [2, 0, 1]))]
    trainer.on_validation_epoch_end([of_ranks[rank]])
    Path(folder, f"{rank}.json").write_text(json.dumps(trainer.logger.get_value("dice_per_pattern", step=0)))
    dist.destroy_process_group()


def test_two_processes_log_the_patches_of_both(in_host, tmp_path):
    mp.spawn(_validate, args=(str(tmp_path),), nprocs=2)
    expected = {COMPLETE: {"dice": [16 / 19], "n_patches": 2}, WITHOUT_BRAVO: {"dice": [0.25], "n_patches": 1}}
    assert [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)] == [expected] * 2


@pytest.mark.parametrize("name", ["TinySeqDropout", "TinyStockSeqDropout"])
def test_a_mixed_cohort_is_reported_by_what_each_patient_has(make_trainer, name):
    trainer = make_trainer(name)
    trainer.on_train_start()
    # of the validation patients D has all four sequences and E lacks bravo
    assert trainer._patterns == {"D": COMPLETE, "E": WITHOUT_BRAVO}
    batches = [next(trainer.dataloader_val) for _ in range(5)]
    trainer.on_validation_epoch_start()
    for batch in batches:
        with torch.no_grad():
            step = trainer.validation_step(batch)
        assert [pattern for pattern, _ in step["samples"]] == [trainer._patterns[key] for key in batch["keys"]]
        summed = np.sum([voxels for _, voxels in step["samples"]], axis=0)
        np.testing.assert_array_equal(summed, [step[key] for key in STOCK_KEYS[1:]])


def test_patients_who_all_have_the_same_sequences_add_nothing(make_trainer):
    trainer = make_trainer("TinySeqDropout", fold=1)
    trainer.run_training()
    assert "dice_per_pattern" not in trainer.logger.get_checkpoint()
    assert "Pseudo dice of" not in Path(trainer.log_file).read_text()
    assert not (Path(trainer.output_folder) / NAME).exists()


def test_lists_stay_as_long_as_each_other_where_patterns_come_and_go(make_trainer):
    """nnU-Net draws as many epochs as its shortest list has; its own know no patterns, nor do those of fold 1."""
    checkpoint = None
    for n_epochs, fold in enumerate((1, 0, 1), start=1):
        trainer = make_trainer("TinyStock", fold=fold)
        type(trainer).epochs = n_epochs
        if checkpoint is not None:
            trainer.load_checkpoint(str(checkpoint))
        trainer.run_training()
        checkpoint = Path(trainer.output_folder) / "checkpoint_final.pth"
        logged = trainer.logger.get_checkpoint()
        assert {len(values) for values in logged.values()} == {n_epochs}
        assert ("dice_per_pattern" in logged) == (Path(trainer.output_folder) / NAME).is_file() == (n_epochs > 1)
    before, mixed, after = logged["dice_per_pattern"]
    assert before == after == {}
    assert sum(found["n_patches"] for found in mixed.values()) == 2


def test_what_nnunets_own_plot_leaves_behind_does_not_change_the_picture(tmp_path):
    epochs = [{"flair": {"dice": [0.5], "n_patches": 1}}]
    with matplotlib.rc_context():
        write_pattern_plot(tmp_path, epochs)
        before = (tmp_path / NAME).read_bytes()
        seaborn.set_theme(font_scale=2.5)
        write_pattern_plot(tmp_path, epochs)
        assert (tmp_path / NAME).read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == [NAME]


def test_the_moving_average_is_nnunets_and_steps_over_undefined_epochs():
    # 0.9 x 0.5 + 0.1 x 1
    np.testing.assert_allclose(moving_average(np.array([np.nan, 0.5, np.nan, 1])), [np.nan, 0.5, 0.5, 0.55])


def test_every_pattern_has_a_curve_of_its_own_in_the_picture():
    epochs = [
        {},
        {"t1_gd": {"dice": [0.2, float("nan")], "n_patches": 1}, "flair": {"dice": [0.6, 0.4], "n_patches": 3}},
    ]
    (axes,) = draw_patterns(epochs).axes
    dots, curves = axes.lines[::2], axes.lines[1::2]
    assert [curve.get_label() for curve in curves] == ["flair", "t1_gd"]
    assert curves[0].get_color() != curves[1].get_color()
    shown = np.array([np.asarray(line.get_ydata()) for line in dots])
    np.testing.assert_allclose(shown, np.array([[np.nan, 0.5], [np.nan, 0.2]]))
