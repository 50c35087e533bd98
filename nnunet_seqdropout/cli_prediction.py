"""The sub-commands ``predict`` and ``calibrate``: any subset of the sequences, and the threshold that fits it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_conversion.faults import Fault
from nnunet_seqdropout.arguments import numbers
from nnunet_seqdropout.exit_codes import exit_code
from nnunet_seqdropout.folders import dataset_json, model_folder

if TYPE_CHECKING:
    import torch

    from evaluation.inputs import Target
    from nnunet_seqdropout.prediction import Model
    from nnunet_seqdropout.prediction_folder import Choices
    from nnunet_seqdropout.prediction_inputs import CaseInput


def add_commands(commands: "argparse._SubParsersAction") -> None:
    predict = commands.add_parser("predict", help="segment whatever images are there, any subset of the sequences")
    what = predict.add_mutually_exclusive_group(required=True)
    what.add_argument("-i", type=Path, metavar="IN", help="folder of <case>_XXXX images, some absent")
    what.add_argument("--image", action="append", metavar="NAME=FILE", help="one case: its images, by sequence")
    predict.add_argument("--layout", metavar="LAYOUT", help="IN is a patient tree in this layout (see convert)")
    predict.add_argument("--case", default="case", metavar="ID", help="what the case of --image is called (case)")
    predict.add_argument("-o", type=Path, required=True, metavar="OUT", help="folder for the predictions")
    add_model(predict)
    predict.add_argument("--drop", action="append", default=[], metavar="NAME", help="as if it had not been acquired")
    add_target(predict)
    threshold = predict.add_mutually_exclusive_group()
    threshold.add_argument("--threshold", type=float, metavar="T", help="the target is where p >= T (argmax)")
    threshold.add_argument("--threshold-file", type=Path, metavar="F", help="a thresholds.json: the pattern's own")
    threshold.add_argument("--argmax", action="store_true", help="even if the model's fold has a thresholds.json")
    predict.add_argument("--save_probabilities", action="store_true", help="write <case>_prob.nii.gz of the target")
    predict.add_argument(
        "--continue_prediction", "--c", action="store_true", help="leave alone what is there, whole and the same"
    )
    predict.add_argument(
        "-num_parts", type=int, default=1, metavar="N", help="of how many processes on the same job (1)"
    )
    predict.add_argument("-part_id", type=int, default=0, metavar="I", help="this is the I-th, from 0 (0)")
    predict.set_defaults(run=_predict)

    calibrate = commands.add_parser("calibrate", help="the threshold of every pattern of the validation patients")
    calibrate.add_argument("-gt", type=Path, required=True, metavar="DIR", help="their references: <case>.nii.gz")
    calibrate.add_argument("-p", type=Path, required=True, metavar="DIR", help="their predictions, with probabilities")
    calibrate.add_argument(
        "-o", type=Path, required=True, metavar="FILE", help="thresholds.json, or a model's fold folder"
    )
    add_target(calibrate)
    calibrate.add_argument("--fp-budget", type=float, metavar="X", help="false positives per patient (Youden index)")
    calibrate.add_argument("-np", type=int, default=1, metavar="K", help="processes (1)")
    calibrate.set_defaults(run=_calibrate)

    _subsets_command(commands)


def _subsets_command(commands: "argparse._SubParsersAction") -> None:
    subsets = commands.add_parser("subsets", help="every subset of the sequences, measured: how much each matters")
    subsets.add_argument("-i", type=Path, required=True, metavar="IMAGES", help="folder of <case>_XXXX images")
    subsets.add_argument("-gt", type=Path, required=True, metavar="DIR", help="references: <case>.nii.gz")
    subsets.add_argument("-o", type=Path, required=True, metavar="OUT", help="folder for tables and heat map")
    subsets.add_argument("--patterns", nargs="+", metavar="A+B", help="only these, such as t1_gd+flair")
    add_model(subsets)
    add_target(subsets)
    subsets.add_argument("--threshold-file", type=Path, metavar="F", help="thresholds.json (most probable label)")
    subsets.set_defaults(run=_subsets)


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
    from evaluation.inputs import Target

    return Target(tuple(arguments.region or [arguments.label]))


def _calibrate(arguments: argparse.Namespace) -> int:
    from evaluation.calibration import calibrate
    from evaluation.inputs import Folders

    file = arguments.o / "thresholds.json" if arguments.o.is_dir() else arguments.o
    folders = Folders(arguments.gt, arguments.p, target_of(arguments))
    thresholds, outcomes = calibrate(folders, fp_budget=arguments.fp_budget, n_workers=arguments.np)
    thresholds.write(file)
    for pattern, threshold in thresholds.by_pattern.items():
        youden = "" if threshold.youden is None else f", Youden index {threshold.youden:.3f}"
        print(f"{threshold.value:.4f}  {pattern or 'all'} ({threshold.n_patients} patients{youden})")
    print(f"{thresholds.method}: {file}")
    return exit_code(outcomes)


def _predict(arguments: argparse.Namespace) -> int:
    folder = model_folder(arguments)
    dataset = dataset_json(None, folder)
    cases = _cases(arguments, dataset)
    if not 0 <= arguments.part_id < arguments.num_parts:
        raise Fault(f"part {arguments.part_id} of {arguments.num_parts}", remedy="Parts are counted from 0.")
    cases = dict(list(cases.items())[arguments.part_id :: arguments.num_parts])
    choices = _choices(arguments, folder)

    from nnunet_seqdropout.prediction_folder import predict_folder, preflight

    faulty = preflight(cases)
    model = _load(arguments, folder)
    outcomes = predict_folder(model, cases, arguments.o, choices, known_faulty=faulty)
    n_done = sum(outcome.status != "failed" for outcome in outcomes.values())
    print(f"{n_done} of {len(outcomes)} cases predicted: {arguments.o}")
    return exit_code(outcomes)


def _subsets(arguments: argparse.Namespace) -> int:
    folder = model_folder(arguments)
    dataset = dataset_json(None, folder)

    from dataset_conversion.outcomes import write_summary
    from evaluation.thresholds import read_thresholds
    from nnunet_seqdropout.prediction_inputs import from_folder, require_channel
    from nnunet_seqdropout.subset_table import subset_results
    from nnunet_seqdropout.subsets import subsets

    names, target = dataset["channel_names"], target_of(arguments)
    cases = from_folder(arguments.i, **dataset)
    patterns = sorted(subsets([True] * len(names)), key=lambda present: -sum(present))
    if arguments.patterns:
        chosen = [{require_channel(name, names) for name in shown.split("+")} for shown in arguments.patterns]
        patterns = [tuple(channel in each for channel in range(len(names))) for each in chosen]
    thresholds = None
    if arguments.threshold_file is not None:
        thresholds = read_thresholds(arguments.threshold_file, target=str(target))
    model = _load(arguments, folder)
    results = subset_results(model, cases, arguments.gt, patterns, target=target, thresholds=thresholds)
    results.write(arguments.o, names)
    settings = {"model": str(folder), "i": str(arguments.i), "gt": str(arguments.gt), "target": str(target)}
    write_summary(arguments.o, command="subsets", settings=settings, outcomes=results.outcomes)
    print(results.wide().to_string(float_format=lambda value: f"{value:.3f}", na_rep="n/a"))
    return exit_code(results.outcomes)


def _load(arguments: argparse.Namespace, folder: Path) -> "Model":
    from nnunet_seqdropout.prediction import load_model

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
    import logging

    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[wanted]:
        logging.getLogger(__name__).warning("No %s here: predicting on the CPU.", wanted)
        wanted = "cpu"
    return torch.device(wanted)


def _cases(arguments: argparse.Namespace, dataset: dict) -> "dict[str, CaseInput]":
    from dataset_conversion.layouts import SHIPPED, read_layout
    from nnunet_seqdropout import prediction_inputs

    names = dataset["channel_names"]
    if arguments.image:
        cases = prediction_inputs.from_named_files(arguments.image, case=arguments.case, channel_names=names)
    elif arguments.layout:
        shipped = SHIPPED / f"{arguments.layout}.yaml"
        layout = read_layout(shipped if shipped.is_file() else Path(arguments.layout))
        cases = prediction_inputs.from_tree(arguments.i, layout, channel_names=names)
    else:
        cases = prediction_inputs.from_folder(arguments.i, **dataset)
    return prediction_inputs.without(cases, arguments.drop, names)


def _choices(arguments: argparse.Namespace, folder: Path) -> "Choices":
    from evaluation.thresholds import Threshold, Thresholds, read_thresholds
    from nnunet_seqdropout.prediction_folder import Choices

    target = target_of(arguments)
    thresholds, source = None, "argmax"
    if arguments.threshold is not None:
        if not 0 <= arguments.threshold <= 1:
            raise Fault(f"a threshold of {arguments.threshold:g}", remedy="Probabilities go from 0 to 1.")
        thresholds, source = Thresholds(str(target), "fixed", {"": Threshold(arguments.threshold)}), "as given"
    elif arguments.threshold_file is not None:
        thresholds = read_thresholds(arguments.threshold_file, target=str(target))
        source = f"{thresholds.method} of {arguments.threshold_file}"
    elif not arguments.argmax and (calibrated := _calibrated(arguments, folder)) is not None:
        thresholds = read_thresholds(calibrated, target=str(target))
        source = f"{thresholds.method} of {calibrated}"
    return Choices(target, thresholds, source, arguments.save_probabilities, arguments.continue_prediction)


def _calibrated(arguments: argparse.Namespace, folder: Path) -> Path | None:
    """The thresholds of the model's fold, if it has one fold and they were calibrated."""
    folds = [folder / f"fold_{fold}" for fold in arguments.f] if arguments.f else sorted(folder.glob("fold_*"))
    file = folds[0] / "thresholds.json" if len(folds) == 1 else None
    return file if file is not None and file.is_file() else None
