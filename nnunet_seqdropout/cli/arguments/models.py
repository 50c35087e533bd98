"""Defines the arguments shared by the commands that predict: model, device, label and threshold."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_conversion.faults import Fault
from nnunet_seqdropout.cli.arguments.shared import add_given_threshold, given_thresholds
from nnunet_seqdropout.models.folders import (
    DEFAULT_TRAINER,
    default_trainer,
    folds_there,
    model_folder,
    require_model_folder,
)

if TYPE_CHECKING:
    from dataset_conversion.files.texts.dataset_json import Description
    from evaluation.inputs.target import Target
    from evaluation.inputs.thresholds import Thresholds
    from nnunet_seqdropout.prediction.model import Model

log = logging.getLogger(__name__)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds nnU-Net's flags that select a model and control prediction."""
    add_model_names(parser)
    add_device(parser, "prediction; cpu is used if it is not available")
    parser.add_argument(
        "-step_size", type=float, default=0.5, help="step of the sliding window as a fraction of its size. Default: 0.5"
    )
    parser.add_argument("--disable_tta", action="store_true", help="disable test-time mirroring: faster")
    add_trust_checkpoint(parser)


def add_device(parser: argparse.ArgumentParser, what: str) -> None:
    """what: the device is for, in words."""
    parser.add_argument(
        "-device", default="cuda", choices=("cuda", "cpu", "mps"), help=f"device for {what}. Default: cuda"
    )


def add_model_names(parser: argparse.ArgumentParser, *, several_checkpoints: bool = False) -> None:
    """Adds nnU-Net's flags that select a model. several_checkpoints: ``-chk`` is a list, as nnU-Net's export has it."""
    model = parser.add_argument_group("model: -m, or -d with -c, -tr and -p")
    model.add_argument("-m", type=Path, metavar="MODEL", help="model folder (TRAINER__PLANS__CONFIGURATION)")
    model.add_argument("-d", metavar="ID", help="data set (number or name) the model was trained on")
    model.add_argument("-c", default="2d", metavar="CONF", help="configuration. Default: 2d")
    model.add_argument(
        "-tr", metavar="T", help=f"trainer. Default: {DEFAULT_TRAINER}, or the only one that was trained"
    )
    model.add_argument("-p", default="nnUNetPlans", metavar="PLANS", help="plans identifier. Default: nnUNetPlans")
    model.add_argument("-f", nargs="+", metavar="FOLD", help="folds to ensemble. Default: all trained folds")
    final = "checkpoint_final.pth"
    many: dict[str, Any] = {"nargs": "+", "default": [final]} if several_checkpoints else {"default": final}
    model.add_argument("-chk", **many, metavar="NAME", help=f"checkpoint file. Default: {final}")


def add_trust_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="run code that a checkpoint or its plans hold, as nnU-Net does: only if you trust whoever made them",
    )


def named_model(arguments: argparse.Namespace) -> Path:
    """The folder that ``-m``, or ``-d`` with ``-c``, ``-tr`` and ``-p``, names. Raises Fault where it is not there."""
    if (arguments.m is None) == (arguments.d is None):
        raise Fault("give exactly one of -m and -d", remedy="Give a model folder with -m, or a data set with -d.")
    if arguments.m is not None:
        return require_model_folder(arguments.m)
    names = {"plans": arguments.p, "configuration": arguments.c}
    trainer = arguments.tr or default_trainer(arguments.d, **names)
    if arguments.tr is None and trainer != DEFAULT_TRAINER:
        log.info("Trainer: %s, the only one that was trained", trainer)
    return require_model_folder(model_folder(arguments.d, trainer=trainer, **names))


def add_target(parser: argparse.ArgumentParser) -> None:
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--label",
        default="1",
        metavar="L",
        help="label to evaluate and to write probabilities of: its number, or the name in dataset.json of a label or "
        "region. Default: 1",
    )
    target.add_argument(
        "--region", metavar="A,B", help="several labels taken together instead, numbers or names, such as 1,3"
    )


def target_of(arguments: argparse.Namespace, description: "Description") -> "Target":
    """What ``--label`` or ``--region`` names. Raises Fault where the description has no such name."""
    from evaluation.inputs.target import Target

    names = [arguments.label] if arguments.region is None else arguments.region.split(",")
    return Target(tuple(value for name in names for value in description.values_of(name.strip())))


def add_threshold(parser: argparse.ArgumentParser) -> None:
    threshold = parser.add_mutually_exclusive_group()
    add_given_threshold(threshold, default="that of the model's fold, else as --argmax")
    threshold.add_argument(
        "--argmax",
        action="store_true",
        help="predict the most probable label, even if the model's fold has a thresholds.json",
    )


def thresholds_of(arguments: argparse.Namespace, folder: Path, target: "Target") -> "tuple[Thresholds | None, str]":
    """The thresholds that the arguments specify, or those of the model's single fold, and their source in words.

    None takes the most probable label. Raises Fault where they cannot be used.
    """
    from evaluation.inputs.thresholds import read_thresholds

    file = arguments.threshold_file
    given = given_thresholds(arguments, target)
    if given is None and not arguments.argmax and (file := _calibrated(arguments, folder)) is not None:
        given = read_thresholds(file, target=str(target))
        if given.method == "youden_pooled":
            log.warning(
                "%s was chosen by the Youden index, which marks much healthy tissue where lesions are small: it is not "
                "applied. Choose another with seqdropout calibrate, or apply it with --threshold-file.",
                file,
            )
            given = None
    if given is None:
        return None, "argmax"
    return given, "as given" if file is None else f"{given.method} of {file}"


def print_target(target: "Target", description: "Description") -> None:
    """Says which label is measured where the model has several."""
    if len(description.targets) > 1:
        others = ", ".join(description.targets)
        print(f"Target: {description.name_of(target.labels)}, of {others}; choose with --label or --region")


def print_threshold(thresholds: "Thresholds | None", source: str) -> None:
    """Says which threshold is applied, and where it comes from."""
    if thresholds is None:
        print("Threshold: none, the most probable label is predicted")
        return
    for pattern, threshold in thresholds.by_pattern.items():
        print(f"Threshold: {threshold.value:.4g}{f' for {pattern}' if pattern else ''}, {source}")


def _calibrated(arguments: argparse.Namespace, folder: Path) -> Path | None:
    """The ``thresholds.json`` of the model's fold, if only one fold is used and the file exists."""
    folds = arguments.f or folds_there(folder, arguments.chk)
    files = [file for fold in folds if (file := folder / f"fold_{fold}" / "thresholds.json").is_file()]
    if len(folds) == 1 or not files:
        return next(iter(files), None)
    log.info("%s was calibrated for one fold, not for the ensemble: the most probable label is predicted.", files[0])
    return None


def load(arguments: argparse.Namespace, folder: Path) -> "Model":
    from nnunet_seqdropout.prediction.loading import load_model

    if (found := device(arguments.device)) != arguments.device:
        warn_of_cpu(arguments.device)
    return load_model(
        folder,
        folds=arguments.f,
        checkpoint=arguments.chk,
        device=found,
        use_mirroring=not arguments.disable_tta,
        tile_step_size=arguments.step_size,
        trust_checkpoint=arguments.trust_checkpoint,
    )


def device(wanted: str) -> str:
    """The requested device, or the CPU if it is not available."""
    import torch

    from nnunet_seqdropout.models.devices import is_available

    return wanted if is_available(torch.device(wanted)) else "cpu"


def warn_of_cpu(wanted: str) -> None:
    """Warns that it is predicted on the CPU, since the requested device is not available."""
    log.warning("%s is not available: predicting on the CPU.", wanted)
