"""Defines the sub-command ``predict``, for any subset of the sequences."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_conversion.faults import Fault
from nnunet_seqdropout.cli.arguments.dicom_results import add_dicom_results, dicom_results_of
from nnunet_seqdropout.cli.arguments.models import (
    add_model,
    add_target,
    add_threshold,
    load,
    named_model,
    print_target,
    print_threshold,
    target_of,
    thresholds_of,
)
from nnunet_seqdropout.cli.arguments.parsers import add_command
from nnunet_seqdropout.cli.arguments.patients import add_inputs, add_preparation, unprepared
from nnunet_seqdropout.cli.arguments.shared import (
    add_trust_geometry,
    output,
    processes,
)
from nnunet_seqdropout.cli.process.exit_codes import exit_code
from nnunet_seqdropout.cli.process.outputs import output_folder
from nnunet_seqdropout.models.folders import description_of_model

if TYPE_CHECKING:
    from dataset_conversion.files.texts.dataset_json import Description
    from nnunet_seqdropout.prediction.case import CaseInput
    from nnunet_seqdropout.prediction.extras import Extra


def add_commands(commands: "argparse._SubParsersAction") -> None:
    predict = add_command(
        commands,
        "predict",
        "segment cases with any subset of the sequences",
        "seqdropout predict -i images -o predictions -d 1 -tr SeqDropoutPlusTrainer",
    )
    what = predict.add_mutually_exclusive_group(required=True)
    what.add_argument("-i", type=Path, metavar="IN", help="folder of <case>_XXXX images, some missing")
    add_inputs(what)
    what.add_argument(
        "--image", action="append", metavar="NAME=FILE", help="an image of a single case, with its sequence; repeat"
    )
    predict.add_argument(
        "--layout",
        metavar="LAYOUT",
        help="layout of the folder of --patients (see convert), or of IN, where its images lie on one grid",
    )
    predict.add_argument(
        "--case", default="case", metavar="ID", help="name of the case of --image or --dicom. Default: case"
    )
    predict.add_argument("-o", type=output, required=True, metavar="OUT", help="output folder for the predictions")
    add_model(predict)
    predict.add_argument(
        "--drop", action="append", default=[], metavar="NAME", help="ignore this sequence, as if it was not acquired"
    )
    predict.add_argument(
        "--nan",
        choices=("refuse", "zero"),
        default="refuse",
        help="reject images with NaN, or replace NaN by 0. Default: refuse",
    )
    add_preparation(predict)
    add_dicom_results(predict)
    add_target(predict)
    add_trust_geometry(predict)
    add_threshold(predict)
    predict.add_argument(
        "--save_probabilities",
        nargs="?",
        const="uint16",
        choices=("uint16", "float32"),
        help="write <case>_prob.nii.gz of the target, in steps of 1/65535 (uint16) or exact. Default type: uint16",
    )
    predict.add_argument(
        "--page",
        action="store_true",
        help="write <case>.html, a page to look at: pictures of the patient's head with what was predicted, a table of "
        "the objects, what was absent, what was done to the images, the threshold and the model. Default: no page",
    )
    predict.add_argument(
        "--viewer",
        action="store_true",
        help="write <case>_viewer.html, the image with what was predicted in three planes and in 3D, in which a "
        "face can be seen. Default: no viewer",
    )
    predict.add_argument(
        "--continue_prediction",
        "--c",
        action="store_true",
        help="skip cases with complete outputs of the same inputs and settings",
    )
    for option, does in (("-npp", "read and prepared"), ("-nps", "written")):
        predict.add_argument(
            option,
            type=processes,
            metavar="K",
            help=f"number of cases that are {does} while one is predicted; each takes memory. Default: 3, on a CPU 1",
        )
    predict.add_argument(
        "-num_parts", type=int, default=1, metavar="N", help="number of separate runs that share the cases. Default: 1"
    )
    predict.add_argument(
        "-part_id", type=int, default=0, metavar="I", help="index of this run, from 0 to N - 1. Default: 0"
    )
    predict.set_defaults(run=_predict)


def _predict(arguments: argparse.Namespace) -> int:
    n_parts, part = arguments.num_parts, arguments.part_id
    if not 0 <= part < n_parts:
        remedy = "Give a -part_id from 0 to num_parts - 1."
        raise Fault(f"-part_id is {part}, -num_parts {n_parts}", remedy=remedy)
    # parts of one prediction share the folder
    with output_folder(arguments.o, part=f".{part}of{n_parts}" if n_parts > 1 else ""):
        return _predict_part(arguments)


def _predict_part(arguments: argparse.Namespace) -> int:
    from dataset_conversion.files.disk import require_room
    from nnunet_seqdropout.cli.process.records import print_patterns
    from nnunet_seqdropout.prediction.folder import bytes_needed, cases_there, predict_folder, preflight
    from nnunet_seqdropout.prediction.outputs import Choices

    folder, extras = named_model(arguments), _extras(arguments)
    description = description_of_model(folder)
    target = target_of(arguments, description)
    description.require_predicted(target.labels)
    with _cases(arguments, folder, description) as cases:
        thresholds, source = thresholds_of(arguments, folder, target)
        print_target(target, description)
        print_threshold(thresholds, source)
        choices = Choices(
            target,
            thresholds,
            source,
            arguments.save_probabilities,
            arguments.continue_prediction,
            extras,
        )
        there = cases_there(arguments.o, cases, choices, description.file_ending)
        found = preflight(cases, thresholds=thresholds, channel_names=description.channel_names, there=there)
        require_room(arguments.o, bytes_needed(found, choices, there))
        model = load(arguments, folder)
        summary = "summary.json" if arguments.num_parts == 1 else f"summary_part_{arguments.part_id}.json"
        # on a CPU the network takes all cores
        at_once = 1 if model.predictor.device.type == "cpu" else 3
        outcomes = predict_folder(
            model,
            found.cases,
            arguments.o,
            choices,
            known_faulty=found.faulty,
            summary=summary,
            n_prepared=arguments.npp or at_once,
            n_written=arguments.nps or at_once,
        )
    print_patterns(arguments.o, outcomes)
    return exit_code(outcomes)


def _extras(arguments: argparse.Namespace) -> "list[Extra]":
    """The pages come last: they tell what was said of the others. Raises Fault where something for them is missing."""
    from nnunet_seqdropout.prediction.page import Page, Viewer

    extras = dicom_results_of(arguments)
    if arguments.page:
        extras.append(Page())
    if arguments.viewer:
        extras.append(Viewer.with_niivue())
    return extras


@contextmanager
def _cases(arguments: argparse.Namespace, model: Path, description: "Description") -> "Iterator[dict[str, CaseInput]]":
    """Those of this part, without the sequences to be dropped."""
    from nnunet_seqdropout.prediction.inputs import without

    names = description.channel_names
    with ExitStack() as until_predicted:
        if arguments.patients is not None or arguments.dicom is not None:
            cases = until_predicted.enter_context(unprepared(arguments, model, names))
        else:
            cases = _prepared(arguments, description)
        of_part = dict(list(cases.items())[arguments.part_id :: arguments.num_parts])
        yield without(of_part, arguments.drop, names)


def _prepared(arguments: argparse.Namespace, description: "Description") -> "dict[str, CaseInput]":
    """Images that lie on one grid already."""
    from dataset_conversion.raw.layout import named_layout
    from nnunet_seqdropout.prediction import inputs

    names = description.channel_names
    if arguments.image:
        cases = inputs.from_named_files(arguments.image, case=arguments.case, channel_names=names)
    elif arguments.layout:
        cases = inputs.from_tree(arguments.i, named_layout(arguments.layout), channel_names=names)
    else:
        cases = inputs.from_folder(arguments.i, channel_names=names, file_ending=description.file_ending)
    how = {"nan": arguments.nan, "trust_geometry": arguments.trust_geometry}
    return {case: replace(found, **how) for case, found in cases.items()}
