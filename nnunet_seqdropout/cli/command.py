"""Builds the command ``seqdropout``, parses its arguments and calls one function per sub-command."""

import argparse
import atexit
import gc
import io
import logging
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.size_limit import limit_of
from nnunet_seqdropout.cli import calibration as cli_calibration
from nnunet_seqdropout.cli import check as cli_check
from nnunet_seqdropout.cli import comparison as cli_comparison
from nnunet_seqdropout.cli import completion as cli_completion
from nnunet_seqdropout.cli import conversion as cli_conversion
from nnunet_seqdropout.cli import dicom as cli_dicom
from nnunet_seqdropout.cli import evaluation as cli_evaluation
from nnunet_seqdropout.cli import models as cli_models
from nnunet_seqdropout.cli import phantom as cli_phantom
from nnunet_seqdropout.cli import prediction as cli_prediction
from nnunet_seqdropout.cli import study as cli_study
from nnunet_seqdropout.cli import subsets as cli_subsets
from nnunet_seqdropout.cli.arguments.parsers import CommandParser, Parser, add_command
from nnunet_seqdropout.cli.process.exit_codes import ALL_DONE, INTERRUPTED, NOTHING_DONE, READER_GONE, TERMINATED
from nnunet_seqdropout.cli.process.stopping import Terminated, stoppable
from nnunet_seqdropout.models.nnunet_folders import environment

IN_THIS_ORDER = """in this order, on your own data:
  eval "$(seqdropout env --root FOLDER)"
  seqdropout convert hospital_a PATIENTS -d 1 -n Mets --test P8 P9
  nnUNetv2_plan_and_preprocess -d 1 -c 2d --verify_dataset_integrity
  nnUNetv2_train 1 2d 0 -tr SeqDropoutPlusTrainer
  seqdropout predict -i IMAGES -o OUT -d 1 -tr SeqDropoutPlusTrainer --save_probabilities
  seqdropout evaluate -gt LABELS -p OUT -o EVALUATION -i IMAGES

seqdropout COMMAND --help says more, with an example."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one sub-command; returns 0 on success, 1 if some case failed, 2 if nothing could be done or an error was not
    expected, 130 and 143 where it was stopped."""
    if argv is None:  # the process is ours
        _search_garbage_less_often()
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that has no umlaut is no error
    level = logging.DEBUG if arguments.verbose else logging.ERROR if arguments.quiet else logging.INFO
    for room in ("nnunet_seqdropout", "evaluation", "dataset_conversion"):
        logging.getLogger(room).setLevel(level)
    with stoppable(), limit_of(arguments.max_voxels), warnings.catch_warnings():
        if not arguments.verbose:
            warnings.simplefilter("ignore")  # of other packages: ours are logged
        return _run(arguments)


def _search_garbage_less_often() -> None:
    """Packages live until the end: to search them again and again while they load, and once more at the end, would
    take a quarter of the time of a small prediction. What an object in a circle holds is freed later."""
    youngest, middle, _ = gc.get_threshold()
    gc.set_threshold(youngest, middle, 100)
    atexit.register(gc.freeze)


def _run(arguments: argparse.Namespace) -> int:
    try:
        return arguments.run(arguments)
    except BrokenPipeError:
        # whoever read has seen enough, as in seqdropout check ... | head; nor may the interpreter's end complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except (Fault, OSError) as problem:
        _say(str(problem))
        return NOTHING_DONE
    except KeyboardInterrupt as stop:
        _say("stopped; what is finished is kept: run the same command again")
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
    except Exception as error:
        if arguments.verbose:
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        _say(f"unexpected error ({reason}). Run it again with -v, and report what is printed.")
        return NOTHING_DONE


def _say(problem: str) -> None:
    print(f"seqdropout: {problem}", file=sys.stderr)


def _env(arguments: argparse.Namespace) -> int:
    for name, value in environment(arguments.root).items():
        print(f"export {name}={shlex.quote(value)}")
    return ALL_DONE


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="seqdropout",
        description="Trains, runs and evaluates nnU-Net v2 on patients with missing MRI sequences.",
        epilog=IN_THIS_ORDER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"seqdropout {version('nnunet_seqdropout')}")
    parser.set_defaults(verbose=False, quiet=False, max_voxels=None)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=CommandParser)

    env = add_command(
        commands,
        "env",
        'print export lines of the environment variables, for eval "$(seqdropout env)"',
        'eval "$(seqdropout env --root nnunet)"',
    )
    env.add_argument("--root", type=Path, metavar="DIR", help="also set nnU-Net's three folders to folders below DIR")
    env.set_defaults(run=_env)

    cli_conversion.add_commands(commands)
    cli_dicom.add_commands(commands)
    cli_phantom.add_commands(commands)
    cli_check.add_commands(commands)
    cli_prediction.add_commands(commands)
    cli_calibration.add_commands(commands)
    cli_subsets.add_commands(commands)
    cli_evaluation.add_commands(commands)
    cli_comparison.add_commands(commands)
    cli_study.add_commands(commands)
    cli_models.add_commands(commands)
    cli_completion.add_commands(commands, parser)
    return parser
