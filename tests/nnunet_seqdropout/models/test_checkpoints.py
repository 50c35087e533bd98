"""A model of a stranger: what it holds beside weights is not run, a changed byte is found, and all else is stock."""

import json
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_case
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from predict_folders import predict

from dataset_conversion.faults import Fault
from dataset_conversion.files.checksums import replace_recorded
from nnunet_seqdropout.models.checkpoints import read_checkpoint
from nnunet_seqdropout.prediction.loading import load_model
from nnunet_seqdropout.prediction.model import Model

CHECKPOINT = "fold_0/checkpoint_final.pth"


class Payload:
    """Unpickled, it creates a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return Path.touch, (self.file,)


@pytest.fixture
def images(tmp_path) -> Path:
    write_case(tmp_path / "raw", "P", (9, 40, 38), seed=5)
    return tmp_path / "raw" / "imagesTr"


@pytest.fixture
def model(make_model, tmp_path) -> Path:
    """A model folder that may be changed."""
    return Path(shutil.copytree(make_model("TinySeqDropout"), tmp_path / "model"))


def change(model: Path, **content: object) -> None:
    """Replaces keys of the checkpoint."""
    file = model / CHECKPOINT
    torch.save({**torch.load(file, weights_only=False), **content}, file)


def change_json(file: Path, change) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("trainer", "configuration"), [("TinySeqDropout", "2d"), ("TinyStockSeqDropout", "3d_fullres"), ("TinyStock", "2d")]
)
def test_what_is_loaded_is_what_nnunet_loads(make_model, trainer, configuration):
    folder = make_model(trainer, configuration=configuration)
    stock = nnUNetPredictor(device=torch.device("cpu"))
    stock.initialize_from_trained_model_folder(str(folder), (0,))
    ours = load_model(folder, folds=[0]).predictor
    for key in ("trainer_name", "allowed_mirroring_axes", "dataset_json"):
        assert getattr(ours, key) == getattr(stock, key)
    assert ours.plans_manager.plans == stock.plans_manager.plans
    assert ours.configuration_manager.configuration == stock.configuration_manager.configuration
    assert type(ours.network) is type(stock.network)
    for loaded, expected in (
        (ours.network.state_dict(), stock.network.state_dict()),
        (ours.list_of_parameters[0], stock.list_of_parameters[0]),
    ):
        assert list(loaded) == list(expected)
        assert all(loaded[name].equal(expected[name]) for name in expected)
    x = torch.rand(1, 4, *ours.configuration_manager.patch_size[-3:])
    if x.ndim == 4 and configuration != "2d":
        x = x[None]
    with torch.no_grad():
        assert ours.network.eval()(x).equal(stock.network.eval()(x))


@pytest.mark.parametrize("where", ["init_args", "logging", "network_weights", "trainer_name", "extra"])
def test_a_payload_is_not_run_and_named(model, images, tmp_path, capsys, where):
    change(model, **{where: {"configuration": "2d", "more": Payload(tmp_path / "created")}})
    assert predict(images, tmp_path / "out", model) == 2
    said = capsys.readouterr().err
    assert not (tmp_path / "created").exists()
    assert f"{model / CHECKPOINT}: it names getattr, which" in said
    assert "--trust-checkpoint" in said
    assert said.count("seqdropout:") == 1
    assert not list((tmp_path / "out").glob("P*"))


def test_nor_is_one_in_a_bare_pickle(model, images, tmp_path, capsys):
    (model / CHECKPOINT).write_bytes(pickle.dumps(Payload(tmp_path / "created")))
    assert predict(images, tmp_path / "out", model) == 2
    assert not (tmp_path / "created").exists()
    assert str(model / CHECKPOINT) in capsys.readouterr().err


def test_trusted_it_is_run_and_said_so(model, images, tmp_path, caplog):
    change(model, extra=Payload(tmp_path / "created"))
    assert predict(images, tmp_path / "out", model, "--trust-checkpoint") == 0
    assert (tmp_path / "created").exists()
    assert f"{model / CHECKPOINT} is trusted: if it holds code, the code is run." in caplog.text


@pytest.mark.parametrize(
    "architecture",
    [
        {"network_class_name": "subprocess.Popen"},
        {"network_class_name": "torch.nn.Linear"},
        {"network_class_name": "nnunet_seqdropout.network.F.interpolate"},
        {"_kw_requires_import": ["backbone"], "arch_kwargs": {"backbone": "torch.nn.parallel.distributed.os.system"}},
        {"_kw_requires_import": ["backbone"], "arch_kwargs": {"backbone": "os.system"}},
        {"_kw_requires_import": ["backbone"], "arch_kwargs": {"backbone": ["os.system"]}},
    ],
)
def test_plans_that_name_what_is_no_network_are_not_followed(model, images, tmp_path, capsys, architecture):
    change_json(model / "plans.json", lambda plans: plans["configurations"]["2d"]["architecture"].update(architecture))
    assert predict(images, tmp_path / "out", model) == 2
    said = capsys.readouterr().err
    assert f"{model / 'plans.json'}: it names " in said
    assert "is no network or layer of nnU-Net" in said


def test_a_backbone_is_not_fetched_from_elsewhere(model, images, tmp_path, capsys):
    def hub(plans):
        plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["backbone"] = "hf-hub:someone/some-model"

    change_json(model / "plans.json", hub)
    assert predict(images, tmp_path / "out", model) == 2
    assert "would be fetched from elsewhere" in capsys.readouterr().err


def test_twenty_flipped_bytes_are_named_and_nothing_is_loaded(model, tmp_path):
    file = model / CHECKPOINT
    replace_recorded(shutil.copy(file, tmp_path / "model" / "fold_0" / "written"), file)
    whole, generator = file.read_bytes(), random.Random(0)
    load_model(model)
    for _ in range(20):
        broken = bytearray(whole)
        broken[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        file.write_bytes(broken)
        with pytest.raises(Fault, match="its SHA-256 differs") as fault:
            load_model(model)
        assert str(file) in fault.value.problem
        assert "checksums.json" in fault.value.remedy


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"network_weights": [1, 2]}, "network_weights should be keys with values, and is [1, 2]"),
        ({"network_weights": {"a": 1}}, "network_weights.a should be an ordinary tensor on the CPU, and is 1"),
        ({"trainer_name": "../x"}, "trainer_name should be the name of a class, and is '../x'"),
        ({"init_args": 5}, "init_args should be keys with values, and is 5"),
        ({"init_args": {"configuration": "3d"}}, "it has no configuration 3d, only 2d"),
        (
            {"inference_allowed_mirroring_axes": (7,)},
            "inference_allowed_mirroring_axes[0] should be one of 0, 1, 2, and is 7",
        ),
        ({"network_weights": {"a": torch.zeros(1)}}, "its weights do not fit the network of plans.json"),
        ({"trainer_name": "NoSuchTrainer"}, "trained by NoSuchTrainer, and there is no such trainer"),
        ({"trainer_name": "os"}, "trained by os, which is no trainer of nnU-Net"),
    ],
)
def test_a_checkpoint_that_is_none_of_nnunet_is_one_line(model, images, tmp_path, capsys, content, said):
    change(model, **content)
    assert predict(images, tmp_path / "out", model) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("seqdropout: ")]
    assert said in line


def test_a_checkpoint_that_says_nothing_of_mirroring_is_not_mirrored(model):
    """As nnU-Net takes it."""
    content = torch.load(model / CHECKPOINT, weights_only=False)
    del content["inference_allowed_mirroring_axes"]
    torch.save(content, model / CHECKPOINT)
    read = read_checkpoint(model / CHECKPOINT)
    assert read.mirroring_axes is None
    assert list(read.weights) == list(content["network_weights"])
    assert read.weights._metadata == content["network_weights"]._metadata  # type: ignore[attr-defined]


def test_where_to_put_a_trainer_that_is_missing(model):
    change(model, trainer_name="NoSuchTrainer")
    with pytest.raises(Fault) as fault:
        load_model(model)
    assert fault.value.remedy == (
        "Put the file NoSuchTrainer.py that trained it into a folder, and add the folder to nnUNet_extTrainer."
    )


def test_a_trainer_file_that_cannot_be_imported_is_named(model, tmp_path, monkeypatch):
    change(model, trainer_name="ATrainer")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "ATrainer.py").write_text("import no_such_package\n")
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path / "own"))
    with pytest.raises(Fault, match="no_such_package"):
        load_model(model)


def test_weights_that_are_not_finite_are_refused(model):
    weights = torch.load(model / CHECKPOINT, weights_only=False)["network_weights"]
    name = next(iter(weights))
    weights[name].fill_(float("nan"))
    change(model, network_weights=weights)
    with pytest.raises(Fault, match=f"{name} is not finite"):
        load_model(model)


def test_the_second_fold_is_looked_at_too(model):
    shutil.copytree(model / "fold_0", model / "fold_1")
    weights = torch.load(model / CHECKPOINT, weights_only=False)["network_weights"]
    name = next(iter(weights))
    file = model / "fold_1" / "checkpoint_final.pth"
    content = torch.load(file, weights_only=False)
    torch.save({**content, "network_weights": {**weights, name: weights[name][:1]}}, file)
    with pytest.raises(Fault, match="do not fit") as fault:
        load_model(model)
    assert str(file) in fault.value.problem


def test_numbers_of_numpy_in_the_log_are_read_under_their_old_names_too(tmp_path):
    log = {"mean_fg_dice": [np.float32(0.5), np.float64(0.25)], "n": np.int64(3), "lrs": [1e-2]}
    how = {"trainer_name": "T", "init_args": {"configuration": "2d"}, "inference_allowed_mirroring_axes": (0, 1)}
    torch.save({"network_weights": {"a": torch.ones(2)}, "logging": log, **how}, tmp_path / "new.pth")
    assert read_checkpoint(tmp_path / "new.pth").logging == log
    torch.save(
        {"logging": log, "network_weights": {"a": torch.ones(2)}, **how},
        tmp_path / "old.pth",
        _use_new_zipfile_serialization=False,
    )
    former = (tmp_path / "old.pth").read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (tmp_path / "old.pth").write_bytes(former)
    assert read_checkpoint(tmp_path / "old.pth").logging == log


def test_mutated_checkpoints_and_plans_are_no_traceback(model, images, tmp_path, capsys, monkeypatch):
    """Whatever bytes change, predict ends with one line or with a prediction."""
    monkeypatch.setattr(Model, "logits", predicted)
    generator = random.Random(16)
    files = [model / name for name in (CHECKPOINT, "plans.json", "dataset.json")]
    n_refused = 0
    for number in range(30):
        file = files[number % 3]
        whole = file.read_bytes()
        file.write_bytes(mutated(whole, generator))
        capsys.readouterr()
        code = predict(images, tmp_path / f"out{number}", model)
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("seqdropout: ")]
        assert (code, len(said)) in ((2, 1), (1, 0), (0, 0))
        n_refused += code > 0
        file.write_bytes(whole)
    assert n_refused > 10


def predicted(model, case, **_):
    """In place of the network, which takes longer than all else."""
    return torch.rand(2, *case.data.shape[1:])


def mutated(whole: bytes, generator: random.Random) -> bytes:
    """One of: some bytes changed, cut off, a piece doubled, a word exchanged."""
    content, at = bytearray(whole), generator.randrange(len(whole))
    kind = generator.randrange(4)
    if kind == 0:
        for _ in range(generator.randrange(1, 20)):
            content[generator.randrange(len(content))] = generator.randrange(256)
    elif kind == 1:
        del content[at:]
    elif kind == 2:
        content[at:at] = content[at : at + generator.randrange(1, 200)]
    else:
        for old, new in ((b'"2d"', b'"3d"'), (b"1.0", b'"x"'), (b"[", b"{"), (b"0", b"-1")):
            if generator.random() < 0.5:
                place = content.find(old, at)
                if place >= 0:
                    content[place : place + len(old)] = new
    return bytes(content)
