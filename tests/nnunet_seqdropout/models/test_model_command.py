"""A model goes from one hospital to another as one archive: without code, paths or patients, whole or not at all."""

import json
import os
import random
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from conftest import TRAINERS, Host, write_case

from evaluation.inputs.thresholds import Threshold, Thresholds
from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.models.archive.portable import portable_trainer

CHECKPOINT = "fold_0/checkpoint_final.pth"
INSTALLED = "Dataset001_Four/SeqDropoutTrainer__nnUNetPlans__2d"


def run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture
def model(make_model, tmp_path) -> Path:
    """A model folder that may be changed, calibrated on patients whose folders are named."""
    folder = Path(shutil.copytree(make_model("TinySeqDropout"), tmp_path / "TinySeqDropout__nnUNetPlans__2d"))
    settings = {"gt": "/home/somebody/labels", "p": "/home/somebody/predictions", "fp_budget": 2}
    Thresholds("1", "fp_budget", {"bravo": Threshold(0.25, 3)}, settings).write(folder / "fold_0" / "thresholds.json")
    return folder


@pytest.fixture
def archive(model, tmp_path, capsys) -> Path:
    assert run("model", "export", "-m", model, "-o", tmp_path / "model.zip", "--about", "Ten phantoms.") == 0
    return tmp_path / "model.zip"


@pytest.fixture
def results(in_host, tmp_path, monkeypatch) -> Path:
    """Another hospital: nnU-Net's folders, empty, and only the trainers that are shipped."""
    for name in ("raw", "preprocessed", "results"):
        (tmp_path / "other" / name).mkdir(parents=True)
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / "other" / name))
    monkeypatch.setenv("nnUNet_extTrainer", str(TRAINERS))
    return tmp_path / "other" / "results"


def contents(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def rewritten(archive: Path, **replaced: bytes) -> Path:
    """The archive with other files, and the checksums of what was there."""
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in replaced.items():
            opened.writestr(name, content)
    return archive


def said_of(model: Path, capsys) -> dict:
    capsys.readouterr()
    assert run("model", "info", "-m", model, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_without_a_trainer_the_only_model_of_the_data_set_is_taken(model, results, caplog, capsys):
    mine = results / "Dataset001_Four" / "TinySeqDropout__nnUNetPlans__2d"
    mine.parent.mkdir()
    shutil.copytree(model, mine)
    assert run("model", "info", "-d", 1) == 0
    assert "trainer: TinySeqDropout\n" in capsys.readouterr().out
    assert "Trainer: TinySeqDropout, the only one that was trained" in caplog.text
    # one that has only begun does not count; with another one it is the default again
    begun = mine.with_name("Other__nnUNetPlans__2d") / "fold_0"
    begun.mkdir(parents=True)
    assert run("model", "info", "-d", 1) == 0
    (begun / "checkpoint_latest.pth").touch()
    assert run("model", "info", "-d", 1) == 2
    assert (
        "SeqDropoutTrainer__nnUNetPlans__2d. Did you mean TinySeqDropout__nnUNetPlans__2d? " in capsys.readouterr().err
    )
    shutil.copytree(model, results / INSTALLED)
    caplog.clear()
    assert run("model", "info", "-d", 1) == 0
    assert caplog.text == ""


def test_info_says_what_a_model_is_without_any_path(model, capsys):
    said = said_of(model, capsys)
    assert said["trainer"] == "TinySeqDropout"
    assert said["sequences"] == ["bravo", "t1_pre", "t1_gd", "flair"]
    assert said["dropout"]["subset_law"] == "uniform_subsets"
    assert said["dropout"]["patterns"] == 15
    assert said["thresholds"] == {"fold_0": {"target": "1", "method": "fp_budget", "values": {"bravo": 0.25}}}
    assert list(said["checkpoints"]) == ["fold_0/checkpoint_final"]
    weights = torch.load(model / CHECKPOINT, weights_only=False)["network_weights"]
    learned = sum(t.numel() for name, t in weights.items() if name.endswith(("weight", "bias")))
    assert said["network"]["parameters"] == learned
    assert run("model", "info", "-m", model) == 0
    lines = capsys.readouterr().out
    assert f"fingerprint: {said['fingerprint']}" in lines
    assert "sequences: bravo, t1_pre, t1_gd, flair" in lines
    assert "/home" not in lines + json.dumps(said)
    assert str(model.parent) not in lines + json.dumps(said)


def test_the_fingerprint_is_of_what_it_computes_alone(model, capsys):
    first = said_of(model, capsys)["fingerprint"]
    (model / "fold_0" / "thresholds.json").unlink()
    file = model / CHECKPOINT
    content = torch.load(file, weights_only=False)
    torch.save({**content, "optimizer_state": None, "logging": {}}, file)
    moved = model.rename(model.with_name("another"))
    assert said_of(moved, capsys)["fingerprint"] == first
    name, tensor = next(iter(content["network_weights"].items()))
    changed = {**content["network_weights"], name: tensor * 1.0001}
    torch.save({**content, "network_weights": changed}, moved / CHECKPOINT)
    assert said_of(moved, capsys)["fingerprint"] != first


def test_verify_says_of_every_file_whether_it_is_whole(model, capsys):
    assert run("model", "verify", "-m", model) == 0
    lines = capsys.readouterr().out
    assert "fold_0/checkpoint_final.pth: loads; no SHA-256 was recorded when it was written" in lines
    assert lines.endswith(": whole\n")
    (model / "fold_0" / "checkpoint_best.pth").write_bytes((model / CHECKPOINT).read_bytes()[:5000])
    (model / "fold_0" / "thresholds.json").write_text("{")
    assert run("model", "verify", "-m", model) == 1
    lines = capsys.readouterr().out
    assert "fold_0/checkpoint_final.pth: loads" in lines
    assert "fold_0/checkpoint_best.pth: " in lines
    assert "fold_0/thresholds.json: " in lines
    assert lines.endswith(": not whole\n")
    (model / "plans.json").unlink()
    assert run("model", "verify", "-m", model) == 2
    assert "plans.json" in capsys.readouterr().err


def test_the_archive_holds_weights_and_no_code_path_or_patient(archive, tmp_path):
    files = contents(archive)
    names = ["model.json", "MODEL.md", "plans.json", "dataset.json", "fold_0/thresholds.json"]
    assert list(files) == [*names, "fold_0/checkpoint_final.safetensors", "checksums.json"]
    texts = b"".join(content for name, content in files.items() if not name.endswith(".safetensors"))
    for secret in (b"somebody", str(tmp_path).encode(), os.environ["HOME"].encode(), b"numTraining"):
        assert secret not in texts
    assert json.loads(files["model.json"])["trainer"] == "SeqDropoutTrainer"
    assert json.loads(files["fold_0/thresholds.json"])["settings"] == {"fp_budget": 2}
    assert {*json.loads(files["plans.json"])["configurations"]} == {"2d"}
    card = files["MODEL.md"].decode()
    for words in ("For research only", "Ten phantoms.", "## Results\n\nNot given.", "15 of the 15 subsets"):
        assert words in card


def test_the_same_model_is_the_same_archive(archive, model, tmp_path):
    assert run("model", "export", "-m", model, "-o", tmp_path / "again.zip", "--about", "Ten phantoms.") == 0
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()


def test_a_path_in_the_plans_is_not_exported(model, tmp_path, capsys):
    plans = json.loads((model / "plans.json").read_text())
    plans["seqdropout"]["from"] = "/data/hospital"
    (model / "plans.json").write_text(json.dumps(plans))
    assert run("model", "export", "-m", model, "-o", tmp_path / "model.zip") == 2
    assert "plans.json holds a path at seqdropout.from: /data/hospital" in capsys.readouterr().err
    assert not (tmp_path / "model.zip").exists()


def test_the_card_has_the_numbers_of_an_evaluation(model, tmp_path, monkeypatch):
    average = {"mean": 0.5, "sd": 0.1, "ci_low": 0.4, "ci_high": 0.6, "n": 3, "n_undefined": 0}
    undefined = {"mean": None, "sd": None, "ci_low": None, "ci_high": None, "n": 0, "n_undefined": 3}
    summary = {
        "settings": {"target_name": "lesion"},
        "threshold": {"source": "as given"},
        "totals": {"n_patients": 3},
        "metrics": {"dice": average, "auc": undefined},
    }
    read = type("Evaluation", (), {"summary": summary})
    monkeypatch.setattr("evaluation.tables.results.read_evaluation", lambda _: read)
    out = tmp_path / "model.zip"
    assert run("model", "export", "-m", model, "-o", out, "--evaluation", tmp_path) == 0
    card = contents(out)["MODEL.md"].decode()
    assert "3 patients; target: lesion; threshold: as given" in card
    assert "| dice | 0.5 | 0.4 to 0.6 | 3 |" in card
    assert "auc" not in card
    assert "## Training data\n\nNot given." in card


def test_an_installed_model_is_the_same_and_whole(archive, model, results, capsys):
    expected = json.loads(contents(archive)["model.json"])["fingerprint"]
    assert run("model", "install", archive) == 0
    installed = results / INSTALLED
    assert sorted(str(file.relative_to(installed)) for file in installed.rglob("*") if file.is_file()) == [
        "MODEL.md",
        "dataset.json",
        "fold_0/checkpoint_final.pth",
        "fold_0/checksums.json",
        "fold_0/thresholds.json",
        "plans.json",
    ]
    assert sorted(path.name for path in results.iterdir()) == ["Dataset001_Four"]
    assert said_of(installed, capsys)["fingerprint"] == expected
    assert run("model", "verify", "-m", installed) == 0
    assert "checkpoint_final.pth: ok" in capsys.readouterr().out
    before = {file: file.stat().st_mtime_ns for file in installed.rglob("*")}
    assert run("model", "install", archive) == 0
    assert "was installed before" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in installed.rglob("*")} == before


def test_another_model_is_not_written_over(archive, model, results, tmp_path, capsys):
    assert run("model", "install", archive) == 0
    (results / INSTALLED / "fold_0" / "checksums.json").unlink()
    file = results / INSTALLED / CHECKPOINT
    content = torch.load(file, weights_only=False)
    content["inference_allowed_mirroring_axes"] = (0,)
    torch.save(content, file)
    before = file.read_bytes()
    assert run("model", "install", archive) == 2
    assert "another model is there" in capsys.readouterr().err
    assert file.read_bytes() == before
    (results.parent / "raw" / "Dataset005_Other").mkdir()
    assert run("model", "install", archive, "-d", 5) == 2
    assert "the number of Dataset005_Four is taken by Dataset005_Other" in capsys.readouterr().err
    assert run("model", "install", archive, "-d", 5, "-n", "Other") == 0
    folder = results / "Dataset005_Other" / Path(INSTALLED).name
    assert json.loads((folder / "plans.json").read_text())["dataset_name"] == "Dataset005_Other"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trainer", "configuration"), [("TinySeqDropout", "2d"), ("TinyStockSeqDropout", "3d_fullres"), ("TinyStock", "2d")]
)
def test_nnunets_own_commands_predict_it_with_the_same_labels(
    make_model, four_sequences, tmp_path, monkeypatch, trainer, configuration
):
    """nnUNetv2_predict and nnUNetv2_predict_from_modelfolder, before and after."""
    model = make_model(trainer, configuration=configuration)
    out, other = tmp_path / "model.zip", Host(tmp_path / "other")
    assert run("model", "export", "-m", model, "-o", out) == 0
    for name, value in other.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("raw", "preprocessed", "results"):
        (other.root / name).mkdir()
    assert run("model", "install", out) == 0
    (installed,) = (other.root / "results").glob("*/*")
    write_case(tmp_path, "P", (9, 40, 38), seed=5)
    images = tmp_path / "imagesTr"
    exact = ("--save_probabilities", "--disable_tta")
    how = ("-f", 0, "-device", "cpu", "-npp", 1, "-nps", 1, *exact)
    four_sequences.run("nnUNetv2_predict_from_modelfolder", "-i", images, "-o", tmp_path / "before", "-m", model, *how)
    other.run("nnUNetv2_predict_from_modelfolder", "-i", images, "-o", tmp_path / "after", "-m", installed, *how)
    other.predict(1, installed.name.split("__")[0], images, tmp_path / "named", *exact, configuration=configuration)
    folders = [tmp_path / name for name in ("before", "after", "named")]
    labels = [sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "P.nii.gz"))) for folder in folders]
    probabilities = [np.load(folder / "P.npz")["probabilities"] for folder in folders]
    assert probabilities[0].std() > 0
    for each in (1, 2):
        assert (labels[each] == labels[0]).all()
        assert (probabilities[each] == probabilities[0]).all()


@pytest.mark.parametrize(
    "name", ["../x.json", "/tmp/x.json", "fold_0/../../x", "fold_0/evil.py", "fold_0\\x", "fold_0/", "PLANS.json"]
)
def test_no_other_name_is_taken_out_of_an_archive(archive, results, capsys, name):
    rewritten(archive, **{**contents(archive), name: b"{}"})
    assert run("model", "install", archive) == 2
    assert "which is no file of a model's archive" in capsys.readouterr().err
    assert [path for path in results.parent.rglob("*") if path.is_file()] == []


def test_nor_a_link(archive, results, capsys):
    files = contents(archive)
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o120777 if name == "MODEL.md" else 0o644) << 16
            opened.writestr(entry, content)
    assert run("model", "install", archive) == 2
    assert "MODEL.md is a link or encrypted" in capsys.readouterr().err


def test_an_archive_larger_than_allowed_is_refused_before_it_is_read(archive, results, capsys):
    assert run("model", "install", archive, "--max-size-gb", 0.0001) == 2
    assert "more than 107,374" in capsys.readouterr().err
    assert [*results.iterdir()] == []


@pytest.mark.parametrize("name", ["plans.json", "MODEL.md", "fold_0/checkpoint_final.safetensors"])
def test_a_file_with_another_sha256_is_named(archive, results, capsys, name):
    files = contents(archive)
    changed = bytearray(files[name])
    changed[len(changed) // 2] ^= 1
    rewritten(archive, **{**files, name: bytes(changed)})
    assert run("model", "install", archive) == 2
    assert f"{name} has changed since it was written" in capsys.readouterr().err
    assert [*results.iterdir()] == []


def test_plans_that_name_code_are_not_installed(archive, results, capsys):
    from dataset_conversion.files.hashing import sha256_of

    files = contents(archive)
    plans = json.loads(files["plans.json"])
    plans["configurations"]["2d"]["architecture"]["network_class_name"] = "subprocess.Popen"
    files["plans.json"] = json.dumps(plans).encode()
    sums = json.loads(files["checksums.json"])
    sums["sha256"]["plans.json"] = sha256_of(files["plans.json"])
    rewritten(archive, **{**files, "checksums.json": json.dumps(sums).encode()})
    assert run("model", "install", archive) == 2
    assert "it names subprocess.Popen" in capsys.readouterr().err
    assert [*results.iterdir()] == []


def test_mutated_archives_are_one_line_and_leave_nothing(archive, results, capsys):
    whole, generator = archive.read_bytes(), random.Random(7)
    directory = whole.rindex(b"PK\x01\x02") - 600
    for number in range(40):
        broken = bytearray(whole)
        if number % 4 == 0:
            del broken[generator.randrange(len(whole)) :]
        else:
            start = directory if number % 4 == 1 else 0 if number % 4 == 2 else -600
            for _ in range(3):
                broken[start + generator.randrange(600)] ^= 1 << generator.randrange(8)
        archive.write_bytes(broken)
        capsys.readouterr()
        code = run("model", "install", archive)
        said = [line for line in capsys.readouterr().err.splitlines() if line]
        if code == 0:  # a date, say
            shutil.rmtree(results / "Dataset001_Four")
        else:
            assert (code, len(said)) == (2, 1), said
        assert [*results.iterdir()] == []


def test_a_trainer_of_ones_own_is_named_by_the_one_that_builds_the_same_network(in_host, tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "Mine.py").write_text(
        "from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer\n"
        "from nnunet_seqdropout.training import ConfiguredTrainer, DeepLab25D, DeepLab25DPlus, WithSequenceDropout\n"
        "class MyPaper(WithSequenceDropout, DeepLab25D):\n    epochs = 3\n"
        "class MyPlus(WithSequenceDropout, DeepLab25DPlus):\n    epochs = 3\n"
        "class MyBaseline(DeepLab25DPlus):\n    epochs = 3\n"
        "class MyPlanned(WithSequenceDropout):\n    epochs = 3\n"
        "class MyStock(ConfiguredTrainer):\n    epochs = 3\n"
        "class MyStudents(nnUNetTrainer):\n    pass\n"
        "class Own(DeepLab25D):\n"
        "    @staticmethod\n    def build_network_architecture(*a, **k):\n        raise ValueError\n"
        "class MyOwn(WithSequenceDropout, Own):\n    pass\n"
    )
    monkeypatch.setenv("nnUNet_extTrainer", os.pathsep.join([str(tmp_path / "own"), str(TRAINERS)]))
    assert {name: portable_trainer(name) for name in ("MyPaper", "MyPlus", "MyBaseline", "MyPlanned")} == {
        "MyPaper": ("SeqDropoutTrainer", True),
        "MyPlus": ("SeqDropoutPlusTrainer", True),
        "MyBaseline": ("DeepLabV3PlusTrainer", True),
        "MyPlanned": ("nnUNetTrainerSeqDropout", True),
    }
    assert portable_trainer("MyStock") == portable_trainer("MyStudents") == ("nnUNetTrainer", True)
    assert portable_trainer("SeqDropoutTrainer_demo") == ("SeqDropoutTrainer_demo", True)
    assert portable_trainer("nnUNetTrainer_5epochs") == ("nnUNetTrainer_5epochs", True)
    assert portable_trainer("MyOwn") == ("MyOwn", False)
