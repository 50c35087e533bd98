"""Lists the files below a folder, links followed."""

from collections.abc import Iterator
from pathlib import Path


def files_below(source: Path) -> Iterator[Path]:
    """Hidden ones are passed over. Links are followed, to a folder once on each way down: a link to a folder above it
    has no end. A link to nowhere is listed as a file."""
    waiting: list[tuple[Path, frozenset[Path]]] = [(source, frozenset())]
    while waiting:
        folder, above = waiting.pop()
        here = folder.resolve()
        if here in above:
            continue
        for entry in folder.iterdir():
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                waiting.append((entry, above | {here}))
            else:
                yield entry
