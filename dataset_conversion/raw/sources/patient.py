"""Describes one case of a patient: its files by sequence, its label and its split."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dataset_conversion.faults import Fault

Split = Literal["train", "val", "test"]


TRUTH = "truth.json"
"""Lies beside the images of synthetic patients only, and so identifies them."""


@dataclass(frozen=True)
class Patient:
    """One case: a file for each sequence present, and the files of its label, none if it has no label.

    person: the patient, who may have cases of several time points. fault: the problem with the files' names, if any.
    hidden: why a sequence that the patient has is not among the images, by sequence. unused: a sentence for each image
    that lies with the patient's and is not used. has_pseudonym: nothing that is written may name the source or carry
    text of its headers.
    """

    person: str
    split: Split
    images: Mapping[str, Path]
    label: tuple[Path, ...] = ()
    label_mapping: Mapping[int, int] | None = None
    fault: Fault | None = None
    hidden: Mapping[str, Fault] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    has_pseudonym: bool = False

    @property
    def known_fault(self) -> Fault | None:
        """The reason why the case cannot be converted, if it shows without opening a file."""
        if self.fault is None and not self.label and self.split != "test":
            return Fault(
                "a training patient without a label", remedy="Add the label, or list the patient under --test."
            )
        return self.fault

    @property
    def is_synthetic(self) -> bool:
        return any((file.parent / TRUTH).is_file() for file in self.images.values())

    def shown(self, name: str, file: Path) -> Path:
        """The file of a sequence, or of the label, for a message; its path may name the patient."""
        return Path(f"the {name}") if self.has_pseudonym else file
