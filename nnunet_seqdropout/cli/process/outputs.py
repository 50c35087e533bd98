"""Holds the output folder of a command: it can be written to, by one process, and has no other command's report."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.disk import REPORT_BYTES, require_room
from dataset_conversion.files.locks import NAME, only_writer
from dataset_conversion.files.texts.json_files import read_json

Command = Callable[[argparse.Namespace], int]


def alone_in_output(*, report_of: str = "") -> Callable[[Command], Command]:
    """Decorates the function of a command that writes into the folder of its ``-o``: see ``output_folder``."""

    def decorate(run: Command) -> Command:
        @wraps(run)
        def alone(arguments: argparse.Namespace) -> int:
            with output_folder(arguments.o, report_of=report_of):
                return run(arguments)

        return alone

    return decorate


@contextmanager
def output_folder(folder: Path, *, report_of: str = "", part: str = "") -> Iterator[None]:
    """Within it no other process of the same part may write into the folder. report_of: the command, if it writes one.

    Raises Fault where another process is writing there, nobody can, or what another command wrote would be overwritten.
    """
    require_room(folder, REPORT_BYTES if report_of else 0)
    if report_of and (owner := _owner(folder)) not in ("", report_of):
        problem = f"{folder} holds what seqdropout {owner} wrote, and would be overwritten"
        raise Fault(problem, remedy="Give another folder with -o.")
    with only_writer(folder, name=f"{NAME}{part}"):
        yield


def _owner(folder: Path) -> str:
    """The command that wrote the folder's report or summary; empty where nothing tells."""
    from evaluation.tables.summary_json import CommandSummary

    for name, command in (("comparison.csv", "compare"), ("state.json", "study")):
        if (folder / name).is_file():
            return command
    try:
        return read_json(folder / "summary.json", CommandSummary)["command"]
    except Fault:
        return ""
