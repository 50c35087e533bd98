"""Reads and validates the seeds in the design of a study."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_conversion.faults import Fault


def one_spelling(content: Mapping[str, Any], *, file: Path) -> dict[str, Any]:
    """A design as its file says it, with ``seeds: [5]`` for ``seed: 5``. Raises Fault where it says both."""
    if "seed" in content and "seeds" in content:
        raise Fault("it has both seed and seeds", file=file, remedy="Write seeds alone, such as seeds: [0, 1, 2].")
    return {"seeds" if key == "seed" else key: [value] if key == "seed" else value for key, value in content.items()}


def require_seeds(seeds: object, *, where: str) -> None:
    """Raises Fault where they are not different whole numbers from 0, one at least."""
    given = seeds if isinstance(seeds, tuple) else ()
    if not given or not all(type(seed) is int and seed >= 0 for seed in given) or len({*given}) < len(given):
        shown = list(given) if isinstance(seeds, tuple) else seeds
        raise Fault(
            f"invalid {where}: {shown}", remedy="Write different whole numbers from 0, such as seeds: [0, 1, 2]."
        )
