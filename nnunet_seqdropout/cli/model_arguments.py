"""Defines the arguments shared by the commands that predict: model, device, label and threshold."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_conversion.faults import Fault
from nnunet_seqdropout.cli.arguments import numbers
from nnunet_seqdropout.models.folders import folds_there

if TYPE_CHECKING:
    import torch

    from evaluation.inputs.folders import Target
    from evaluation.inputs.thresholds import Thresholds
    from nnunet_seqdropout.prediction.model import Model

log = logging.getLogger(__name__)


def add_model(parser: argparse.ArgumentParser) -> None:
    """nnU-Net's flags by which a model is named, and how it is run."""
    model = parser.add_argument_group("the model: -m, or -d with -c, -tr, -p")
    model.add_argument("-m", type=Path, metavar="MODEL", help="model folder (TRAINER__PLANS__CONFIGURATION)")
    model.add_argument("-d", metavar="ID", help="data set number or name")
    model.add_argument("-c", default="2d", metavar="CONF", help="configuration (2d)")
    model.add_argument("-tr", default="SeqDropoutTrainer", metavar="T", help="trainer (SeqDropoutTrainer)")
    model.add_argument("-p", default="nnUNetPlans", metavar="PLANS", help="plans (nnUNetPlans)")
    model.add_argument("-f", nargs="+", metavar="FOLD", help="folds, an ensemble (those that are there)")
    model.add_argument("-chk", default="checkpoint_final.pth", metavar="NAME", help="checkpoint (checkpoint_final.pth)")
    parser.add_argument("-device", default="cuda", choices=("cuda", "cpu", "mps"), help="cuda, or cpu if there is none")
    parser.add_argument("-step_size", type=float, default=0.5, help="of the sliding window, in tiles (0.5)")
    parser.add_argument("--disable_tta", action="store_true", help="no mirroring: faster")


def add_target(parser: argparse.ArgumentParser) -> None:
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--label", type=int, default=1, metavar="L", help="the label of lesions and probabilities (1)")
    target.add_argument("--region", type=numbers(int), metavar="A,B", help="labels that together are the target: 1,3")


def target_of(arguments: argparse.Namespace) -> "Target":
    from evaluation.inputs.folders import Target

    return Target(tuple(arguments.region or [arguments.label]))


def add_threshold(parser: argparse.ArgumentParser) -> None:
    threshold = parser.add_mutually_exclusive_group()
    threshold.add_argument("--threshold", type=float, metavar="T", help="the target is where p >= T (argmax)")
    threshold.add_argument("--threshold-file", type=Path, metavar="F", help="a thresholds.json: the pattern's own")
    threshold.add_argument("--argmax", action="store_true", help="even if the model's fold has a thresholds.json")


def thresholds_of(arguments: argparse.Namespace, folder: Path) -> "tuple[Thresholds | None, str]":
    """The thresholds that the arguments name, or those of the model's one fold, and where they come from.

    None takes the most probable label. Raises Fault where they cannot be used.
    """
    from evaluation.inputs.thresholds import Threshold, Thresholds, read_thresholds

    target = str(target_of(arguments))
    if arguments.threshold is not None:
        if not 0 <= arguments.threshold <= 1:
            raise Fault(f"a threshold of {arguments.threshold:g}", remedy="Probabilities go from 0 to 1.")
        return Thresholds(target, "fixed", {"": Threshold(arguments.threshold)}), "as given"
    file = arguments.threshold_file
    if file is None and not arguments.argmax:
        file = _calibrated(arguments, folder)
    if file is None:
        return None, "argmax"
    thresholds = read_thresholds(file, target=target)
    return thresholds, f"{thresholds.method} of {file}"


def _calibrated(arguments: argparse.Namespace, folder: Path) -> Path | None:
    """The thresholds of the model's fold, if it has one fold and they were calibrated."""
    folds = arguments.f or folds_there(folder, arguments.chk)
    files = [file for fold in folds if (file := folder / f"fold_{fold}" / "thresholds.json").is_file()]
    if len(folds) == 1 or not files:
        return next(iter(files), None)
    log.info("%s is of one fold, not of the ensemble: the most probable label is taken.", files[0])
    return None


def load(arguments: argparse.Namespace, folder: Path) -> "Model":
    from nnunet_seqdropout.prediction.model import load_model

    return load_model(
        folder,
        folds=arguments.f,
        checkpoint=arguments.chk,
        device=device(arguments.device),
        use_mirroring=not arguments.disable_tta,
        tile_step_size=arguments.step_size,
    )


def device(wanted: str) -> "torch.device":
    """The device asked for, or the CPU, with a word about it, where it is not there."""
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[wanted]:
        log.warning("No %s here: predicting on the CPU.", wanted)
        wanted = "cpu"
    return torch.device(wanted)
