"""Defines the sub-command ``calibrate``, which chooses the threshold of a model."""

import argparse
from dataclasses import replace
from pathlib import Path

from dataset_conversion.faults import Fault
from nnunet_seqdropout.cli.arguments.models import add_target, target_of
from nnunet_seqdropout.cli.arguments.parsers import add_command
from nnunet_seqdropout.cli.arguments.shared import (
    add_fp_budget,
    add_method,
    add_trust_geometry,
    method_of,
    output,
    processes,
)
from nnunet_seqdropout.cli.process.exit_codes import exit_code


def add_commands(commands: "argparse._SubParsersAction") -> None:
    calibrate = add_command(
        commands,
        "calibrate",
        "calibrate a threshold for each pattern of the validation patients",
        "seqdropout calibrate -gt labels -p predictions -o thresholds.json --fp-budget 2",
    )
    calibrate.add_argument("-gt", type=Path, required=True, metavar="DIR", help="folder of references: <case>.nii.gz")
    calibrate.add_argument(
        "-p", type=Path, required=True, metavar="DIR", help="folder of predictions with probabilities"
    )
    calibrate.add_argument(
        "-o",
        type=output,
        required=True,
        metavar="FILE",
        help="output file thresholds.json, or the fold folder of a model",
    )
    add_target(calibrate)
    add_trust_geometry(calibrate)
    method = calibrate.add_mutually_exclusive_group()
    add_method(method, "--method")
    add_fp_budget(method)
    calibrate.add_argument("--force", action="store_true", help="write the file even if a threshold lies below 0.01")
    calibrate.add_argument("-np", type=processes, default=1, metavar="K", help="number of processes. Default: 1")
    calibrate.set_defaults(run=_calibrate)


def _calibrate(arguments: argparse.Namespace) -> int:
    from dataset_conversion.files.disk import require_room_for_file
    from evaluation.inputs.calibration import calibrate
    from evaluation.inputs.folders import Folders, description_beside

    file = arguments.o / "thresholds.json" if arguments.o.is_dir() else arguments.o
    require_room_for_file(file)
    target = target_of(arguments, description_beside(arguments.gt, arguments.p))
    folders = Folders(arguments.gt, arguments.p, target, trust_geometry=arguments.trust_geometry)
    found, outcomes = calibrate(folders, fp_budget=arguments.fp_budget, n_workers=arguments.np)
    thresholds = found[method_of(arguments.threshold_from, arguments.fp_budget)]
    for line in thresholds.described():
        print(line)
    if (low := thresholds.too_low()) and not arguments.force:
        remedy = "Train longer, choose another way (--fp-budget), or write it with --force."
        raise Fault(low, remedy=remedy)
    replace(thresholds, settings={**thresholds.settings, **({"forced": low} if low else {})}).write(file)
    print(f"{thresholds.method}: {file}")
    return exit_code(outcomes)
