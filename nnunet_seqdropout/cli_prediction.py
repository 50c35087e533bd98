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
    from nnunet_seqdropout.prediction_folder import Choices
    from nnunet_seqdropout.prediction_inputs import CaseInput

ANY_FOLD_THERE = None


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
    predict.add_argument("--save_probabilities", action="store_true", help="write <case>_prob.nii.gz of the target")
    predict.add_argument(
        "--continue_prediction", "--c", action="store_true", help="leave alone what is there, whole and the same"
    )
    predict.add_argument(
        "-num_parts", type=int, default=1, metavar="N", help="of how many processes on the same job (1)"
    )
    predict.add_argument("-part_id", type=int, default=0, metavar="I", help="this is the I-th, from 0 (0)")
    predict.set_defaults(run=_predict)


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


def _predict(arguments: argparse.Namespace) -> int:
    folder = model_folder(arguments)
    dataset = dataset_json(None, folder)
    cases = _cases(arguments, dataset)
    if not 0 <= arguments.part_id < arguments.num_parts:
        raise Fault(f"part {arguments.part_id} of {arguments.num_parts}", remedy="Parts are counted from 0.")
    cases = dict(list(cases.items())[arguments.part_id :: arguments.num_parts])
    choices = _choices(arguments, folder)

    from nnunet_seqdropout.prediction import load_model
    from nnunet_seqdropout.prediction_folder import predict_folder, preflight

    faulty = preflight(cases)
    model = load_model(
        folder,
        folds=arguments.f,
        checkpoint=arguments.chk,
        device=device(arguments.device),
        use_mirroring=not arguments.disable_tta,
        tile_step_size=arguments.step_size,
    )
    outcomes = predict_folder(model, cases, arguments.o, choices, known_faulty=faulty)
    n_done = sum(outcome.status != "failed" for outcome in outcomes.values())
    print(f"{n_done} of {len(outcomes)} cases predicted: {arguments.o}")
    return exit_code(outcomes)


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
    return Choices(target, thresholds, source, arguments.save_probabilities, arguments.continue_prediction)
