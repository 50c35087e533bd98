"""Defines the sub-command ``completion``, which prints a script by which a shell completes commands and options."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from nnunet_seqdropout.cli.arguments.parsers import add_command
from nnunet_seqdropout.cli.arguments.shared import output
from nnunet_seqdropout.cli.process.exit_codes import ALL_DONE

SHELLS = ("bash", "zsh", "tcsh")


def add_commands(commands: "argparse._SubParsersAction", parser: argparse.ArgumentParser) -> None:
    completion = add_command(
        commands,
        "completion",
        "print a script that completes commands, options and files in your shell",
        'eval "$(seqdropout completion bash)"',
    )
    completion.add_argument("shell", choices=SHELLS, help='for bash: eval "$(seqdropout completion bash)"')
    completion.set_defaults(run=lambda arguments: _completion(arguments.shell, parser))


def _completion(shell: str, parser: argparse.ArgumentParser) -> int:
    import shtab

    # the script holds all words, so that no Python starts while one types
    for action in _actions(parser):
        if action.type in (Path, output):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell=shell))
    return ALL_DONE


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Those of all commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
