"""Reads nnU-Net's ``dataset.json``: channels in order of their numbers, labels, regions, file ending."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.json_files import read_json
from dataset_conversion.sequences import distinct

Labels = Mapping[str, int | list[int]]
"""Name -> value; a region has several. As in ``dataset.json``, ``background`` and ``ignore`` included."""


@dataclass(frozen=True)
class Description:
    """What ``dataset.json`` says. channel_names: ``distinct``, in order of the channels' numbers.

    n_training: numTraining; None where it is not said.
    """

    channel_names: tuple[str, ...]
    file_ending: str
    labels: Labels = field(default_factory=dict)
    n_training: int | None = None

    @property
    def label_values(self) -> set[int]:
        return label_values(self.labels)

    @property
    def regions(self) -> list[set[int]]:
        return regions(self.labels)


def read_description(file: Path, *, with_labels: bool = False) -> Description:
    """Raises Fault where the file is no ``dataset.json`` of nnU-Net; with_labels: one without labels is none."""
    remedy = "Restore the file that the conversion or nnU-Net wrote."
    keys = ("channel_names", "file_ending", *(["labels"] if with_labels else []))
    try:
        return description_of(read_json(file, keys=keys))
    except Fault as fault:
        raise Fault(f"not a dataset.json of nnU-Net ({fault.problem})", remedy=remedy) from fault
    except (ValueError, TypeError, AttributeError) as error:
        raise Fault(f"not a dataset.json of nnU-Net ({error!r})", file=file, remedy=remedy) from error


def description_of(content: Mapping) -> Description:
    """Of what has been read by nnU-Net itself. Raises ValueError, TypeError or AttributeError where it is none."""
    labels = dict(content.get("labels", {}))
    ending = str(content.get("file_ending", ""))
    for readable in (label_values, regions):
        readable(labels)
    return Description(channel_names(content["channel_names"]), ending, labels, content.get("numTraining"))


def channel_names(channels: Mapping[str, str]) -> tuple[str, ...]:
    """``distinct``, in order of their numbers: "10" comes after "9"."""
    return distinct([str(name) for _, name in sorted(channels.items(), key=lambda channel: int(channel[0]))])


def label_values(labels: Labels) -> set[int]:
    """The values of labels and regions."""
    return {int(v) for label in labels.values() for v in (label if isinstance(label, list) else [label])}


def regions(labels: Labels) -> list[set[int]]:
    """The labels of each region, in the order of a model's channels; empty where the model is one of labels."""
    declared = [value for name, value in labels.items() if name not in ("background", "ignore")]
    if not any(isinstance(value, list) for value in declared):
        return []
    return [set(value) if isinstance(value, list) else {value} for value in declared]
