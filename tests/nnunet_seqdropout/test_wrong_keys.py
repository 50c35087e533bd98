"""Of every kind of file that a command reads: what is said of one wrong key."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from example_texts import DATASET, MODEL, READERS, TRAINED, Reader
from mutated_texts import archived, run, write_archived

from nnunet_seqdropout.study.steps import Steps


@pytest.fixture(scope="module")
def environment() -> Iterator[None]:
    """What the commands and ``example_texts`` set is taken back."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def originals(environment, tmp_path_factory) -> dict[Any, Path]:
    """By maker; filled as they are needed."""
    return {}


@pytest.fixture
def said_of(originals, tmp_path, tmp_path_factory, monkeypatch):
    """``said_of(name, change)``: what the reader of this name says of a changed file, from the file's name on."""
    monkeypatch.setattr(Steps, "run", lambda *_: None)

    def say(name: str, change: Callable[[Path], None]) -> str:
        reader = next(each for each in READERS if each.name == name)
        if reader.make not in originals:
            originals[reader.make] = tmp_path_factory.mktemp("original") / "f"
            originals[reader.make].mkdir()
            reader.make(originals[reader.make])
        folder = Path(shutil.copytree(originals[reader.make], tmp_path / "f", symlinks=True))
        file = next(folder.glob(reader.file))
        change(file)
        return sentence(reader, folder, file.name)

    return say


def sentence(reader: Reader, folder: Path, name: str) -> str:
    code, printed = run(reader, folder)
    assert code in (1, 2)
    (line,) = [line for line in printed.splitlines() if f"{name}: " in line and " should be " in line]
    return line[line.rindex(f"{name}: ") :]


def set_key(file: Path, *keys: Any) -> None:
    """The last of them is the value at the others."""
    *place, key, value = keys
    if file.suffix == ".pth":
        content = torch.load(file, weights_only=False)
    else:
        content = yaml.safe_load(file.read_text()) if file.suffix == ".yaml" else json.loads(file.read_text())
    inside = content
    for each in place:
        inside = inside[each]
    inside[key] = value
    if file.suffix == ".pth":
        torch.save(content, file)
    else:
        file.write_text(yaml.safe_dump(content) if file.suffix == ".yaml" else json.dumps(content))


RESTORE = "Restore the file that the conversion or nnU-Net wrote."
AGAIN = "Convert the data set again, or restore the file."
PLANS = "Restore the plans.json that nnU-Net wrote into this model folder."
CHECKPOINT = "Restore it from a backup, choose another checkpoint with -chk, or train the model again."
DESIGN = "Write it in YAML, as in docs/study.md."


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        (
            f"check {DATASET}/dataset.json",
            ("labels", "lesion", 1.5),
            f"dataset.json: labels.lesion should be a whole number from 0 or a list, and is 1.5. {RESTORE}",
        ),
        (
            f"check {DATASET}/manifest.json",
            ("patients", "P1", "split", "training"),
            f"manifest.json: patients.P1.split should be one of train, val, test, and is 'training'. {AGAIN}",
        ),
        (
            f"convert {DATASET}/manifest.json",
            ("patients", "P1", "sequences", "flair", "present", 1),
            f"manifest.json: patients.P1.sequences.flair.present should be true or false, and is 1. {AGAIN}",
        ),
        (
            f"check {DATASET}/splits_final.json",
            (0, "val", "P3"),
            f"splits_final.json: [0].val should be a list, and is 'P3'. {AGAIN}",
        ),
        (
            "convert layout.yaml",
            ("label", 0, "map", "tumour"),
            "layout.yaml: label[0].map should be keys with values, and is 'tumour'. "
            "Write it as described in docs/layouts.md.",
        ),
        (
            "evaluate thresholds.json",
            ("thresholds", "", "value", 7),
            "thresholds.json: thresholds[''].value should be a number from 0 to 1, and is 7. "
            "Give a thresholds.json that evaluate or calibrate wrote.",
        ),
        (
            "evaluate ours/P1.json",
            ("pattern", ["t1_gd"]),
            "P1.json: pattern should be a text, and is ['t1_gd']. Predict this case again.",
        ),
        (
            "compare A/summary.json",
            ("metrics", "dice", "mean", float("inf")),
            "summary.json: metrics.dice.mean should be a number or null, and is inf. "
            "Give a folder that seqdropout evaluate wrote.",
        ),
        (
            f"model {MODEL}/plans.json",
            ("seqdropout", "drop_probability", 2),
            f"plans.json: seqdropout.drop_probability should be a number from 0 to 1, and is 2. {PLANS}",
        ),
        (
            f"model {MODEL}/fold_0/checkpoint_final.pth",
            ("init_args", "configuration", None),
            f"checkpoint_final.pth: init_args.configuration should be a text, and is null. {CHECKPOINT}",
        ),
        (
            f"model {MODEL}/fold_0/checksums.json",
            ("sha256", "checkpoint_final.pth", "0" * 64),
            f"checksums.json: sha256['checkpoint_final.pth'] should be a list, and is '{'0' * 59}.... "
            "Restore checksums.json from a backup, or remove it: the files are then not checked.",
        ),
        (
            "study design.yaml",
            ("arms", "B", "sequences", "some"),
            f"design.yaml: arms.B.sequences should be one of all, available, and is 'some'. {DESIGN}",
        ),
        (
            "study out/state.json",
            ("steps", "predict/as_acquired/A/test", "seconds", -1),
            "state.json: steps['predict/as_acquired/A/test'].seconds should be a number from 0, and is -1. "
            "Restore it, or name another folder with -o.",
        ),
        (
            "study out/endpoint.json",
            ("n_results_before", "none"),
            "endpoint.json: n_results_before should be a whole number from 0, and is 'none'. "
            "Restore endpoint.json from a backup.",
        ),
        (
            "study out/subsets/A/test/summary.json",
            ("channel_names", {}),
            "summary.json: channel_names should be a list, and is {}. Give a folder that seqdropout subsets wrote.",
        ),
        (
            f"study {TRAINED}/plans.json",
            ("seqdropout", "epochs", "two"),
            "plans.json: seqdropout.epochs should be a whole number from 0, and is 'two'. Write it again.",
        ),
        (
            f"study {TRAINED}/fold_0/checkpoint_final.pth",
            ("logging", "train_losses", [None]),
            f"checkpoint_final.pth: logging.train_losses[0] should be a number, and is null. {CHECKPOINT}",
        ),
    ],
)
def test_the_key_what_was_expected_what_came_and_what_to_do_are_said(said_of, name, keys, said):
    assert said_of(name, lambda file: set_key(file, *keys)) == said


def test_so_are_the_row_and_the_column_of_a_table(said_of):
    said = "cases.csv: recall in row 1 should be a number, and is 'many'. Give a folder that seqdropout evaluate wrote."
    found = said_of("compare A/cases.csv", lambda f: f.write_text(f.read_text().replace(",0.6,", ",many,", 1)))
    assert found == said


def test_a_key_in_an_archive_is_named_with_its_file(said_of):
    def other_axes(file: Path) -> None:
        files = archived(file)
        manifest = json.loads(files["model.json"])
        manifest["checkpoints"]["fold_0/checkpoint_final"]["mirroring_axes"] = [0, 5]
        write_archived({**files, "model.json": json.dumps(manifest).encode()}, file)

    assert said_of("model model.zip", other_axes) == (
        "model.zip: model.json.checkpoints['fold_0/checkpoint_final'].mirroring_axes[1] should be one of 0, 1, 2, "
        "and is 5. Ask for the archive again, and compare its SHA-256 with that of the sender."
    )
