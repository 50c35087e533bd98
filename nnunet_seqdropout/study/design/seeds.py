"""Reads and validates the seeds in the design of a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_conversion.faults import Fault


def one_spelling(content: Mapping[str, Any], *, file: Path) -> dict[str, Any]:
    """A design as its file says it, with ``seeds: [5]`` for ``seed: 5``. Raises Fault where it says both."""
    if "seed" in content and "seeds" in content:
        raise Fault("it has both seed and seeds", file=file, remedy="Write seeds alone, such as seeds: [0, 1, 2].")
    return {"seeds" if key == "seed" else key: [value] if key == "seed" else value for key, value in content.items()}


def require_seeds(seeds: Sequence[int], *, where: str) -> None:
    """Raises Fault where they are not different ones, one at least."""
    if not seeds or len({*seeds}) < len(seeds):
        remedy = "Write different whole numbers from 0, such as seeds: [0, 1, 2]."
        raise Fault(f"invalid {where}: {list(seeds)}", remedy=remedy)
