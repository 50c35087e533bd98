"""Reads YAML files: a file that cannot be used is a Fault that names file, key and remedy."""

from pathlib import Path
from typing import Any

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.text_files import read_text

LARGEST_BYTES = 2**20
"""Layouts, rules and designs have some thousand."""


def read_yaml(path: Path, *, what: str, remedy: str) -> dict[str, Any]:
    """The content of a file that holds keys and values. what: what the file should be, for the error message.

    Raises Fault where it cannot be read, is larger or nested deeper than any such file, or holds no keys.
    """
    # commands that read no YAML start without it
    import yaml

    from dataset_conversion.files.texts.bounded_yaml import load

    # of a value that is not of the type that its tag says, such as !!timestamp x
    of_values = (ValueError, ArithmeticError, LookupError, AttributeError, TypeError)
    try:
        content = load(read_text(path, most_bytes=LARGEST_BYTES))
    except OSError as error:
        raise Fault(f"{what} cannot be read ({error.strerror or error})", file=path, remedy=remedy) from error
    except (yaml.YAMLError, RecursionError, *of_values) as error:
        reason = " ".join(str(error).split())
        raise Fault(f"{what} cannot be read: this is no YAML ({reason})", file=path, remedy=remedy) from error
    if not isinstance(content, dict):
        raise Fault(f"not {what}: it holds no keys with values", file=path, remedy=remedy)
    return content
