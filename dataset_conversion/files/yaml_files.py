"""Reads YAML files: a file that cannot be used is a Fault that names the file and a remedy."""

from pathlib import Path

from dataset_conversion.faults import Fault


def read_yaml(path: Path, *, what: str, remedy: str) -> dict:
    """The content of a file that holds keys and values. what: what the file should be, for the error message.

    Raises Fault where it cannot be read or holds no keys.
    """
    # commands that read no YAML start without it
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Fault(f"{what} cannot be read ({error.strerror or error})", file=path, remedy=remedy) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise Fault(f"{what} cannot be read: this is no YAML ({reason})", file=path, remedy=remedy) from error
    if not isinstance(content, dict):
        raise Fault(f"not {what}: it holds no keys with values", file=path, remedy=remedy)
    return content
