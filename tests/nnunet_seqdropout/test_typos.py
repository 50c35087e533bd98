"""A misspelt command, option or choice is answered with the nearest, and options are spelt in one of two ways."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataset_conversion.faults import Fault
from nnunet_seqdropout.cli.command import build_parser, main
from nnunet_seqdropout.models.folders import require_model_folder
from nnunet_seqdropout.models.networks import find_trainer
from nnunet_seqdropout.models.nnunet_folders import environment

OF_NNUNET = {"--disable_tta", "--save_probabilities", "--continue_prediction", "--c"}


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from options(command)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["predct"], "predict"),
        (["eval"], "evaluate"),
        (["model", "instal"], "install"),
        (["calibrate", "-gt", "a", "-p", "b", "-o", "c", "--method", "yuoden"], "youden"),
        (["calibrate", "-gt", "a", "-p", "b", "-o", "c", "--trust-geomerty"], "--trust-geometry"),
        (["predict", "-i", "a", "-o", "b", "-m", "c", "--disable-tta"], "--disable_tta"),
        (["evaluate", "-gt", "a", "-p", "b", "-o", "c", "--fp_budjet=3"], "--fp-budget"),
        (["predict", "-o", "b", "--images", "a"], "--image"),
        (["study", "-d", "1", "--desing", "a"], "--design"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_word(words, meant, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.rstrip().endswith(f"; did you mean {meant}?")


@pytest.mark.parametrize(("words", "said"), [(["xyz"], "invalid choice"), (["env", "more"], "unrecognized arguments")])
def test_a_strange_word_is_answered_without_one(words, said, capsys):
    with pytest.raises(SystemExit):
        main(words)
    printed = capsys.readouterr().err
    assert said in printed
    assert "did you mean" not in printed


def test_an_option_is_spelt_as_nnunet_does_or_with_hyphens():
    long = {option for option in options(build_parser()) if option.startswith("--")}
    assert {option for option in long if "_" in option} <= OF_NNUNET
    assert long >= OF_NNUNET


def test_a_misspelt_trainer_is_answered_with_the_nearest(monkeypatch):
    monkeypatch.setenv("nnUNet_extTrainer", environment()["nnUNet_extTrainer"])
    with pytest.raises(Fault) as fault:
        find_trainer("SeqDropuotTrainer")
    assert fault.value.remedy.startswith("Did you mean SeqDropoutTrainer? Put the file SeqDropuotTrainer.py")


def test_before_any_training_a_misspelt_trainer_is_answered_with_the_nearest(tmp_path, monkeypatch):
    monkeypatch.delenv("nnUNet_extTrainer", raising=False)
    with pytest.raises(Fault) as fault:
        require_model_folder(tmp_path / "SeqDropuotPlusTrainer__nnUNetPlans__2d")
    assert fault.value.remedy.startswith("Did you mean SeqDropoutPlusTrainer? Train the model")


@pytest.mark.parametrize(
    "trainer", ["SeqDropoutTrainer", "SeqDropoutPlusTrainer_demo", "DeepLabV3Trainer_50epochs", "nnUNetTrainer"]
)
def test_a_trainer_that_is_spelt_well_gets_no_suggestion(tmp_path, trainer):
    with pytest.raises(Fault) as fault:
        require_model_folder(tmp_path / f"{trainer}__nnUNetPlans__2d")
    assert fault.value.remedy.startswith("Train the model, or select")


def trained(model: Path) -> None:
    (model / "fold_0").mkdir(parents=True)
    (model / "fold_0" / "checkpoint_best.pth").touch()


def test_the_models_that_are_there_are_named_where_none_is_near(tmp_path):
    for trainer in ("Mine", "Yours"):
        trained(tmp_path / f"{trainer}__nnUNetPlans__2d")
    (tmp_path / "Begun__nnUNetPlans__2d" / "fold_0").mkdir(parents=True)
    with pytest.raises(Fault) as fault:
        require_model_folder(tmp_path / "SeqDropoutTrainer__nnUNetPlans__3d_fullres")
    assert fault.value.remedy.startswith("Trained: Mine__nnUNetPlans__2d, Yours__nnUNetPlans__2d. Train the model")


def test_a_misspelt_model_folder_is_answered_with_its_neighbour(tmp_path):
    trained(tmp_path / "SeqDropoutTrainer__nnUNetPlans__2d")
    with pytest.raises(Fault) as fault:
        require_model_folder(tmp_path / "SeqDropTrainer__nnUNetPlans__2d")
    assert fault.value.remedy.startswith("Did you mean SeqDropoutTrainer__nnUNetPlans__2d? ")
