"""Describes a raw data set that is being written, and where its parts lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FILE_ENDING = ".nii.gz"


RECORDS, PICTURES = ".conversion", "qc"


@dataclass(frozen=True)
class RawDataset:
    """The settings of a data set that are the same for all patients.

    labels: name -> value, consecutive, background 0, as nnU-Net has it. order: the sequences in which patients are
    prepared, the reference series first; those that are no channel are used for registration only. link: an image that
    stays as it is becomes a link to the source's file in place of a copy. synthetic: the patients are made up, which
    every report says. storage_order: that of the axes of all images, such as LPS; None: that of the first. reference,
    registered, skull_stripped: what the layout says of the sources.
    """

    folder: Path
    source: Path
    channel_names: Sequence[str]
    labels: Mapping[str, int]
    order: Sequence[str]
    link: bool = False
    synthetic: bool = False
    storage_order: str | None = None
    reference: str | None = None
    registered: bool = False
    skull_stripped: bool | None = None

    @property
    def settings(self) -> dict[str, object]:
        settings: dict[str, object] = {"channel_names": list(self.channel_names), "labels": dict(self.labels)}
        return {**settings, "synthetic": True} if self.synthetic else settings


def faces_folder(dataset: Path) -> Path:
    """Beside the data set, for the pictures of faces before they were removed."""
    return dataset.with_name(f"faces_{dataset.name}")
