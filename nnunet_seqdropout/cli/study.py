"""Defines the sub-command ``study``: the paper's experiment, from a data set to one report."""

import argparse
import os
from pathlib import Path

from nnunet_seqdropout.cli.arguments import processes
from nnunet_seqdropout.cli.exit_codes import ALL_DONE


def add_commands(commands: "argparse._SubParsersAction") -> None:
    study = commands.add_parser("study", help="the paper's experiment against stock nnU-Net, up to its report")
    study.add_argument("-d", metavar="ID", help="data set number or name, as convert wrote it")
    study.add_argument("-i", type=Path, metavar="RAW", help="or its folder")
    study.add_argument("-o", type=Path, required=True, metavar="OUT", help="folder for models, predictions and report")
    study.add_argument("--design", type=Path, metavar="FILE", help="arms, scenarios, folds, budget, YAML (the paper's)")
    study.add_argument("--small", action="store_true", help="the paper's design so short that two cores can do it")
    study.add_argument("--only", metavar="ARM", help="the steps of this arm, without the report")
    study.add_argument("--dry-run", action="store_true", help="print the commands as a shell script")
    study.add_argument("-device", default="cuda", choices=("cuda", "cpu", "mps"), help="(cuda)")
    study.add_argument("-num_gpus", type=int, default=1, metavar="N", help="for each training (1)")
    cores = min(8, os.cpu_count() or 1)
    study.add_argument(
        "-np", type=processes, default=cores, metavar="K", help=f"processes for planning and evaluation ({cores})"
    )
    study.set_defaults(run=_study)


def _study(arguments: argparse.Namespace) -> int:
    from dataset_conversion.faults import Fault
    from nnunet_seqdropout.cli.model_arguments import device
    from nnunet_seqdropout.models.nnunet_folders import raw_folder
    from nnunet_seqdropout.study.cohort import read_cohort
    from nnunet_seqdropout.study.commands import prepare
    from nnunet_seqdropout.study.design import SHIPPED, read_design
    from nnunet_seqdropout.study.folder import Machine, Study
    from nnunet_seqdropout.study.report import write_study_report

    if (arguments.i is None) == (arguments.d is None):
        raise Fault("which data set?", remedy="Give its number with -d, or its folder with -i.")
    if arguments.design is not None and arguments.small:
        raise Fault("--small is a design of its own", remedy="Write base: small into your file instead.")
    design = read_design(arguments.design or SHIPPED / ("small.yaml" if arguments.small else "paper.yaml"))
    if arguments.only is not None and arguments.only not in design.names:
        raise Fault(f"no arm {arguments.only}", remedy=f"Choose among {', '.join(design.names)}.")
    cohort = read_cohort(arguments.i or raw_folder(arguments.d), n_workers=arguments.np)
    if arguments.num_gpus > 1 and arguments.device != "cuda":
        raise Fault(f"-num_gpus {arguments.num_gpus} with -device {arguments.device}", remedy="Leave one of them out.")
    # a script for a cluster may be printed where there is no GPU
    named = arguments.device if arguments.dry_run else device(arguments.device).type
    machine = Machine(named, arguments.num_gpus, arguments.np)
    study = Study(arguments.o, design, cohort, machine)
    steps = prepare(study)
    if arguments.dry_run:
        print(steps.shell(arguments.only))
        return ALL_DONE
    if arguments.device != machine.device and (training := steps.not_done("train", arguments.only)):
        problem = f"no {arguments.device} here, and {len(training)} models are to be trained"
        raise Fault(problem, remedy="Run it where there is one, or say -device cpu (see --small).")
    steps.run(arguments.only)
    if arguments.only is None:
        print(f"Report: {write_study_report(study, steps)}")
    return ALL_DONE
