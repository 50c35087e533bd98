"""The trainers inside nnU-Net's own classes, on a tiny planned data set, without workers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_seqdropout.dropout import present_sequences
from nnunet_seqdropout.training_25d import CutOutWindow

OURS = ["TinySeqDropout", "TinyDeepLab", "TinyStockSeqDropout", "TinyStock"]
SLABS = ["TinySeqDropout", "TinyDeepLab"]
DROPOUT = ["TinySeqDropout", "TinyStockSeqDropout"]


@pytest.mark.parametrize("name", OURS)
def test_a_training_leaves_a_model_folder_that_says_what_it_is(make_trainer, name):
    trainer = make_trainer(name)
    trainer.run_training()
    plans = json.loads((in_folder(trainer) / "plans.json").read_text())
    assert plans["configurations"]["2d"]["batch_size"] == 2
    architecture = plans["configurations"]["2d"]["architecture"]["network_class_name"]
    assert (architecture == "nnunet_seqdropout.network.DeepLabV3Slab") == (name in SLABS)
    assert ("subset_law" in plans["seqdropout"]) == (name in DROPOUT)
    assert (in_folder(trainer) / "fold_0" / "checkpoint_final.pth").is_file()


def in_folder(trainer) -> Path:
    return Path(trainer.output_folder_base)


@pytest.mark.parametrize("name", SLABS)
def test_windows_come_with_the_label_of_their_centre_slice(make_trainer, name):
    trainer = make_trainer(name)
    trainer.initialize()
    for batch in (next(loader) for loader in trainer.get_dataloaders()):
        height, width = trainer.configuration_manager.patch_size[-2:]
        assert batch["data"].shape == (2, 4, 5, height, width)
        assert batch["target"].shape == (2, 1, 1, height, width)


def test_the_first_and_the_last_slice_can_be_the_centre_of_a_window(make_trainer):
    trainer = make_trainer("TinyDeepLab")
    trainer.initialize()
    trainer.oversample_foreground_percent = 0.0
    _, validation = trainer.get_dataloaders()
    filled = [
        tuple((sample != 0).any(dim=(0, 2, 3)).tolist()) for _ in range(100) for sample in next(validation)["data"]
    ]
    assert {(False, False, True, True, True), (True, True, True, False, False), (True,) * 5} <= set(filled)


@pytest.mark.parametrize("n_slices", [1, 3, 7])
def test_windows_of_any_odd_depth_survive_the_augmentation(make_trainer, n_slices, monkeypatch):
    """nnU-Net's blur mirrors at the border of a patch, which a patch of one or three slices is too thin for."""
    monkeypatch.setattr(RandomTransform, "get_parameters", lambda self, **data: {"apply_transform": True})
    trainer = make_trainer("TinySeqDropout")
    type(trainer).n_slices = n_slices
    trainer.initialize()
    training, _ = trainer.get_dataloaders()
    for _ in range(10):
        batch = next(training)
        assert batch["data"].shape[2] == n_slices
        assert batch["target"].shape[2] == 1
    assert np.isfinite(trainer.train_step(batch)["loss"])


def test_the_label_of_a_window_is_that_of_its_centre_slice():
    depth = torch.arange(5).view(1, 5, 1, 1)
    cut = CutOutWindow(3)(image=depth.float(), segmentation=depth)
    assert cut["image"].flatten().tolist() == [1, 2, 3]
    assert cut["segmentation"].flatten().tolist() == [2]


@pytest.mark.parametrize("name", DROPOUT)
def test_training_batches_lack_sequences_and_validation_batches_do_not(make_trainer, name):
    trainer = make_trainer(name)
    trainer.initialize()
    training, validation = trainer.get_dataloaders()
    np.random.seed(0)
    assert len({tuple(p) for _ in range(10) for p in present_sequences(next(training)["data"]).tolist()}) > 3
    seen = {tuple(p) for _ in range(30) for p in present_sequences(next(validation)["data"]).tolist()}
    # of the validation patients D has all four sequences and E lacks bravo
    assert seen == {(True,) * 4, (False, True, True, True)}


@pytest.mark.parametrize("name", DROPOUT)
def test_what_a_training_patient_lacks_never_comes_back(make_trainer, name):
    trainer = make_trainer(name, fold=1)
    trainer.initialize()
    training, _ = trainer.get_dataloaders()
    of_e = []
    while len(of_e) < 60:
        batch = next(training)
        present = present_sequences(batch["data"]).tolist()
        of_e += [p for key, p in zip(batch["keys"], present, strict=True) if key == "E"]
    assert not any(bravo for bravo, *_ in of_e)
    assert len({tuple(p) for p in of_e}) > 3


def test_the_first_layer_receives_the_rest_times_four_thirds_when_one_is_absent(make_trainer):
    trainer = make_trainer("TinySeqDropout")
    trainer.initialize()
    network = trainer.network.eval()
    received = []
    network.encoder.register_forward_pre_hook(lambda module, inputs: received.append(inputs[0].unflatten(1, (4, 5))))
    network.window_mode = True
    window = torch.randn(1, 4, 5, 32, 32)
    without_bravo = window.clone()
    without_bravo[:, 0] = 0
    network(window)
    network(without_bravo)
    assert torch.equal(received[0], window)
    assert not received[1][:, 0].any()
    torch.testing.assert_close(received[1][:, 1:], window[:, 1:] * (4 / 3))


def test_the_baseline_receives_its_input_as_it_is(make_trainer):
    trainer = make_trainer("TinyDeepLab")
    trainer.initialize()
    received = []
    trainer.network.encoder.register_forward_pre_hook(lambda module, inputs: received.append(inputs[0]))
    window = torch.randn(1, 4, 5, 32, 32)
    window[:, 0] = 0
    trainer.network.eval().window_mode = True
    trainer.network(window)
    assert torch.equal(received[0].unflatten(1, (4, 5)), window)


def test_only_the_online_validation_sees_windows(make_trainer):
    trainer = make_trainer("TinySeqDropout")
    trainer.initialize()
    trainer.on_validation_epoch_start()
    assert trainer.network.window_mode
    trainer.on_validation_epoch_end([validation_output(tp=1)])
    assert not trainer.network.window_mode


def validation_output(tp: int) -> dict:
    return {"loss": np.array(0.0), "tp_hard": np.array([tp]), "fp_hard": np.array([0]), "fn_hard": np.array([0])}


@pytest.mark.parametrize("name", OURS)
def test_checkpoint_best_survives_a_validation_epoch_without_foreground(make_trainer, name):
    trainer = make_trainer(name)
    trainer.initialize()
    averages = []
    for epoch, tp in enumerate((0, 5, 0, 5)):
        trainer.current_epoch = epoch
        with np.errstate(invalid="ignore"):
            trainer.on_validation_epoch_end([validation_output(tp)])
        averages.append(trainer.logger.get_value("ema_fg_dice", step=-1))
    # Dice 0/0, 1, 0/0, 1: the undefined ones leave the average; 0.9 x 0 + 0.1 x 1 = 0.1; 0.9 x 0.1 + 0.1 = 0.19
    assert averages == pytest.approx([0, 0.1, 0.1, 0.19])


def test_an_epoch_better_than_one_without_foreground_writes_checkpoint_best(make_trainer):
    trainer = make_trainer("TinySeqDropout")
    trainer.initialize()
    best = Path(trainer.output_folder) / "checkpoint_best.pth"
    written = []
    for tp in (0, 5):
        best.unlink(missing_ok=True)
        trainer.on_epoch_start()
        trainer.on_train_epoch_start()
        trainer.on_train_epoch_end([{"loss": np.array(0.0)}])
        with np.errstate(invalid="ignore"):
            trainer.on_validation_epoch_end([validation_output(tp)])
        trainer.on_epoch_end()
        written.append(best.is_file())
    assert written == [True, True]


def test_the_memory_that_a_gpu_needs_is_logged_for_every_epoch(make_trainer, monkeypatch):
    """On a stand-in for a GPU; of the first epoch, trained without it, nothing is known."""
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 3 * 2**20)
    trainer = make_trainer("TinySeqDropout")
    trainer.initialize()
    for device, tp in (("cpu", 0), ("cuda", 5)):
        trainer.on_epoch_start()
        trainer.on_train_epoch_start()
        trainer.on_train_epoch_end([{"loss": np.array(0.0)}])
        with np.errstate(invalid="ignore"):
            trainer.on_validation_epoch_end([validation_output(tp)])
        trainer.device = torch.device(device)
        trainer.on_epoch_end()
    logged = torch.load(Path(trainer.output_folder) / "checkpoint_best.pth", weights_only=False)["logging"]
    assert logged["gpu_mebibytes"] == pytest.approx([np.nan, 3.0], nan_ok=True)


@pytest.mark.parametrize("name", OURS)
def test_an_undeclared_fold_is_refused(make_trainer, name):
    with pytest.raises(ValueError, match=r"Fold 2 is not declared: .*splits_final.json has 2 split\(s\)"):
        make_trainer(name, fold=2).initialize()


@pytest.mark.parametrize("name", OURS)
def test_all_patients_may_be_trained_on(make_trainer, name):
    make_trainer(name, fold="all").initialize()


@pytest.mark.parametrize("name", SLABS)
def test_a_3d_configuration_is_refused_by_the_slab_network(make_trainer, name):
    with pytest.raises(ValueError, match="'3d_fullres' is 3D"):
        make_trainer(name, configuration="3d_fullres").initialize()


@pytest.mark.parametrize("name", DROPOUT)
def test_a_ct_channel_is_refused_unless_it_is_always_kept(make_trainer, name):
    trainer = make_trainer(name)
    trainer.dataset_json = {**trainer.dataset_json, "channel_names": {"0": "CT", "1": "a", "2": "b", "3": "c"}}
    with pytest.raises(ValueError, match="Channel 'CT' is normalised as CT"):
        trainer.initialize()
    type(trainer).always_keep = ("CT",)
    trainer.initialize()


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [("subset_law", "unifrom", "Unknown subset law 'unifrom'"), ("drop_probability", 1.5, "drop_probability is 1.5")],
)
def test_a_wrong_law_is_refused_before_anything_starts(make_trainer, attribute, value, message):
    trainer = make_trainer("TinySeqDropout")
    setattr(type(trainer), attribute, value)
    with pytest.raises(ValueError, match=message):
        trainer.initialize()


def test_a_cascade_is_refused(make_trainer):
    trainer = make_trainer("TinyStockSeqDropout", configuration="3d_fullres")
    trainer.is_cascaded = True
    with pytest.raises(ValueError, match="3d_fullres is a cascade"):
        trainer.initialize()


SHIPPED = {
    f"{trainer}{variant}": budget
    for trainer in ("SeqDropoutTrainer", "DeepLabV3Trainer", "nnUNetTrainerSeqDropout")
    for variant, budget in {
        "": (1000, 250),
        "_5epochs": (5, 250),
        "_50epochs": (50, 250),
        "_250epochs": (250, 250),
        "_demo": (10, 45),
    }.items()
} | {"nnUNetTrainer_demo": (10, 45)}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_trainer_is_found_and_runs_as_long_as_its_name_says(make_trainer, name):
    trainer = make_trainer(name)
    trainer.initialize()
    assert (trainer.num_epochs, trainer.num_iterations_per_epoch) == SHIPPED[name]
    assert trainer.lr_scheduler.max_steps == SHIPPED[name][0]
    if not name.startswith("nnUNetTrainer"):
        arguments = trainer.plans_manager.plans["configurations"]["2d"]["architecture"]["arch_kwargs"]
        assert arguments["backbone"] == ("resnet18" if name.endswith("_demo") else "resnet50")


def test_without_declared_splits_the_five_of_nnunet_may_be_trained(make_trainer, tmp_path):
    for fold, refused in ((4, False), (5, True)):
        trainer = make_trainer("TinySeqDropout", fold=fold)
        fingerprint = Path(trainer.preprocessed_dataset_folder_base) / "dataset_fingerprint.json"
        shutil.copy(fingerprint, tmp_path)
        trainer.preprocessed_dataset_folder_base = str(tmp_path)
        if refused:
            with pytest.raises(ValueError, match="Fold 5 is not declared"):
                trainer.initialize()
        else:
            trainer.initialize()


def test_a_kept_sequence_that_does_not_exist_is_refused(make_trainer):
    trainer = make_trainer("TinySeqDropout")
    type(trainer).always_keep = ("t2",)
    with pytest.raises(ValueError, match="always_keep names 't2'; this data set has bravo, t1_pre, t1_gd, flair"):
        trainer.initialize()


def test_settings_are_class_attributes_and_end_up_in_the_plans(make_trainer):
    trainer = make_trainer("TinySeqDropout")
    cls = type(trainer)
    cls.n_slices, cls.output_stride, cls.subset_law, cls.always_keep = 3, 16, "independent", ("t1_gd",)
    trainer.initialize()
    plans = trainer.plans_manager.plans
    assert plans["seqdropout"]["subset_law"] == "independent"
    assert plans["seqdropout"]["always_keep"] == ["t1_gd"]
    arguments = plans["configurations"]["2d"]["architecture"]["arch_kwargs"]
    assert (arguments["n_slices"], arguments["output_stride"]) == (3, 16)
    assert trainer.network.n_slices == 3


def test_initialising_from_plans_already_rewritten_changes_nothing(make_trainer):
    first = make_trainer("TinySeqDropout")
    first.initialize()
    second = make_trainer("TinySeqDropout")
    second._use_plans(first.plans_manager.plans)
    second.initialize()
    assert second.plans_manager.plans == first.plans_manager.plans


@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_planned_networks_with_dropout_interchange_checkpoints_with_stock_nnunet(make_trainer, configuration, tmp_path):
    ours, stock = (make_trainer(n, configuration=configuration) for n in ("TinyStockSeqDropout", "nnUNetTrainer"))
    for trainer in (ours, stock):
        trainer.initialize()
    assert type(stock) is nnUNetTrainer
    for source, target in ((ours, stock), (stock, ours)):
        with torch.no_grad():
            next(source.network.parameters()).add_(1)
        source.save_checkpoint(str(tmp_path / "checkpoint.pth"))
        target.load_checkpoint(str(tmp_path / "checkpoint.pth"))
        for name, weight in source.network.state_dict().items():
            assert torch.equal(weight, target.network.state_dict()[name])
    assert ours.network.decoder.deep_supervision
    assert stock.network.decoder.deep_supervision
