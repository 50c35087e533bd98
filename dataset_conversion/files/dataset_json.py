"""Reads and validates ``dataset.json``, and interprets its channels, labels and regions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.json_files import read_json


@dataclass(frozen=True)
class Description:
    """The content of ``dataset.json``; label_values: those of labels and regions, n_training: numTraining."""

    channel_names: Sequence[str]
    file_ending: str
    label_values: Collection[int] = ()
    n_training: int | None = None


def read_description(file: Path) -> Description:
    """Raises Fault where the file is no ``dataset.json`` of nnU-Net."""
    content = read_json(file, dict)
    try:
        names, values = channel_names(content["channel_names"]), label_values(content["labels"])
        return Description(names, content["file_ending"], values, content.get("numTraining"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = "Restore the file that the conversion wrote."
        raise Fault(f"not a dataset.json of nnU-Net ({error!r})", file=file, remedy=remedy) from error


def channel_names(channels: Mapping[str, str]) -> list[str]:
    """In order of their numbers."""
    return [name for _, name in sorted(channels.items(), key=lambda channel: int(channel[0]))]


def label_values(labels: Mapping[str, int | list[int]]) -> set[int]:
    """The values of labels and regions."""
    return {int(v) for label in labels.values() for v in (label if isinstance(label, list) else [label])}


def regions(labels: Mapping[str, int | list[int]]) -> list[set[int]]:
    """The labels of each region, in the order of a model's channels; empty where the model is one of labels."""
    declared = [value for name, value in labels.items() if name not in ("background", "ignore")]
    if not any(isinstance(value, list) for value in declared):
        return []
    return [set(value) if isinstance(value, list) else {value} for value in declared]
