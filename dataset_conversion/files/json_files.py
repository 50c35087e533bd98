"""Reads and writes JSON files: a file that cannot be used is a Fault that names file, key and remedy."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_conversion.faults import Fault
from dataset_conversion.files.staging import staged
from dataset_conversion.files.text_files import read_text

LARGEST_BYTES = 2**28
"""A manifest has some kilobytes for each case."""
DEEPEST = 100


def read_json(
    path: Path, kind: type[dict] | type[list] = dict, *, keys: Sequence[str] = (), remedy: str = "Write it again."
) -> Any:
    """The content of a file: an object (dict) that has these keys, or an array (list).

    Raises Fault where there is no file, it cannot be read, holds something else, or lacks a key.
    """
    content = read_any_json(path, remedy=remedy)
    if not isinstance(content, kind):
        raise Fault(f"it holds no {kind.__name__}", file=path, remedy=remedy)
    if missing := [key for key in keys if key not in content]:
        raise Fault(f"it has no key {', '.join(missing)}", file=path, remedy=remedy)
    return content


def read_any_json(path: Path, *, remedy: str) -> Any:
    """Whatever a file holds. Raises Fault where it cannot be read, or is larger or nested deeper than any of ours."""
    try:
        content = json.loads(read_text(path, most_bytes=LARGEST_BYTES))
        _require_shallow(content)
    except OSError as error:
        raise Fault(f"it cannot be opened ({error.strerror or error})", file=path, remedy=remedy) from error
    except (ValueError, RecursionError) as error:
        reason = f"it is nested more than {DEEPEST} deep" if isinstance(error, RecursionError) else error
        raise Fault(f"not readable as JSON ({reason})", file=path, remedy=remedy) from error
    return content


def _require_shallow(content: object) -> None:
    level = [content]
    for _ in range(DEEPEST):
        values = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [value for of_one in values for value in of_one]
    if level:
        raise ValueError(f"it is nested more than {DEEPEST} deep")


def read_json_if_there(path: Path, kind: type[dict] | type[list] = dict, *, remedy: str = "Write it again.") -> Any:
    """As ``read_json``; an empty dict or list where there is no file."""
    return read_json(path, kind, remedy=remedy) if path.is_file() else kind()


def write_json(path: Path, content: Mapping[str, object] | list) -> None:
    """Writes the file whole or not at all."""
    with staged(path.parent) as stage:
        (stage / path.name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
