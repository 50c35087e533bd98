"""Defines the sub-command ``phantom``."""

import argparse
from dataclasses import replace

from dataset_conversion.faults import Fault
from nnunet_seqdropout.cli.arguments.parsers import add_command
from nnunet_seqdropout.cli.arguments.shared import (
    output,
    processes,
)
from nnunet_seqdropout.cli.process.exit_codes import report
from nnunet_seqdropout.cli.process.outputs import alone_in_output


def add_commands(commands: "argparse._SubParsersAction") -> None:
    phantom = add_command(
        commands,
        "phantom",
        "write synthetic patients of a Hospital A and B",
        "seqdropout phantom -o phantom",
    )
    phantom.add_argument(
        "-o", type=output, required=True, metavar="DIR", help="output folder for hospital_a and hospital_b"
    )
    for name, does in (
        ("train", "number of training patients of Hospital A. Default: 24"),
        ("val", "number of validation patients of Hospital B. Default: 4"),
        ("test", "number of test patients of Hospital B. Default: 8"),
        ("size", "in-plane size in voxels. Default: 96"),
        ("seed", "random seed; the same seed gives identical files. Default: 0"),
    ):
        phantom.add_argument(f"--{name}", type=int, metavar="N", help=does)
    phantom.add_argument(
        "--like-paper",
        action="store_true",
        help="the paper's cohort: 100, 10 and 55 patients on the grids of its Table 2, with motion",
    )
    phantom.add_argument("-np", type=processes, default=1, metavar="K", help="number of processes. Default: 1")
    phantom.set_defaults(run=_phantom)


@alone_in_output()
def _phantom(arguments: argparse.Namespace) -> int:
    from dataset_conversion.phantom.hospitals import write_phantom
    from dataset_conversion.phantom.settings import LIKE_PAPER, PhantomSettings

    chosen = {name: getattr(arguments, name) for name in ("train", "val", "test", "size", "seed")}
    given = {name: value for name, value in chosen.items() if value is not None}
    if arguments.like_paper and given.keys() - {"seed"}:
        raise Fault("--like-paper fixes the cohort and its grids", remedy="Leave out --train, --val, --test, --size.")
    settings = replace(LIKE_PAPER if arguments.like_paper else PhantomSettings(), **given)
    return report(write_phantom(arguments.o, settings, n_workers=arguments.np), arguments.o)
