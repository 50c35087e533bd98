"""Lists the files below a folder, links followed."""

from pathlib import Path


def files_below(source: Path) -> tuple[list[Path], list[Path]]:
    """The files, hidden ones passed over, and the links that were left out. A link to nowhere is listed as a file.

    Links are followed: to a folder once on each way down, since a link to one above it has no end; and one below
    another link only to a folder that has not been looked into, since folders that link each other have many ways.
    """
    waiting: list[tuple[Path, frozenset[Path], bool]] = [(source, frozenset(), False)]
    visited: set[Path] = set()
    files, left_out = [], []
    while waiting:
        folder, above, below_link = waiting.pop()
        here, is_link = folder.resolve(), folder.is_symlink()
        if here in above:
            continue
        if is_link and below_link and here in visited:
            left_out.append(folder)
            continue
        visited.add(here)
        for entry in sorted(folder.iterdir(), reverse=True):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                waiting.append((entry, above | {here}, below_link or (is_link and folder != source)))
            else:
                files.append(entry)
    return files, left_out
