"""Finds the input files per case and sequence: in an nnU-Net folder, by named files, or in a patient tree."""

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.images.grids import OtherGrid, on_same_grid
from dataset_conversion.files.images.headers import usable_geometry
from dataset_conversion.raw.cases import find_cases
from dataset_conversion.raw.layout import Layout
from dataset_conversion.raw.preparing.placeholders import treated_as_absent, usable_images
from dataset_conversion.raw.sources.patient import Patient
from dataset_conversion.raw.sources.patients import find_patients
from dataset_conversion.raw.sources.synthetic import lies_with_synthetic
from dataset_conversion.sequences import channels_of, require_channel
from nnunet_seqdropout.prediction.case import CaseImages, CaseInput, Preview

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaseFiles:
    """Images that lie on one grid already, by channel number.

    faults: what is wrong with their names. notes: what else to know. nan: as ``read_image`` has it. trust_geometry:
    images of one size get the geometry of the first, whatever their headers say.
    """

    files: Mapping[int, Path]
    channel_names: Sequence[str]
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    nan: Literal["refuse", "zero"] = "refuse"
    trust_geometry: bool = False

    def preview(self) -> Preview:
        """By headers where these are as they should be; else the images are read, to say why, or that nothing is wrong.

        A constant image may lie on another grid, and a file may have another length.
        """
        self._require_files()
        if (header := self._common_header()) is not None:
            return Preview(self.files.keys(), math.prod(header.GetSize()))
        images = self.read()
        return Preview(images.by_channel.keys(), images.results_like.GetNumberOfPixels())

    def _common_header(self) -> sitk.ImageFileReader | None:
        """The first one, where all are usable and of one grid."""
        try:
            first, *others = [usable_geometry(file) for file in self.files.values()]
        except (Fault, OSError):
            return None
        if self.trust_geometry:
            fit = all(other.GetSize() == first.GetSize() for other in others)
        else:
            fit = all(on_same_grid(first, other) for other in others)
        return first if fit else None

    def _require_files(self) -> None:
        if self.faults:
            raise Fault("; ".join(fault.problem for fault in self.faults), remedy=self.faults[0].remedy)
        if not self.files:
            raise Fault("no usable sequence", remedy="Give at least one image.")

    def read(self) -> CaseImages:
        self._require_files()
        try:
            found = usable_images(self.files, nan=self.nan, trust_geometry=self.trust_geometry)
        except OtherGrid as fault:
            remedy = f"{fault.remedy} Series as they left the scanner: seqdropout predict --patients, or --dicom."
            raise Fault(fault.problem, remedy=remedy) from fault
        said = [treated_as_absent(self.files[channel], value) for channel, value in found.constant.items() if value]
        return CaseImages(
            found.by_channel,
            results_like=next(iter(found.by_channel.values())),
            warnings=(*self.notes, *said),
            synthetic=any(lies_with_synthetic(file) for file in self.files.values()),
            identity=self._identity(found.sha256),
        )

    def identity(self) -> dict[str, Any]:
        """The SHA-256 of each file, and how they are read."""
        return self._identity({channel: sha256_of(file) for channel, file in self.files.items()})

    def _identity(self, sha256: Mapping[int, str]) -> dict[str, Any]:
        named = {self.channel_names[channel]: sha256[channel] for channel in sorted(sha256)}
        return {"sha256": named, "nan": self.nan, "trust_geometry": self.trust_geometry}

    def without(self, channels: Collection[int]) -> "CaseFiles":
        return replace(self, files={c: file for c, file in self.files.items() if c not in channels})


def from_folder(folder: Path, *, channel_names: Sequence[str], file_ending: str) -> dict[str, CaseFiles]:
    """``<case>_XXXX`` files, by the number in their suffix. Raises Fault where there is none."""
    found = find_cases(folder, channel_names=channel_names, file_ending=file_ending)
    return {case: CaseFiles(files.by_channel, channel_names, tuple(files.faults)) for case, files in found.items()}


def from_named_files(named: Sequence[str], *, case: str, channel_names: Sequence[str]) -> dict[str, CaseFiles]:
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
    return {case: CaseFiles(files, channel_names)}


def from_tree(source: Path, layout: Layout, *, channel_names: Sequence[str]) -> dict[str, CaseFiles]:
    """The cases of a patient tree in a known layout; sequences unknown to the model are left out with a note."""
    return {case: _of_patient(patient, channel_names) for case, patient in find_patients(source, layout).items()}


def _of_patient(patient: Patient, channel_names: Sequence[str]) -> CaseFiles:
    files: dict[int, Path] = {}
    notes = []
    for name, file in patient.images.items():
        if not channels_of(name, channel_names):
            notes.append(f"{file}: the model does not know {name}; left aside")
            continue
        channel = require_channel(name, channel_names)
        if channel in files:
            problem = f"two files for {channel_names[channel]}: {files[channel]}, {file}"
            return CaseFiles({}, channel_names, (Fault(problem, remedy="Name the files one by one with --image."),))
        files[channel] = file
    hidden = tuple(fault for name, fault in patient.hidden.items() if channels_of(name, channel_names))
    return CaseFiles(
        files, channel_names, hidden or ((patient.fault,) if patient.fault and not files else ()), tuple(notes)
    )


def without(cases: Mapping[str, CaseInput], dropped: Collection[str], channel_names: Sequence[str]) -> dict:
    """The cases without the named sequences, as if these had not been acquired."""
    channels = {require_channel(name, channel_names) for name in dropped}
    return {case: found.without(channels) for case, found in cases.items()}
