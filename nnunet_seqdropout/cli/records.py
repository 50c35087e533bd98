"""Prints a summary of the records that ``fill`` and ``predict`` write beside the cases."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from dataset_conversion.outcomes import Outcome


def print_patterns(folder: Path, outcomes: Mapping[str, Outcome]) -> None:
    """Prints the number of cases with each availability pattern."""
    done = [case for case, outcome in outcomes.items() if outcome.status != "failed"]
    patterns = Counter(json.loads((folder / f"{case}.json").read_text(encoding="utf-8"))["pattern"] for case in done)
    for pattern, n_cases in patterns.most_common():
        print(f"{n_cases:6d} cases with {pattern}")
    print(f"{len(done)} of {len(outcomes)} cases done: {folder}")
