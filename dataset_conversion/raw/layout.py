"""Reads layouts: YAML files whose patterns say which file is which sequence of which patient.

A pattern is the path below the source without its ending (``.nii``, ``.nii.gz``, ``.nrrd``, ``.mha``). ``{patient}``
and ``{time}`` name the patient and the time point, ``{sequence}`` a sequence by any of its names; ``{patient:\\d+}``
says what it may look like, ``{:a|b}`` is a choice. ``*`` stands for anything within a name, ``**/`` for any folders.
Patterns of a sequence stand in order of preference.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Annotated, Literal

from dataset_conversion.faults import Fault
from dataset_conversion.files.names import require_name
from dataset_conversion.files.texts.manifest_json import Split
from dataset_conversion.files.texts.patterns import LONGEST, BoundedPattern, bounded
from dataset_conversion.files.texts.typed import Must, typed_of
from dataset_conversion.files.texts.yaml_files import read_yaml

SHIPPED = Path(__file__).with_name("layouts")
REMEDY = "Write it as described in docs/layouts.md."


@dataclass(frozen=True)
class NamePattern:
    """A pattern as it is written, and as a regular expression of the path without its ending."""

    written: str
    expression: BoundedPattern


@dataclass(frozen=True)
class LabelFiles:
    """A label's files and the meaning of its values: stored value -> the data set's; 0 stays 0. unite: several files of
    a patient, one lesion each, are one label."""

    patterns: tuple[NamePattern, ...]
    mapping: Mapping[int, int]
    unite: bool = False


@dataclass(frozen=True)
class Layout:
    """labels: name -> value, consecutive, background 0. reference: the series to whose grid the others are brought;
    None: the first that is there. registered: they lie on one grid already, and are not looked at for motion.
    skull_stripped: whether nothing but the brain is in them; None: not known.
    split: the split of a patient by default, without a label, or below a folder of that name. optional: the sequences
    that nobody need have, so that patterns that fit no file are no mistake."""

    about: str
    channels: tuple[str, ...]
    labels: Mapping[str, int]
    images: Mapping[str, tuple[NamePattern, ...]]
    label: tuple[LabelFiles, ...]
    reference: str | None = None
    registered: bool = False
    skull_stripped: bool | None = None
    default_split: str = "train"
    unlabelled_split: str | None = None
    split_of_folder: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()

    @property
    def order(self) -> list[str]:
        """The channels, the reference series first."""
        return sorted(self.channels, key=lambda name: name != self.reference)

    @property
    def register(self) -> Literal["auto", "never"]:
        """Whether series are registered unless something else is asked for."""
        return "never" if self.registered else "auto"


WholeNumber = int | Annotated[str, Must("a whole number", lambda text: re.fullmatch(r"-?\d{1,9}", text, re.ASCII))]
"""Keys may be quoted."""


@dataclass(frozen=True)
class WrittenLabel:
    files: tuple[str, ...]
    map: dict[WholeNumber, WholeNumber]
    unite: bool = False


@dataclass(frozen=True)
class WrittenSplit:
    default: Split = "train"
    unlabelled: Split | None = None
    folders: dict[str, Split] = field(default_factory=dict)


@dataclass(frozen=True)
class WrittenLayout:
    """As it stands in the file; see ``Layout``."""

    channels: tuple[str, ...]
    labels: dict[str, int]
    images: str | dict[str, str | list[str]]
    label: tuple[WrittenLabel, ...] = ()
    about: str = ""
    reference: str | None = None
    registered: bool = False
    skull_stripped: bool | None = None
    split: WrittenSplit = field(default_factory=WrittenSplit)
    optional: tuple[str, ...] = ()


def shipped_layouts() -> list[str]:
    return sorted(file.stem for file in SHIPPED.glob("*.yaml"))


def named_layout(name: str | PathLike[str]) -> Layout:
    """A shipped layout by its name, or the user's by the name of its file. Raises Fault as ``read_layout`` does."""
    shipped = SHIPPED / f"{name}.yaml"
    return read_layout(shipped if shipped.is_file() else Path(name))


def read_layout(file: Path) -> Layout:
    """Raises Fault where the file is no layout, with the key that is wrong."""
    written = typed_of(file, read_yaml(file, what="a layout", remedy=REMEDY), WrittenLayout, remedy=REMEDY)
    try:
        layout = Layout(
            about=written.about,
            channels=written.channels,
            labels=written.labels,
            images=_image_patterns(written.images, written.channels),
            label=tuple(
                LabelFiles(tuple(map(_compiled, label.files)), _label_mapping(label.map), label.unite)
                for label in written.label
            ),
            reference=written.reference,
            registered=written.registered,
            skull_stripped=written.skull_stripped,
            default_split=written.split.default,
            unlabelled_split=written.split.unlabelled,
            split_of_folder=written.split.folders,
            optional=written.optional,
        )
        _require_sound(layout)
    except (ValueError, re.error) as error:
        raise Fault(f"invalid layout ({error})", file=file, remedy=REMEDY) from error
    return layout


def _label_mapping(written: Mapping[WholeNumber, WholeNumber]) -> dict[int, int]:
    return {0: 0, **{int(stored): int(value) for stored, value in written.items()}}


def _image_patterns(images: str | Mapping[str, Sequence[str]], channels: Sequence[str]) -> dict[str, tuple]:
    if isinstance(images, str):
        return {channel: (_compiled(images),) for channel in channels}
    return {name: tuple(map(_compiled, [each] if isinstance(each, str) else each)) for name, each in images.items()}


_TOKEN = re.compile(r"\*\*/|\*|\{(?P<name>[a-z]*)(?P<shape>:(?:[^{}]|\{\d+(?:,\d*)?\})+)?\}")


def _compiled(pattern: str) -> NamePattern:
    if len(pattern) > LONGEST:
        raise ValueError(f"the pattern {pattern[:40]}... has more than {LONGEST} characters")
    expression, end = "", 0
    for token in _TOKEN.finditer(pattern):
        expression += re.escape(pattern[end : token.start()])
        end = token.end()
        if token[0] == "**/":
            expression += "(?:.*/)?"
        elif token[0] == "*":
            expression += "[^/]*"
        elif f"(?P<{token['name']}>" in expression and not token["shape"]:
            expression += f"(?P={token['name']})"  # the same text once more: {patient}/{patient}_seg
        else:
            shape = token["shape"][1:] if token["shape"] else "[^/]+"
            expression += f"(?P<{token['name']}>{shape})" if token["name"] else f"(?:{shape})"
    return NamePattern(pattern, bounded(expression + re.escape(pattern[end:])))


def _require_sound(layout: Layout) -> None:
    for channel in layout.channels:
        require_name(channel, what="the channel")
    if unknown := layout.images.keys() - set(layout.channels):
        raise ValueError(f"images of {', '.join(sorted(unknown))}, which is not among the channels")
    if unknown := {*layout.optional} - {*layout.channels}:
        raise ValueError(f"{', '.join(sorted(unknown))} is optional, but not among the channels")
    if layout.reference is not None and layout.reference not in layout.channels:
        raise ValueError(f"the reference {layout.reference} is not among the channels")
    if sorted(layout.labels.values()) != list(range(len(layout.labels))):
        raise ValueError("the labels must be 0, 1, 2, ...")
    for label in layout.label:
        if strangers := set(label.mapping.values()) - set(layout.labels.values()):
            raise ValueError(f"the label value {min(strangers)} has no name under labels")
    of_labels = [label.patterns for label in layout.label]
    for pattern in (p for patterns in (*layout.images.values(), *of_labels) for p in patterns):
        if "patient" not in pattern.expression.names:
            raise ValueError("a pattern does not contain {patient}")
