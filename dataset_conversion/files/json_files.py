"""Reads and writes JSON files; an unreadable file raises a Fault that names file and remedy."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_conversion.faults import Fault
from dataset_conversion.files.staging import staged


def write_json(path: Path, content: Mapping[str, object] | list) -> None:
    """Writes the file whole or not at all."""
    with staged(path.parent) as stage:
        (stage / path.name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(file: Path, kind: type) -> Any:
    """The content of a file, or an empty one of that type where there is no file. Raises Fault where it is no such."""
    if not file.is_file():
        return kind()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Fault(
            f"invalid JSON ({error})", file=file, remedy="Restore the file, or rerun the command that wrote it."
        ) from error
    if not isinstance(content, kind):
        raise Fault(
            f"its content is not a {kind.__name__}",
            file=file,
            remedy="Restore the file, or rerun the command that wrote it.",
        )
    return content
