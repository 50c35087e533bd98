"""Prints a summary of the records that ``fill`` and ``predict`` write beside the cases."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from dataset_conversion.outcomes import Outcome
from dataset_conversion.plurals import n_of, plural
from evaluation.inputs.records import read_record


def print_patterns(folder: Path, outcomes: Mapping[str, Outcome]) -> None:
    """Prints the number of cases with each availability pattern."""
    done = [case for case, outcome in outcomes.items() if outcome.status != "failed"]
    patterns = Counter(read_record(folder / f"{case}.json").get("pattern", "") for case in done)
    for pattern, n_cases in patterns.most_common():
        print(f"{n_cases:6d} {plural(n_cases, 'case')} with {pattern}")
    print(f"{len(done)} of {n_of(len(outcomes), 'case')} done: {folder}")
