"""Finds the input files per case and sequence: in an nnU-Net folder, by named files, or in a patient tree."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.images import read_image
from dataset_conversion.raw.cases import find_cases
from dataset_conversion.raw.layout import Layout
from dataset_conversion.raw.patients import Patient, find_patients
from dataset_conversion.raw.placeholders import constant_value, treated_as_absent, usable_images
from dataset_conversion.sequences import channels_of, require_channel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaseInput:
    """The files of one case by channel number.

    faults: what is wrong with their names. notes: what else to know. nan: as ``read_image`` has it. trust_geometry:
    images of one size get the geometry of the first, whatever their headers say.
    """

    files: Mapping[int, Path]
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    nan: Literal["refuse", "zero"] = "refuse"
    trust_geometry: bool = False

    def read(self) -> dict[int, sitk.Image]:
        """The images that say something. Raises Fault where none does, one cannot be read, or grids differ."""
        if self.faults:
            raise Fault("; ".join(fault.problem for fault in self.faults), remedy=self.faults[0].remedy)
        if not self.files:
            raise Fault("no usable sequence", remedy="Give at least one image.")
        return usable_images(self.files, nan=self.nan, trust_geometry=self.trust_geometry)

    def warnings(self, usable: Collection[int]) -> list[str]:
        """The notes, and a word about each image that is not among the usable ones although it is not 0."""
        warnings = list(self.notes)
        for file in (file for channel, file in self.files.items() if channel not in usable):
            if value := constant_value(read_image(file, nan=self.nan)):
                warnings.append(treated_as_absent(file, value))
        return warnings


def from_folder(folder: Path, *, channel_names: Sequence[str], file_ending: str) -> dict[str, CaseInput]:
    """``<case>_XXXX`` files, by the number in their suffix. Raises Fault where there is none."""
    found = find_cases(folder, channel_names=channel_names, file_ending=file_ending)
    return {case: CaseInput(files.by_channel, tuple(files.faults)) for case, files in found.items()}


def from_named_files(named: Sequence[str], *, case: str, channel_names: Sequence[str]) -> dict[str, CaseInput]:
    """One case of ``NAME=FILE`` words; NAME is a sequence of the model, an alias, or its number."""
    files: dict[int, Path] = {}
    for word in named:
        name, equals, file = word.partition("=")
        if not equals:
            raise Fault(
                f"--image {word} is not of the form NAME=FILE",
                remedy="Write --image NAME=FILE, as in --image t1_gd=P1/post.nii.gz.",
            )
        channel = require_channel(name, channel_names)
        if channel in files:
            raise Fault(f"two files for {channel_names[channel]}: {files[channel]}, {file}", remedy="Give only one.")
        files[channel] = Path(file)
    return {case: CaseInput(files)}


def from_tree(source: Path, layout: Layout, *, channel_names: Sequence[str]) -> dict[str, CaseInput]:
    """The cases of a patient tree in a known layout; sequences unknown to the model are left out with a note."""
    return {case: _of_patient(patient, channel_names) for case, patient in find_patients(source, layout).items()}


def _of_patient(patient: Patient, channel_names: Sequence[str]) -> CaseInput:
    files: dict[int, Path] = {}
    notes = []
    for name, file in patient.images.items():
        if not channels_of(name, channel_names):
            notes.append(f"{file}: the model does not know {name}; left aside")
            continue
        channel = require_channel(name, channel_names)
        if channel in files:
            problem = f"two files for {channel_names[channel]}: {files[channel]}, {file}"
            return CaseInput({}, (Fault(problem, remedy="Name the files one by one with --image."),))
        files[channel] = file
    hidden = tuple(fault for name, fault in patient.hidden.items() if channels_of(name, channel_names))
    return CaseInput(files, hidden or ((patient.fault,) if patient.fault and not files else ()), tuple(notes))


def without(cases: Mapping[str, CaseInput], dropped: Collection[str], channel_names: Sequence[str]) -> dict:
    """The cases without the named sequences, as if these had not been acquired."""
    channels = {require_channel(name, channel_names) for name in dropped}
    return {
        case: replace(found, files={c: file for c, file in found.files.items() if c not in channels})
        for case, found in cases.items()
    }
