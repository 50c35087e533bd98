"""Defines the exit codes of the commands, and says how many cases were done."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_conversion.plurals import n_of

if TYPE_CHECKING:
    from dataset_conversion.outcomes import Outcome

ALL_DONE, SOME_CASE_FAILED, NOTHING_DONE = 0, 1, 2
INTERRUPTED, READER_GONE, TERMINATED = 130, 141, 143
"""128 and the number of SIGINT, SIGPIPE, SIGTERM, as a shell has it."""


def exit_code(outcomes: "Mapping[str, Outcome]") -> int:
    """0 if all was done, 1 if some case failed."""
    return SOME_CASE_FAILED if any(outcome.status == "failed" for outcome in outcomes.values()) else ALL_DONE


def report_patients(outcomes: "Mapping[str, Outcome]", folder: Path) -> int:
    n_done = sum(outcome.status == "ok" for outcome in outcomes.values())
    print(f"{folder}: {n_done} of {n_of(len(outcomes), 'patient')}")
    return exit_code(outcomes)
