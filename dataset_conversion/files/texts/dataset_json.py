"""Reads nnU-Net's ``dataset.json``: channels in order of their numbers, labels, regions, file ending."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import expandvars
from pathlib import Path
from typing import Annotated, TypedDict

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.json_files import read_json
from dataset_conversion.files.texts.typed import Must
from dataset_conversion.nearest import did_you_mean
from dataset_conversion.sequences import distinct

REMEDY = "Restore the file that the conversion or nnU-Net wrote."

LabelValue = Annotated[
    int | float | str,
    # nnU-Net takes "1" and 1.0, too
    Must("a whole number from 0", lambda label: re.fullmatch(r"\d{1,9}(\.0)?", str(label), re.ASCII) is not None),
]
Labels = Mapping[str, int | list[int]]
"""Name -> value; a region has several. As in ``dataset.json``, ``background`` and ``ignore`` included."""

_NO_TARGETS = ("background", "ignore")


@dataclass(frozen=True)
class Description:
    """What ``dataset.json`` says. channel_names: ``distinct``, in order of the channels' numbers.

    n_training: numTraining; None where it is not said. listed: where the key ``dataset`` says where the training cases
    are, the images of each, in channel order, and its label; paths are relative to the data set's folder.
    """

    channel_names: tuple[str, ...]
    file_ending: str
    labels: Labels = field(default_factory=dict)
    n_training: int | None = None
    listed: Mapping[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)

    @property
    def label_values(self) -> set[int]:
        return label_values(self.labels)

    def name_of(self, values: Sequence[int]) -> str:
        """The name of the label or region that has exactly these values; else of each; their numbers if unknown."""
        names = {frozenset(v if isinstance(v, list) else [v]): name for name, v in self.labels.items()}
        if (whole := names.get(frozenset(values))) is not None:
            return whole
        return " + ".join(names.get(frozenset([value]), f"label {value}") for value in sorted(values))

    def values_of(self, name: str) -> tuple[int, ...]:
        """The values of a label or region by its name, or its number itself. Raises Fault for an unknown name."""
        if re.fullmatch(r"[+-]?\d+", name, re.ASCII):
            return (int(name),)
        if not self.labels:
            remedy = "Give the label's number, or put the data set's dataset.json beside predictions or references."
            raise Fault(f"no dataset.json says which label {name} is", remedy=remedy)
        if (value := self.targets.get(name)) is None:
            raise self._no_such(f"label {name}", did_you_mean(name, self.targets))
        return tuple(value) if isinstance(value, list) else (value,)

    @property
    def ignore_label(self) -> int | None:
        """nnU-Net's label of voxels that count on neither side; None where there is none."""
        value = self.labels.get("ignore")
        return value[0] if isinstance(value, list) else value

    @property
    def regions(self) -> list[set[int]]:
        return regions(self.labels)

    def require_labels(self, labels: Collection[int]) -> None:
        """Raises Fault where the data set has not all of these labels, or one of them is the background or ignored."""
        if not {*labels} or not {*labels} <= label_values(self.targets) - {0}:
            raise self._no_such(_numbered(labels))

    def require_predicted(self, labels: Collection[int]) -> None:
        """Raises Fault where a model of the data set has no probability of them: unknown labels, undeclared regions."""
        self.require_labels(labels)
        if self.regions and {*labels} not in self.regions:
            raise self._no_such(_numbered(labels))

    @property
    def targets(self) -> Labels:
        """The labels and regions that can be segmented."""
        return {name: value for name, value in self.labels.items() if name not in _NO_TARGETS}

    def _no_such(self, what: str, meant: str = "") -> Fault:
        shown = ", ".join(f"{name} ({_shown(value)})" for name, value in self.targets.items()) or "none"
        return Fault(f"the data set has no {what}", remedy=f"{meant}Choose among its labels and regions: {shown}.")


def _numbered(labels: Collection[int]) -> str:
    return f"{'label' if len(labels) == 1 else 'region'} {','.join(map(str, sorted(labels)))}"


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d{1,9}", text, re.ASCII) is not None


class ListedCase(TypedDict):
    """The files of a training case, below the data set's folder."""

    images: list[str]
    label: str


class DatasetJson(TypedDict, total=False):
    """What we read of ``dataset.json``; other keys stay as they are."""

    channel_names: dict[Annotated[str, Must("the number of a channel", _is_number)], str]
    file_ending: Annotated[str, Must("an ending such as .nii.gz", lambda text: re.fullmatch(r"(\.\w+)+", text))]
    labels: dict[str, LabelValue | list[LabelValue]]
    numTraining: int | None
    dataset: dict[str, ListedCase]


def read_dataset_json(file: Path, *, required: Sequence[str] = ("channel_names", "file_ending")) -> DatasetJson:
    """Raises Fault where the file is no ``dataset.json`` of nnU-Net, or lacks one of the keys required."""
    content = read_json(file, DatasetJson, remedy=REMEDY)
    if missing := [key for key in required if key not in content]:
        raise Fault(f"it has no key {', '.join(missing)}", file=file, remedy=REMEDY)
    ignored = content.get("labels", {}).get("ignore")
    if isinstance(ignored, list) and len(ignored) != 1:
        raise Fault(f"labels.ignore should be a single label, and is {ignored}", file=file, remedy=REMEDY)
    return content


def read_description(file: Path, *, required: Sequence[str] = ("channel_names", "file_ending")) -> Description:
    """Raises Fault as ``read_dataset_json`` does."""
    return described(read_dataset_json(file, required=required))


def described(content: DatasetJson) -> Description:
    return Description(
        channel_names(content.get("channel_names", {})),
        content.get("file_ending", ""),
        {name: _whole(label) for name, label in content.get("labels", {}).items()},
        content.get("numTraining"),
        _listed(content.get("dataset", {})),
    )


def stored_names(channels: Mapping[str, str]) -> list[str]:
    """As they are written, which tells nnU-Net how to normalise, in order of their numbers: "10" comes after "9"."""
    return [str(name) for _, name in sorted(channels.items(), key=lambda channel: int(channel[0]))]


def channel_names(channels: Mapping[str, str]) -> tuple[str, ...]:
    """The same, ``distinct``."""
    return distinct(stored_names(channels))


def label_values(labels: Labels) -> set[int]:
    """The values of labels and regions."""
    return {v for label in labels.values() for v in (label if isinstance(label, list) else [label])}


def regions(labels: Labels) -> list[set[int]]:
    """The labels of each region, in the order of a model's channels; empty where the model is one of labels."""
    declared = [value for name, value in labels.items() if name not in _NO_TARGETS]
    if not any(isinstance(value, list) for value in declared):
        return []
    return [set(value) if isinstance(value, list) else {value} for value in declared]


def _listed(cases: Mapping[str, ListedCase]) -> dict[str, tuple[tuple[str, ...], str]]:
    """As nnU-Net takes them: environment variables in paths are filled in."""
    return {
        case: (tuple(map(expandvars, [*files["images"]])), expandvars(files["label"])) for case, files in cases.items()
    }


def _whole(label: LabelValue | list[LabelValue]) -> int | list[int]:
    return [int(float(each)) for each in label] if isinstance(label, list) else int(float(label))


def _shown(value: int | list[int]) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
