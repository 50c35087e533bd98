"""Looks at the output folder of a report before its work begins: it can be written to, and holds no other's report."""

from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.disk import REPORT_BYTES, require_room
from dataset_conversion.files.json_files import read_json
from evaluation.tables.summary_json import CommandSummary


def require_output(folder: Path, *, command: str) -> None:
    """Raises Fault where a report cannot be written there, or would overwrite what another command wrote."""
    require_room(folder, REPORT_BYTES)
    if (owner := _owner(folder)) not in ("", command):
        problem = f"{folder} holds what seqdropout {owner} wrote, and would be overwritten"
        raise Fault(problem, remedy="Give another folder with -o.")


def _owner(folder: Path) -> str:
    """The command that wrote the folder's report or summary; empty where nothing tells."""
    for name, command in (("comparison.csv", "compare"), ("state.json", "study")):
        if (folder / name).is_file():
            return command
    try:
        return read_json(folder / "summary.json", CommandSummary)["command"]
    except Fault:
        return ""
