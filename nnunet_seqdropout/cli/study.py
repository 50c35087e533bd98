"""Defines the sub-command ``study``: the paper's experiment, from a data set to one report."""

import argparse
import os
from pathlib import Path

from dataset_conversion.plurals import n_of
from nnunet_seqdropout.cli.arguments.models import add_device, add_trust_checkpoint
from nnunet_seqdropout.cli.arguments.parsers import add_command
from nnunet_seqdropout.cli.arguments.shared import output, processes
from nnunet_seqdropout.cli.process.exit_codes import ALL_DONE


def add_commands(commands: "argparse._SubParsersAction") -> None:
    study = add_command(
        commands,
        "study",
        "run the paper's experiment: train, predict and compare with stock nnU-Net, and report",
        "seqdropout study -d 1 -o study --small -device cpu --dry-run",
        "seqdropout study -d 1 -o study",
    )
    study.add_argument("-d", metavar="ID", help="data set (number or name) from convert")
    study.add_argument("-i", type=Path, metavar="RAW", help="folder of the data set, instead of -d")
    study.add_argument(
        "-o", type=output, required=True, metavar="OUT", help="output folder for models, predictions and report"
    )
    study.add_argument(
        "--design",
        type=Path,
        metavar="FILE",
        help="YAML file with arms, scenarios, folds and budget. Default: the paper's design",
    )
    study.add_argument(
        "--small", action="store_true", help="the paper's design with trainings short enough for 2 cores"
    )
    study.add_argument("--only", metavar="ARM", help="run only the steps of this arm, without the report")
    study.add_argument(
        "--dry-run",
        action="store_true",
        help="prepare the folders, print the commands as a shell script, and run none of them",
    )
    add_device(study, "training and prediction")
    study.add_argument(
        "-num_gpus", type=int, default=1, metavar="N", help="number of GPUs for each training. Default: 1"
    )
    cores = min(8, os.cpu_count() or 1)
    study.add_argument(
        "-np",
        type=processes,
        default=cores,
        metavar="K",
        help=f"number of processes for planning and evaluation. Default: {cores}",
    )
    add_trust_checkpoint(study)
    study.set_defaults(run=_study)


def _study(arguments: argparse.Namespace) -> int:
    from dataset_conversion.faults import Fault
    from dataset_conversion.files.disk import REPORT_BYTES, require_room
    from nnunet_seqdropout.cli.arguments.models import device, warn_of_cpu
    from nnunet_seqdropout.models.nnunet_folders import raw_folder
    from nnunet_seqdropout.study.cohort import read_cohort
    from nnunet_seqdropout.study.commands import prepare_study
    from nnunet_seqdropout.study.design.design_file import SHIPPED, read_design
    from nnunet_seqdropout.study.design.endpoint import declare
    from nnunet_seqdropout.study.folder import Machine, Study
    from nnunet_seqdropout.study.report import write_study_report

    if (arguments.i is None) == (arguments.d is None):
        raise Fault(
            "give exactly one of -d and -i", remedy="Give the number of the data set with -d, or its folder with -i."
        )
    if arguments.design is not None and arguments.small:
        raise Fault("--small and --design cannot be combined", remedy="Write base: small into your design instead.")
    require_room(arguments.o, REPORT_BYTES)
    design = read_design(arguments.design or SHIPPED / ("small.yaml" if arguments.small else "paper.yaml"))
    if arguments.only is not None and arguments.only not in design.names:
        raise Fault(f"the design has no arm {arguments.only}", remedy=f"Choose one of {', '.join(design.names)}.")
    cohort = read_cohort(arguments.i or raw_folder(arguments.d), n_workers=arguments.np)
    if arguments.num_gpus > 1 and arguments.device != "cuda":
        raise Fault(
            f"-num_gpus {arguments.num_gpus} cannot be combined with -device {arguments.device}",
            remedy="Leave out one of them.",
        )
    # a script for a cluster may be printed where there is no GPU
    named = arguments.device if arguments.dry_run else device(arguments.device)
    machine = Machine(named, arguments.num_gpus, arguments.np, arguments.trust_checkpoint)
    study = Study(arguments.o, design, cohort, machine)
    steps = prepare_study(study)
    if arguments.dry_run:
        print(steps.shell(arguments.only))
        return ALL_DONE
    if arguments.device != machine.device:
        if training := steps.not_done("train", arguments.only):
            problem = f"{arguments.device} is not available, and {n_of(len(training), 'model')} still to be trained"
            raise Fault(problem, remedy="Run it on a machine that has it, or with -device cpu (see also --small).")
        if any(steps.not_done(stage, arguments.only) for stage in ("predict", "subsets")):
            warn_of_cpu(arguments.device)
    declare(design.endpoint, study.folder, n_results=len(steps.begun("evaluate")))
    steps.run(arguments.only)
    if arguments.only is None:
        print(f"Report: {write_study_report(study, steps)}")
    return ALL_DONE
