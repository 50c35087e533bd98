"""Defines the exit codes of the commands, and says how many cases were done."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_conversion.plurals import counted, n_of

if TYPE_CHECKING:
    from dataset_conversion.outcomes import Outcome

ALL_DONE, SOME_CASE_FAILED, NOTHING_DONE = 0, 1, 2
INTERRUPTED, READER_GONE, TERMINATED = 130, 141, 143
"""128 and the number of SIGINT, SIGPIPE, SIGTERM, as a shell has it."""


def exit_code(outcomes: "Mapping[str, Outcome]") -> int:
    """0 if all was done, 1 if some case failed."""
    return SOME_CASE_FAILED if any(outcome.status == "failed" for outcome in outcomes.values()) else ALL_DONE


def report(outcomes: "Mapping[str, Outcome]", folder: Path, *, noun: str = "patient", then: str = "") -> int:
    """Prints how many are there and how many of them an earlier run had done, then more; the exit code."""
    of_each = Counter(outcome.status for outcome in outcomes.values())
    before = f", {counted(of_each['skipped'])} of them done before" if of_each["skipped"] else ""
    print(f"{folder}: {counted(of_each['ok'] + of_each['skipped'])} of {n_of(len(outcomes), noun)}{before}{then}")
    return exit_code(outcomes)
