"""Parsers that answer a misspelt word with the nearest one, and the arguments that every sub-command takes."""

import argparse
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

from dataset_conversion.files.images.size_limit import MAX_VOXELS, VARIABLE
from dataset_conversion.nearest import nearest
from nnunet_seqdropout.cli.arguments.shared import voxels

WIDTH = 79
"""Columns of a description, which is printed as it is, as an example is."""


class Parser(argparse.ArgumentParser):
    """Python's own parser suggests the nearest word from 3.14 on, and never an option."""

    _words: Sequence[str] = ()

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += _suggestion(str(value), map(str, action.choices or ()))
            raise

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Reports unknown words here, where the options of the sub-command are known."""
        self._words = args or ()
        arguments, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._meant(unknown)}")
        return arguments, unknown

    def error(self, message: str) -> NoReturn:
        """What is required may be there, but misspelt."""
        if message.endswith("required") or "are required: " in message:
            message += self._meant([word for word in self._words if word not in self._option_string_actions])
        super().error(message)

    def _meant(self, unknown: Sequence[str]) -> str:
        option = next((word.partition("=")[0] for word in unknown if word.startswith("-")), "")
        return _suggestion(option, [word for word in self._option_string_actions if word.startswith("--")])


class CommandParser(Parser):
    """The parser of a sub-command, each of which takes -q, -v and --max-voxels."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        how_much = self.add_mutually_exclusive_group()
        # no default: that of an action would replace what stands before its name, as in model -v info
        for words, does in (
            (("-q", "--quiet"), "print results and errors only, without progress"),
            (
                ("-v", "--verbose"),
                "print also details, warnings of other packages, the traceback of an error",
            ),
        ):
            how_much.add_argument(*words, action="store_true", default=argparse.SUPPRESS, help=does)
        self.add_argument(
            "--max-voxels",
            type=voxels,
            default=argparse.SUPPRESS,
            metavar="N",
            help=f"refuse images with more voxels. Default: {VARIABLE}, or {MAX_VOXELS}",
        )


def add_command(
    commands: "argparse._SubParsersAction", name: str, does: str, *examples: str
) -> argparse.ArgumentParser:
    """A sub-command whose help says what it does, and lines of a shell that use it."""
    return commands.add_parser(
        name,
        help=does,
        description=textwrap.fill(f"{does[0].upper()}{does[1:]}.", WIDTH),
        epilog="\n  ".join(["example:" if len(examples) == 1 else "examples:", *examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _suggestion(word: str, known: Any) -> str:
    meant = nearest(word, known)
    return f"; did you mean {meant}?" if meant else ""
