"""Describes a DICOM series and its slices as their headers do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dataset_conversion.plurals import n_of


@dataclass(frozen=True)
class DicomSlice:
    """One slice: a file, or a frame of a multi-frame file. Positions are LPS, in mm.

    size: columns, rows. spacing: mm between columns, between rows. direction: row by row, as in SimpleITK. position,
    spacing and direction are empty where the header does not tell them.
    frame: the number of the frame in its file, from 1; 0 where the file holds one slice.
    numbers: the frame's InStackPositionNumber and DimensionIndexValues, where it has them.
    tags: what can tell the stacks of one series apart, such as the echo time, by keyword; only tags that are there.
    copies: further files with the same SOP Instance UID.
    problem: why the file cannot be used, in words; empty where it can.
    """

    file: Path
    modified_ns: int
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    position: tuple[float, ...]
    direction: tuple[float, ...]
    sop_uid: str = ""
    sop_class: str = ""
    frame: int = 0
    numbers: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    transfer_syntax: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    copies: tuple[Path, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class DicomSeries:
    """One series, as described by the headers of its files. Times in ms, None where there is none.

    examination: equal for the series of one day, or of one study where the day has been removed.
    contrast_agent: whether the header names one.
    sequence_name: SequenceName, or PulseSequenceName. scanning_sequence: the codes of ScanningSequence, such as
    ``SE IR``; of an enhanced header those that say the same. vendor: a word of ours.
    declared: how many slices the header speaks of, if more than are there; else 0.
    aside: why the files are no images of a sequence, such as ``screenshot``; empty where they may be.
    derived: whether they were computed of other images.
    """

    patient: str
    examination: str
    uid: str
    number: str
    description: str
    modality: str
    contrast_agent: bool
    inversion_time_ms: float | None
    slices: tuple[DicomSlice, ...]
    protocol: str = ""
    sequence_name: str = ""
    scanning_sequence: str = ""
    acquisition_contrast: str = ""
    echo_time_ms: float | None = None
    repetition_time_ms: float | None = None
    vendor: str = "other"
    study_uid: str = ""
    frame_of_reference: str = ""
    declared: int = 0
    aside: str = ""
    derived: bool = False

    def __str__(self) -> str:
        """Without its description: that is free text and may name the patient, and this goes into summaries."""
        return f"series {self.label} ({n_of(len(self.slices), 'slice')})"

    @property
    def label(self) -> str:
        return self.number if self.number.isdecimal() else "without a number"

    @property
    def files(self) -> tuple[Path, ...]:
        """Each file once, in the order of the slices."""
        return tuple(dict.fromkeys(one.file for one in self.slices))
