"""The trainers inside nnU-Net's own classes, on a tiny planned data set, without workers."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from conftest import SEQUENCES
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from scipy.stats import chisquare

from dataset_conversion.sequences import Pattern
from nnunet_seqdropout.dropout import present_sequences, rescaling_of
from nnunet_seqdropout.subsets import subsets
from nnunet_seqdropout.training.remaining_time import expected_end
from nnunet_seqdropout.training.windows import CutOutWindow

SLABS = ["TinySeqDropout", "TinyDeepLab", "TinyPlusSeqDropout", "TinyPlus"]
PLUS = ["TinyPlusSeqDropout", "TinyPlus"]
OURS = [*SLABS, "TinyStockSeqDropout", "TinyStock"]
DROPOUT = ["TinySeqDropout", "TinyPlusSeqDropout", "TinyStockSeqDropout"]


def with_settings(trainer, **settings):
    """The trainer, of its class attributes those given changed."""
    for attribute, value in settings.items():
        assert hasattr(type(trainer), attribute)
        setattr(trainer, attribute, value)
    return trainer


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


@pytest.mark.parametrize(
    ("name", "n_slices"),
    [("TinySeqDropout", 1), ("TinySeqDropout", 3), ("TinySeqDropout", 7), ("TinyPlusSeqDropout", 3)],
)
def test_windows_of_any_odd_depth_survive_the_augmentation(make_trainer, name, n_slices, monkeypatch):
    """nnU-Net's blur mirrors at the border of a patch, which a patch of one or three slices is too thin for."""
    monkeypatch.setattr(RandomTransform, "get_parameters", lambda self, **data: {"apply_transform": True})
    trainer = make_trainer(name)
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
def test_training_batches_lack_sequences_and_those_loaded_for_validation_do_not(make_trainer, name):
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
    of_e: list[list[bool]] = []
    while len(of_e) < 60:
        batch = next(training)
        present = present_sequences(batch["data"]).tolist()
        of_e += [p for key, p in zip(batch["keys"], present, strict=True) if key == "E"]
    assert not any(bravo for bravo, *_ in of_e)
    assert len({tuple(p) for p in of_e}) > 3


@pytest.mark.parametrize(("rescale", "factor"), [("paper", 4 / 3), ("sqrt", (4 / 3) ** 0.5), ("none", 1)])
@pytest.mark.parametrize("name", ["TinySeqDropout", "TinyPlusSeqDropout"])
def test_the_first_layer_receives_the_rest_times_the_factor_when_one_is_absent(make_trainer, name, rescale, factor):
    trainer = with_settings(make_trainer(name), rescale=rescale)
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
    torch.testing.assert_close(received[1][:, 1:], window[:, 1:] * factor)


@pytest.mark.parametrize(("rescale", "factor"), [("paper", 2), ("sqrt", 2**0.5), ("none", 1)])
def test_a_training_batch_is_multiplied_by_the_factor_chosen(make_trainer, monkeypatch, rescale, factor):
    """Of a volume of ones that is not augmented, whose first two sequences are always and alone kept."""
    monkeypatch.setattr(nnUNetTrainer, "get_training_transforms", lambda *args, **kwargs: ComposeTransforms([]))
    kept = {"bravo+t1_pre": 1.0}
    others = {str(Pattern.of(p, SEQUENCES)): 0.0 for p in subsets([True] * 4)}
    trainer = with_settings(
        make_trainer("TinyStockSeqDropout"), rescale=rescale, subset_law="weights", subset_weights={**others, **kept}
    )
    trainer.initialize()
    transforms = trainer.get_training_transforms()
    ones = transforms(image=torch.ones(4, 6, 6), segmentation=torch.zeros(1, 6, 6))["image"]
    assert torch.equal(ones[2:], torch.zeros(2, 6, 6))
    torch.testing.assert_close(ones[:2], torch.full((2, 6, 6), float(factor)))


@pytest.mark.parametrize("name", DROPOUT)
def test_a_model_of_version_0_1_0_has_the_papers_factor(make_trainer, name):
    """Its plans do not say how it rescales."""
    trainer = with_settings(make_trainer(name), rescale="none")
    trainer.initialize()
    for plans, expected in (
        (trainer.plans_manager.plans, "none"),
        ({**trainer.plans_manager.plans, "seqdropout": {"version": "0.1.0"}}, "paper"),
    ):
        manager = PlansManager(plans)
        network = type(trainer).build_network_architecture(manager, manager.get_configuration("2d"), 4, 2, False)
        assert rescaling_of(network) == expected


@pytest.mark.parametrize("name", ["TinyDeepLab", "TinyPlus"])
def test_the_baseline_receives_its_input_as_it_is(make_trainer, name):
    trainer = make_trainer(name)
    trainer.initialize()
    received = []
    trainer.network.encoder.register_forward_pre_hook(lambda module, inputs: received.append(inputs[0]))
    window = torch.randn(1, 4, 5, 32, 32)
    window[:, 0] = 0
    trainer.network.eval().window_mode = True
    trainer.network(window)
    assert torch.equal(received[0].unflatten(1, (4, 5)), window)


@pytest.mark.parametrize("name", SLABS)
def test_only_the_online_validation_sees_windows(make_trainer, name):
    trainer = make_trainer(name)
    trainer.initialize()
    trainer.on_validation_epoch_start()
    assert trainer.network.window_mode
    trainer.on_validation_epoch_end([validation_output(tp=1)])
    assert not trainer.network.window_mode


class Shown:
    """What ``validation_step`` shows the network of two samples: which sequences of each, over a whole epoch."""

    def __init__(self, trainer) -> None:
        self.trainer = trainer
        trainer.initialize()
        trainer.enable_deep_supervision, trainer.loss = False, lambda output, target: torch.zeros(())
        # a window of the 2.5D network, or a slice
        spatial = (5, 4, 4) if len(trainer.configuration_manager.patch_size) == 3 else (4, 4)
        self.data = torch.ones(2, 4, *spatial)
        self.target = torch.zeros(2, 1, *(spatial if len(spatial) == 2 else (1, 4, 4)))

    def present(self, n_steps: int, *, absent_from_the_second: Sequence[int] = ()) -> list[tuple[bool, ...]]:
        """Of an epoch of two samples a step, the second of which lacks some sequences."""
        data = self.data.clone()
        data[1, list(absent_from_the_second)] = 0
        batch = {"data": data, "target": self.target, "keys": ["D", "E"]}
        network, self.trainer.network = self.trainer.network, Answers(torch.zeros(2, 2, *self.target.shape[2:]))
        self.trainer.on_validation_epoch_start()
        for _ in range(n_steps):
            self.trainer.validation_step(batch)
        shown, self.trainer.network = torch.cat(self.trainer.network.shown), network
        # not rescaled: the network does that
        assert set(shown.unique().tolist()) <= {0.0, 1.0}
        return [tuple(p) for p in present_sequences(shown).tolist()]


class Answers(torch.nn.Module):
    """A network that notes what it is shown and always says the same."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer, self.window_mode = answer, False
        self.shown: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shown.append(x)
        return self.answer


@pytest.mark.parametrize("name", DROPOUT)
def test_the_online_validation_sees_the_same_subsets_in_every_epoch(make_trainer, name):
    np.random.seed(0)
    shown = Shown(make_trainer(name))
    first = shown.present(30)
    np.random.random(100)
    assert shown.present(30) == first
    # drawn for every sample by itself: 60 times one of 15
    assert len(set(first)) > 10


def test_the_online_validation_draws_by_the_law_of_the_training(make_trainer):
    weights = {str(Pattern.of(p, SEQUENCES)): 0.0 for p in subsets([True] * 4)} | {"flair": 1.0, "bravo+flair": 3.0}
    law = {"subset_law": "weights", "subset_weights": weights}
    shown = Counter(Shown(with_settings(make_trainer("TinyStockSeqDropout"), **law)).present(200))
    assert shown.keys() == {(False, False, False, True), (True, False, False, True)}
    # of 400 samples a quarter and three quarters
    assert chisquare([shown[False, False, False, True], shown[True, False, False, True]], [100, 300]).pvalue > 1e-3


@pytest.mark.parametrize("name", DROPOUT)
def test_the_online_validation_shows_nothing_that_the_patient_lacks(make_trainer, name):
    seen = Shown(make_trainer(name)).present(100, absent_from_the_second=[0, 2])
    # of the first patient all 15 subsets, of the second those of its two sequences: 3
    assert len(set(seen[::2])) == 15
    assert set(seen[1::2]) == {(False, True, False, False), (False, False, False, True), (False, True, False, True)}


@pytest.mark.parametrize("name", DROPOUT)
def test_two_gpus_validate_on_different_subsets(make_trainer, name):
    shown = Shown(make_trainer(name))
    first = shown.present(20)
    shown.trainer.local_rank = 1
    assert shown.present(20) != first


@pytest.mark.parametrize("name", [name for name in OURS if name not in DROPOUT])
def test_without_dropout_the_online_validation_sees_all_that_a_patient_has(make_trainer, name):
    seen = Shown(make_trainer(name)).present(10, absent_from_the_second=[0])
    assert seen == [(True,) * 4, (False, True, True, True)] * 10


def test_a_warm_up_of_the_dropout_rises_epoch_by_epoch(make_trainer):
    trainer = with_settings(make_trainer("TinyStockSeqDropout"), dropout_warmup_epochs=3)
    trainer.initialize()
    strengths = []
    for trainer.current_epoch in range(5):
        trainer.on_train_epoch_start()
        strengths.append(trainer._dropout.strength.item())
    assert strengths == [0.25, 0.5, 0.75, 1, 1]


@pytest.mark.parametrize("name", DROPOUT)
def test_the_first_batches_are_warmed_up_too(make_trainer, name):
    """The augmentation draws them before the first epoch starts; also where a training is resumed."""
    for epoch, strength in ((0, 0.25), (2, 0.75)):
        trainer = with_settings(make_trainer(name), dropout_warmup_epochs=3)
        trainer.initialize()
        trainer.current_epoch = epoch
        trainer.get_dataloaders()
        assert trainer._dropout.strength.item() == strength


def test_without_warm_up_every_sample_is_subject_to_dropout_from_the_start(make_trainer):
    trainer = make_trainer("TinyStockSeqDropout")
    trainer.initialize()
    assert trainer._dropout.strength == 1
    trainer.on_train_epoch_start()
    assert trainer._dropout.strength == 1


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


def test_the_end_is_foretold_by_the_median_of_the_last_ten_epochs(monkeypatch):
    class Noon(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 31, 12, 0)

    monkeypatch.setattr("nnunet_seqdropout.training.remaining_time.datetime", Noon)
    # a slow first epoch no longer counts, another program slowed one of the last ten: 60 s
    begun = np.arange(11) * 10000
    ended = begun + np.array([9000, *[60] * 9, 6000])
    assert expected_end(begun, ended, 300) == "300 epochs left, the last ends about 2026-01-31 17:00 (in 5:00:00)"
    assert expected_end([0], [86400], 1) == "1 epoch left, the last ends about 2026-02-01 12:00 (in 1 day, 0:00:00)"


def test_every_epoch_but_the_last_says_when_the_last_will_end(make_trainer):
    trainer = make_trainer("TinySeqDropout")
    trainer.initialize()
    trainer.num_epochs = 2
    for _ in range(3):  # one more than asked for
        trainer.on_epoch_start()
        trainer.on_train_epoch_start()
        trainer.on_train_epoch_end([{"loss": np.array(0.0)}])
        trainer.on_validation_epoch_end([validation_output(5)])
        trainer.on_epoch_end()
    said = Path(trainer.log_file).read_text()
    assert re.findall(r"(\S+ epochs? left, the last ends about) 20", said) == ["1 epoch left, the last ends about"]


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
    with pytest.raises(ValueError, match=r"Fold 2 is not declared: .*splits_final.json has 2 splits"):
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
    [
        ("subset_law", "unifrom", "Unknown subset law 'unifrom'"),
        ("drop_probability", 1.5, "drop_probability is 1.5"),
        ("warmup_epochs", -1, "warmup_epochs is -1: give a number of epochs"),
        ("dropout_warmup_epochs", -3, "dropout_warmup_epochs is -3: give a number of epochs"),
        ("rescale", "squared", "rescale is 'squared': choose one of paper, sqrt, none"),
        ("subset_weights", {"flair": 2}, "under the law 'weights', not under 'uniform_subsets'"),
        ("subset_weights", {"t2": 2}, r"subset_weights names t2; name subsets such as .*t1_pre\+t1_gd"),
        ("subset_weights", {"flair+bravo": 2}, r"subset_weights names flair\+bravo; .*bravo\+flair"),
        ("optimizer_type", "adam", "optimizer_type is 'adam': choose one of sgd, adamw"),
        ("forced_foreground", "lesion", "forced_foreground is 'lesion': choose one of voxels, lesions"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_starts(make_trainer, attribute, value, message):
    trainer = with_settings(make_trainer("TinySeqDropout"), **{attribute: value})
    with pytest.raises(ValueError, match=message):
        trainer.initialize()
    assert trainer.network is None


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf")])
def test_a_wrong_weight_is_refused_before_anything_starts(make_trainer, weight):
    law = {"subset_law": "weights", "subset_weights": {"flair": weight}}
    with pytest.raises(ValueError, match="give numbers of at least 0"):
        with_settings(make_trainer("TinySeqDropout"), **law).initialize()


def test_a_subset_of_weight_zero_is_never_trained_on(make_trainer):
    impossible = {str(Pattern.of(p, SEQUENCES)): 0 for p in subsets([True] * 4) if sum(p) < 3}
    trainer = with_settings(make_trainer("TinySeqDropout"), subset_law="weights", subset_weights=impossible)
    trainer.initialize()
    assert trainer.plans_manager.plans["seqdropout"]["subset_weights"] == impossible
    training, _ = trainer.get_dataloaders()
    np.random.seed(0)
    seen = {tuple(p) for _ in range(30) for p in present_sequences(next(training)["data"]).tolist()}
    assert {sum(p) for p in seen} == {3, 4}


def test_a_cascade_is_refused(make_trainer):
    trainer = make_trainer("TinyStockSeqDropout", configuration="3d_fullres")
    trainer.is_cascaded = True
    with pytest.raises(ValueError, match="3d_fullres is a cascade"):
        trainer.initialize()


SHIPPED = {
    f"{trainer}{variant}": budget
    for trainer in (
        "SeqDropoutTrainer",
        "DeepLabV3Trainer",
        "SeqDropoutPlusTrainer",
        "DeepLabV3PlusTrainer",
        "nnUNetTrainerSeqDropout",
    )
    for variant, budget in {
        "": (1000, 250),
        "_5epochs": (5, 250),
        "_50epochs": (50, 250),
        "_250epochs": (250, 250),
        "_demo": (10, 50),
    }.items()
} | {"nnUNetTrainer_demo": (10, 50)}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_trainer_is_found_and_runs_as_long_as_its_name_says(make_trainer, name):
    trainer = make_trainer(name)
    trainer.initialize()
    assert (trainer.num_epochs, trainer.num_iterations_per_epoch) == SHIPPED[name]
    assert trainer.lr_scheduler.max_steps == SHIPPED[name][0]
    if not name.startswith("nnUNetTrainer"):
        arguments = trainer.plans_manager.plans["configurations"]["2d"]["architecture"]["arch_kwargs"]
        assert arguments["backbone"] == ("resnet18" if name.endswith("_demo") else "resnet50")
        assert arguments["decoder"] == ([4, 2, 1] if "Plus" in name else [])
    assert isinstance(trainer.optimizer, torch.optim.AdamW if "Plus" in name else torch.optim.SGD)
    assert ("subset_law" in trainer.plans_manager.plans["seqdropout"]) == ("SeqDropout" in name)


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


# the patch of data set 1 is 40 x 48: maps of 5 x 6 at stride 8 and of 3 x 3 at stride 16
@pytest.mark.parametrize("name", PLUS)
def test_the_network_with_a_decoder_has_rates_that_fit_its_patch(make_trainer, name):
    trainer = make_trainer(name)
    assert tuple(trainer.configuration_manager.patch_size) == (40, 48)
    trainer.initialize()
    plans = trainer.plans_manager.plans
    arguments = plans["configurations"]["2d"]["architecture"]["arch_kwargs"]
    # 40 / 16 / 65 x 12, 24 and 36 = 0.5, 0.9 and 1.4
    assert arguments["atrous_rates"] == [1, 1, 1]
    assert arguments["output_stride"] == 16
    assert arguments["decoder"] == plans["seqdropout"]["decoder"] == [4, 2, 1]
    assert "lie outside the map" not in Path(trainer.log_file).read_text()


@pytest.mark.parametrize("name", ["TinySeqDropout", "TinyDeepLab"])
def test_the_papers_network_keeps_its_rates_and_says_which_lie_outside_the_map(make_trainer, name):
    trainer = make_trainer(name)
    trainer.initialize()
    plans = trainer.plans_manager.plans
    arguments = plans["configurations"]["2d"]["architecture"]["arch_kwargs"]
    assert (arguments["atrous_rates"], arguments["output_stride"]) == ([12, 24, 36], 8)
    assert arguments["decoder"] == plans["seqdropout"]["decoder"] == []
    assert "Atrous rates 12, 24, 36 (3 of 3 branches) lie outside the map" in Path(trainer.log_file).read_text()


def test_a_256_patch_leaves_one_of_the_papers_rates_outside_and_none_of_the_scaled(make_trainer):
    rates = {}
    for name in ("TinyDeepLab", "TinyPlus"):
        trainer = make_trainer(name)
        plans = deepcopy(trainer.plans_manager.plans)
        plans["configurations"]["2d"]["patch_size"] = [256, 256]
        trainer._use_plans(plans)
        trainer.initialize()
        rates[name] = trainer.plans_manager.plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["atrous_rates"]
        assert ("Atrous rates 36 (1 of 3 branches)" in Path(trainer.log_file).read_text()) == (name == "TinyDeepLab")
    assert rates == {"TinyDeepLab": [12, 24, 36], "TinyPlus": [3, 6, 9]}


@pytest.mark.parametrize("name", SLABS)
def test_rates_of_ones_own_are_used(make_trainer, name):
    trainer = with_settings(make_trainer(name), atrous_rates=(1, 2))
    trainer.initialize()
    arguments = trainer.plans_manager.plans["configurations"]["2d"]["architecture"]["arch_kwargs"]
    assert arguments["atrous_rates"] == [1, 2]


@pytest.mark.parametrize("name", [name for name in OURS if name not in PLUS])
def test_the_optimiser_is_that_of_nnunet_unless_it_is_set(make_trainer, name):
    ours, stock = make_trainer(name), make_trainer("nnUNetTrainer")
    ours.initialize()
    stock.num_epochs = ours.num_epochs
    stock.initialize()
    assert type(ours.optimizer) is type(stock.optimizer) is torch.optim.SGD
    assert ours.optimizer.defaults == stock.optimizer.defaults
    assert ours.optimizer.defaults["lr"] == 0.01
    assert type(ours.lr_scheduler) is type(stock.lr_scheduler)
    said = ours.plans_manager.plans["seqdropout"]
    assert [said[key] for key in ("optimizer_type", "learning_rate", "warmup_epochs")] == ["sgd", 0.01, 0]


@pytest.mark.parametrize("name", PLUS)
def test_the_network_with_a_decoder_is_trained_by_adamw(make_trainer, name):
    trainer = make_trainer(name)
    trainer.initialize()
    assert type(trainer.optimizer) is torch.optim.AdamW
    assert (trainer.optimizer.defaults["lr"], trainer.optimizer.defaults["weight_decay"]) == (3e-4, 0.01)
    assert len(trainer.optimizer.param_groups[0]["params"]) == len(list(trainer.network.parameters()))
    trainer.on_train_epoch_start()
    assert trainer.optimizer.param_groups[0]["lr"] == 3e-4
    said = trainer.plans_manager.plans["seqdropout"]
    assert [said[key] for key in ("optimizer_type", "learning_rate", "warmup_epochs")] == ["adamw", 3e-4, 0]


@pytest.mark.parametrize(
    ("name", "chosen", "expected"), [("TinyStock", "adamw", (3e-4, 0.01)), ("TinyPlus", "sgd", (0.01, 3e-5))]
)
def test_another_optimiser_brings_its_own_learning_rate_and_decay(make_trainer, name, chosen, expected):
    trainer = with_settings(make_trainer(name), optimizer_type=chosen)
    trainer.initialize()
    assert (trainer.optimizer.defaults["lr"], trainer.optimizer.defaults["weight_decay"]) == expected
    said = trainer.plans_manager.plans["seqdropout"]
    assert (said["learning_rate"], said["weight_decay"]) == expected


@pytest.mark.parametrize(("name", "full"), [("TinyStock", 0.02), ("TinyPlus", 3e-4)])
def test_a_warm_up_leads_to_the_schedule_also_of_a_training_resumed(make_trainer, name, full):
    def rates(epochs: Sequence[int]) -> list[float]:
        settings = {"warmup_epochs": 1, "epochs": 4, "learning_rate": full}
        trainer = with_settings(make_trainer(name), **settings)
        trainer.initialize()
        found = []
        for trainer.current_epoch in epochs:
            trainer.on_train_epoch_start()
            found.append(trainer.optimizer.param_groups[0]["lr"])
        return found

    # nnU-Net's (1 - epoch/4)^0.9, the first halved
    assert rates(range(3)) == pytest.approx([full / 2, full * 0.75**0.9, full * 0.5**0.9])
    assert rates([2]) == pytest.approx([full * 0.5**0.9])


@pytest.mark.parametrize(
    ("name", "asked", "compiles"),
    [
        *((name, asked, asked == "1") for name in SLABS for asked in (None, "0", "1")),
        # nnU-Net's default, for its own networks
        ("TinyStockSeqDropout", None, True),
    ],
)
def test_the_slab_network_is_compiled_only_where_that_is_asked_for(make_trainer, monkeypatch, name, asked, compiles):
    """On a stand-in for a GPU."""
    monkeypatch.delenv("nnUNet_compile", raising=False)
    if asked is not None:
        monkeypatch.setenv("nnUNet_compile", asked)
    trainer = make_trainer(name)
    trainer.device = torch.device("cuda")
    assert trainer._do_i_compile() == compiles


@pytest.mark.parametrize("name", ["TinySeqDropout", "TinyPlusSeqDropout"])
def test_initialising_from_plans_already_rewritten_changes_nothing(make_trainer, name):
    first = make_trainer(name)
    first.initialize()
    second = make_trainer(name)
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
        source.save_checkpoint(file := str(tmp_path / f"{type(source).__name__}.pth"))
        target.load_checkpoint(file)
        for name, weight in source.network.state_dict().items():
            assert torch.equal(weight, target.network.state_dict()[name])
    assert ours.network.decoder.deep_supervision
    assert stock.network.decoder.deep_supervision
