"""Reads and writes JSON files: a file that cannot be used is a Fault that names file, key and remedy."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_conversion.faults import Fault
from dataset_conversion.files.staging import staged
from dataset_conversion.files.texts.text_files import read_text
from dataset_conversion.files.texts.typed import Kind, typed_of

LARGEST_BYTES = 2**28
"""A manifest has some kilobytes for each case."""
DEEPEST = 100


def read_json(path: Path, kind: type[Kind], *, remedy: str = "Write it again.") -> Kind:
    """The content of a file, of a kind that ``typed`` knows.

    Raises Fault where there is no file, it cannot be read, or something in it is not what it should be.
    """
    return typed_of(path, read_any_json(path, remedy=remedy), kind, remedy=remedy)


def read_any_json(path: Path, *, remedy: str) -> Any:
    """Whatever a file holds. Raises Fault where it cannot be read, or is larger or nested deeper than any of ours."""
    try:
        return parsed(read_text(path, most_bytes=LARGEST_BYTES))
    except OSError as error:
        raise Fault(f"it cannot be opened ({error.strerror or error})", file=path, remedy=remedy) from error
    except ValueError as error:
        raise Fault(f"not readable as JSON ({error})", file=path, remedy=remedy) from error


def parsed(text: str) -> Any:
    """What a text in JSON says. Raises ValueError where it says nothing that could be written again, or too deep."""
    try:
        content = json.loads(text)
        if "\\ud" in text.lower():
            # half of a pair of surrogates is no character
            json.dumps(content, ensure_ascii=False).encode()
        _require_shallow(content)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {DEEPEST} deep") from error
    return content


def _require_shallow(content: object) -> None:
    level = [content]
    for _ in range(DEEPEST):
        values = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [value for of_one in values for value in of_one]
    if level:
        raise ValueError(f"it is nested more than {DEEPEST} deep")


def read_json_if_there(path: Path, kind: type[Kind], *, remedy: str = "Write it again.") -> Kind | None:
    """As ``read_json``; None where there is no file."""
    return read_json(path, kind, remedy=remedy) if path.is_file() else None


def write_json(path: Path, content: Mapping[str, object] | list) -> None:
    """Writes the file whole or not at all."""
    with staged(path.parent) as stage:
        (stage / path.name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
