"""Builds the command ``seqdropout``, parses its arguments and calls one function per sub-command."""

import argparse
import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from dataset_conversion.faults import Fault
from nnunet_seqdropout.cli import check as cli_check
from nnunet_seqdropout.cli import conversion as cli_conversion
from nnunet_seqdropout.cli import evaluation as cli_evaluation
from nnunet_seqdropout.cli import models as cli_models
from nnunet_seqdropout.cli import prediction as cli_prediction
from nnunet_seqdropout.cli import study as cli_study
from nnunet_seqdropout.cli import subsets as cli_subsets
from nnunet_seqdropout.cli.exit_codes import ALL_DONE, NOTHING_DONE
from nnunet_seqdropout.models.nnunet_folders import environment


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one sub-command; returns 0 on success, 1 if some case failed, 2 if nothing could be done."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    for room in ("nnunet_seqdropout", "evaluation", "dataset_conversion"):
        logging.getLogger(room).setLevel(logging.INFO)
    arguments = build_parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except (Fault, OSError) as problem:
        print(f"seqdropout: {problem}", file=sys.stderr)
        return NOTHING_DONE


def _env(arguments: argparse.Namespace) -> int:
    for name, value in environment(arguments.root).items():
        print(f"export {name}={shlex.quote(value)}")
    return ALL_DONE


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqdropout", description="Trains, runs and evaluates nnU-Net v2 on patients with missing MRI sequences."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    env = commands.add_parser(
        "env", help='print export lines of the environment variables, for eval "$(seqdropout env)"'
    )
    env.add_argument("--root", type=Path, metavar="DIR", help="also set nnU-Net's three folders to folders below DIR")
    env.set_defaults(run=_env)

    cli_conversion.add_commands(commands)
    cli_check.add_commands(commands)
    cli_prediction.add_commands(commands)
    cli_subsets.add_commands(commands)
    cli_evaluation.add_commands(commands)
    cli_study.add_commands(commands)
    cli_models.add_commands(commands)
    return parser
