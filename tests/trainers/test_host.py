"""nnU-Net's own commands, unpatched, with our trainers: from a raw data set to an installed model that predicts."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from conftest import SEQUENCES, Host, write_case, write_dataset
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from window_by_window import slice_by_slice

from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.dropout import keep_and_rescale, present_sequences
from nnunet_seqdropout.network import DeepLabV3Slab


def labels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def write_inputs(folder: Path, shapes: dict, **options) -> Path:
    for seed, (case, shape) in enumerate(shapes.items(), start=20):
        write_case(folder, case, shape, seed=seed, split="Ts", **options)
    return folder / "imagesTs"


def test_train_fill_and_predict_a_patient_who_lacks_a_sequence(in_host, tmp_path):
    printed = in_host.train(1, "TinySeqDropout")
    assert "Mean Validation Dice" in printed
    # of the validation patients E lacks bravo
    assert "Pseudo dice of " in printed
    assert (in_host.model("Dataset001_Four", "TinySeqDropout") / "fold_0" / "progress_patterns.png").is_file()
    images = write_inputs(tmp_path, {"new": (9, 37, 45)})
    (images / "new_0000.nii.gz").unlink()
    assert main(["fill", "-i", str(images), "-o", str(tmp_path / "filled"), "-d", "1"]) == 0
    in_host.predict(1, "TinySeqDropout", tmp_path / "filled", tmp_path / "out", "--save_probabilities")
    stock = np.load(tmp_path / "out" / "new.npz")["probabilities"][1]
    assert labels(tmp_path / "out" / "new.nii.gz").shape == stock.shape == (9, 37, 45)
    model = ("-m", in_host.model("Dataset001_Four", "TinySeqDropout"), "-f", 0, "-device", "cpu")
    command = ("seqdropout", "predict", "-i", images, "-o", tmp_path / "ours", *model, "--save_probabilities")
    in_host.run(*command)
    ours = labels(tmp_path / "ours" / "new_prob.nii.gz")
    assert np.ptp(stock) > 0.01
    # the stock command weights the one tile there is: in its corners float16 rounds a logit to a whole number,
    # so that two of them differ by up to 1 more or less, and a probability by up to 0.62 - 0.38, the logistic at +-0.5
    differences = np.abs(ours - stock)
    assert differences.max() < 0.25
    alike = differences <= 1e-3
    assert alike.mean() > 0.95
    clear = alike & (np.abs(stock - 0.5) > 1e-3)
    ours, stock = (labels(tmp_path / folder / "new.nii.gz") for folder in ("ours", "out"))
    assert np.array_equal(ours[clear], stock[clear])


DATA_SETS: dict[str, dict[str, Any]] = {
    # anisotropic, odd sizes; "deep" is deeper than the slab of 12
    "four sequences, 5 mm slices": {
        "shapes": {"A": (7, 41, 37), "B": (9, 43, 39), "C": (11, 37, 45), "D": (12, 45, 37), "E": (8, 41, 41)},
        "options": {"spacing": (0.9, 1.1, 5.0)},
        "slab": 12,
        "new": {"deep": (31, 41, 37), "flat": (4, 50, 29)},
    },
    "three sequences, isotropic": {
        "shapes": dict.fromkeys("ABCDE", (24, 33, 35)),
        "options": {"sequences": SEQUENCES[1:]},
        "slab": 24,
        "new": {"new": (24, 33, 35)},
    },
    # volumes of one, three and exactly five slices; a slab as deep as a window
    "one sequence, at most five slices": {
        "shapes": {"A": (1, 33, 35), "B": (3, 33, 35), "C": (5, 33, 35), "D": (5, 35, 33), "E": (3, 35, 33)},
        "options": {"sequences": ["flair"], "spacing": (1.0, 1.0, 6.0)},
        "slab": 5,
        "new": {"one": (1, 33, 35), "three": (3, 33, 35), "five": (5, 33, 35)},
    },
}


# the rates of the decoder's network fit its patch: here so small that none can be more than 1
@pytest.mark.slow
@pytest.mark.parametrize(("trainer", "rates"), [("TinySeqDropout", [12, 24, 36]), ("TinyPlusSeqDropout", [1, 1, 1])])
@pytest.mark.parametrize("kind", DATA_SETS)
def test_data_sets_of_many_shapes_train_and_predict(kind, trainer, rates, tmp_path):
    host, data = Host(tmp_path), DATA_SETS[kind]
    write_dataset(tmp_path / "raw" / "Dataset002_Shapes", data["shapes"], **data["options"])
    host.plan(2, "2d")
    host.train(2, trainer)
    plans = json.loads((host.model("Dataset002_Shapes", trainer) / "plans.json").read_text())
    assert plans["configurations"]["2d"]["patch_size"][0] == data["slab"]
    assert plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["atrous_rates"] == rates
    images = write_inputs(tmp_path / "new", data["new"], **data["options"])
    host.predict(2, trainer, images, tmp_path / "out")
    for case, shape in data["new"].items():
        assert labels(tmp_path / "out" / f"{case}.nii.gz").shape == shape


class SliceBySlice(torch.nn.Module):
    """The same weights, asked for one slice after the other."""

    def __init__(self, network: DeepLabV3Slab) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # what is absent is absent from the whole tile, also in a window of it that happens to be empty
        present = present_sequences(x)
        scaled = keep_and_rescale(x, present)
        hooks, self.network._forward_pre_hooks = self.network._forward_pre_hooks, {}
        result = slice_by_slice(self.network, scaled)
        self.network._forward_pre_hooks = hooks
        return result


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["TinyFloat32", "TinyPlusFloat32"])
def test_the_stock_command_equals_the_network_slice_by_slice(trainer, tmp_path):
    """Images wider than the patch, one deeper than the slab, a sequence absent; from files to files."""
    host = Host(tmp_path)
    shapes = dict.fromkeys("ABCDE", (14, 41, 37))
    write_dataset(tmp_path / "raw" / "Dataset003_Equal", shapes)
    host.plan(3, "2d")
    host.train(3, trainer)
    images = write_inputs(tmp_path / "new", {"wide": (12, 70, 60), "deep": (31, 41, 37)})
    for case in ("wide", "deep"):
        (images / f"{case}_0003.nii.gz").unlink()
    host.run("seqdropout", "fill", "-i", images, "-o", tmp_path / "filled", "-d", 3)
    host.predict(3, trainer, tmp_path / "filled", tmp_path / "out", "--save_probabilities")

    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in host.environment.items():
            environment.setenv(name, value)
        model = str(host.model("Dataset003_Equal", trainer))
        predictor.initialize_from_trained_model_folder(model, use_folds=(0,))
    received = []
    predictor.network.encoder.register_forward_pre_hook(
        lambda module, inputs: received.append(present_sequences(inputs[0].unflatten(1, (4, 5)))[:, 3].any().item())
    )
    predictor.network = SliceBySlice(predictor.network)
    predictor.list_of_parameters = [{f"network.{k}": v for k, v in predictor.list_of_parameters[0].items()}]
    (tmp_path / "slow").mkdir()
    predictor.predict_from_files_sequential(str(tmp_path / "filled"), str(tmp_path / "slow"), save_probabilities=True)
    assert received
    assert not any(received)
    for case in ("wide", "deep"):
        ours, slow = (labels(tmp_path / folder / f"{case}.nii.gz") for folder in ("out", "slow"))
        assert 0.005 < slow.mean() < 0.3
        assert np.mean(ours != slow) <= 1e-4
        ours, slow = (np.load(tmp_path / folder / f"{case}.npz")["probabilities"] for folder in ("out", "slow"))
        assert np.abs(ours - slow).max() < 0.05


@pytest.fixture(scope="module")
def two_folds(four_sequences: Host) -> Host:
    """Both declared folds of two trainers, with validation probabilities."""
    for trainer in ("TinySeqDropout", "TinyStockSeqDropout"):
        for fold in ("0", "1"):
            four_sequences.train(1, trainer, "--npz", fold=fold)
    return four_sequences


@pytest.mark.slow
def test_find_best_configuration_and_ensemble(two_folds, tmp_path):
    trainers = ("TinySeqDropout", "TinyStockSeqDropout")
    options = ("-c", "2d", "-tr", *trainers, "-f", 0, 1, "-np", 2)
    assert "Best" in two_folds.run("nnUNetv2_find_best_configuration", 1, *options)
    images = write_inputs(tmp_path, {"new": (9, 37, 45)})
    folders = [tmp_path / trainer for trainer in trainers]
    for trainer, folder in zip(trainers, folders, strict=True):
        two_folds.predict(1, trainer, images, folder, "--save_probabilities")
        with np.load(folder / "new.npz") as saved:
            assert saved["probabilities"].shape == (2, 9, 37, 45)
    two_folds.run("nnUNetv2_ensemble", "-i", *folders, "-o", tmp_path / "both", "-np", 1)
    assert labels(tmp_path / "both" / "new.nii.gz").shape == (9, 37, 45)


@pytest.mark.slow
def test_an_exported_model_predicts_the_same_where_it_is_installed(two_folds, tmp_path):
    archive = tmp_path / "model.zip"
    model = ("-tr", "TinySeqDropout", "-c", "2d", "-p", "nnUNetPlans", "-f", 0, 1)
    two_folds.run("nnUNetv2_export_model_to_zip", "-d", 1, "-o", archive, *model)
    elsewhere = Host(tmp_path / "elsewhere")
    for folder in ("raw", "preprocessed", "results"):
        (elsewhere.root / folder).mkdir()
    elsewhere.run("nnUNetv2_install_pretrained_model_from_zip", archive)
    images = write_inputs(tmp_path, {"new": (9, 37, 45)})
    (images / "new_0001.nii.gz").unlink()
    for host, folder in ((two_folds, "here"), (elsewhere, "there")):
        host.run("seqdropout", "fill", "-i", images, "-o", tmp_path / f"filled_{folder}", "-d", 1)
        host.predict(1, "TinySeqDropout", tmp_path / f"filled_{folder}", tmp_path / folder, folds=(0, 1))
    here, there = (labels(tmp_path / folder / "new.nii.gz") for folder in ("here", "there"))
    assert np.array_equal(here, there)


@pytest.mark.slow
def test_validation_alone_gives_the_same_labels_again(two_folds):
    validation = two_folds.model("Dataset001_Four", "TinySeqDropout") / "fold_0" / "validation"
    before = {file.name: labels(file) for file in validation.glob("*.nii.gz")}
    shutil.rmtree(validation)
    two_folds.train(1, "TinySeqDropout", "--val")
    assert before.keys() == {"D.nii.gz", "E.nii.gz"}
    for name, expected in before.items():
        assert np.array_equal(labels(validation / name), expected)


@pytest.mark.slow
def test_a_killed_training_goes_on_where_its_last_checkpoint_stands(four_sequences):
    command = ("nnUNetv2_train", "1", "2d", "0", "-tr", "TinySeqDropoutThreeEpochs", "-device", "cpu")
    fold = four_sequences.model("Dataset001_Four", "TinySeqDropoutThreeEpochs") / "fold_0"
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        env={**os.environ, **four_sequences.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    # the first epoch's checkpoint is whole once the second epoch is announced
    assert any("Epoch 1" in line for line in process.stdout)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (fold / "checkpoint_best.pth").is_file()
    assert not (fold / "checkpoint_final.pth").is_file()
    printed = four_sequences.train(1, "TinySeqDropoutThreeEpochs", "--c")
    assert "Epoch 0" not in printed
    assert "Epoch 2" in printed
    checkpoint = torch.load(fold / "checkpoint_final.pth", map_location="cpu", weights_only=False)
    assert checkpoint["current_epoch"] == 3
    assert len(checkpoint["logging"]["dice_per_pattern"]) == 3


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["TinySeqDropout", "TinyPlusSeqDropout", "TinyStockSeqDropout"])
def test_all_patients_and_a_residual_encoder_preset(four_sequences, tmp_path, trainer):
    four_sequences.train(1, trainer, fold="all")
    plans = "nnUNetResEncUNetMPlans"
    if not (four_sequences.root / "preprocessed" / "Dataset001_Four" / f"{plans}.json").is_file():
        four_sequences.run("nnUNetv2_plan_experiment", "-d", 1, "-pl", "nnUNetPlannerResEncM")
        four_sequences.run("nnUNetv2_preprocess", "-d", 1, "-c", "2d", "-plans_name", plans, "-np", 1)
    four_sequences.train(1, trainer, "-p", plans)
    images = write_inputs(tmp_path, {"new": (9, 37, 45)}, absent=["bravo"])
    four_sequences.predict(1, trainer, images, tmp_path / "all", folds=("all",))
    assert labels(tmp_path / "all" / "new.nii.gz").shape == (9, 37, 45)
    four_sequences.predict(1, trainer, images, tmp_path / "out", "-p", plans)
    assert labels(tmp_path / "out" / "new.nii.gz").shape == (9, 37, 45)


@pytest.mark.slow
def test_the_planned_3d_network_trains_with_dropout_and_predicts(four_sequences, tmp_path):
    four_sequences.train(1, "TinyStockSeqDropout", configuration="3d_fullres")
    images = write_inputs(tmp_path, {"new": (9, 37, 45)}, absent=["flair", "t1_pre"])
    four_sequences.predict(1, "TinyStockSeqDropout", images, tmp_path / "out", configuration="3d_fullres")
    assert labels(tmp_path / "out" / "new.nii.gz").shape == (9, 37, 45)
