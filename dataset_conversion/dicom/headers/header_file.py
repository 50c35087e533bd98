"""Reads the header of one DICOM file with pydicom: its series, and where each of its slices lies.

Nothing that a header holds is fatal: a value that is not as the standard wants it counts as absent. No message of
pydicom is handed on, since it may quote the header.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dataset_conversion.dicom.headers.frames import TELLING, FunctionalGroups, in_plane, numbers, text
from dataset_conversion.dicom.headers.kinds import aside_of, is_derived, is_mosaic, vendor_of
from dataset_conversion.dicom.headers.preamble import may_be_dicom
from dataset_conversion.dicom.headers.slices import DicomSeries, DicomSlice

NO_AGENT = ("", "no", "none", "n/a")
TAGS = [
    *("PatientID", "StudyDate", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"),
    *("FrameOfReferenceUID", "SeriesNumber", "SeriesDescription", "ProtocolName", "Modality", "Manufacturer"),
    *("ImageType", "SequenceName", "PulseSequenceName", "ScanningSequence", "EchoPulseSequence"),
    *("EchoPlanarPulseSequence", "InversionRecovery", "AcquisitionContrast", "ContrastBolusAgent"),
    *("ContrastBolusAgentSequence", "ImagesInAcquisition", "ConcatenationUID", "InConcatenationTotalNumber"),
    *("NumberOfFrames", "Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "SpecificCharacterSet"),
    *(keyword for places in TELLING.values() for _, keyword in places),
]
"""Nothing else is parsed."""


@contextmanager
def without_quotations() -> Iterator[None]:
    """pydicom and highdicom warn of odd values and quote them: within the block they are silent, whatever the level of
    the log."""
    logger, of_results = logging.getLogger("pydicom"), logging.getLogger("highdicom")
    disabled, level = logger.disabled, of_results.level
    logger.disabled = True
    of_results.setLevel(logging.CRITICAL + 1)  # that of its modules, too
    try:
        with config.disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = disabled
        of_results.setLevel(level)


def read_header(file: Path) -> DicomSeries | None:
    """The series that the file belongs to, with the slices of this file alone; None where it is no object of a series.

    To be called within ``without_quotations``.
    """
    try:
        if not may_be_dicom(file):
            return None
        with file.open("rb") as stream:
            header = dcmread(stream, stop_before_pixels=True, specific_tags=TAGS, force=True)
            syntax = text(header.file_meta, "TransferSyntaxUID")
            cut = syntax != DeflatedExplicitVRLittleEndian and _is_cut(stream)
        return _series(header, file, syntax, problem="is cut off" if cut else "")
    except Exception:  # whatever pydicom meets in a file that is none; its words may be the header's
        return None


def _is_cut(stream: BinaryIO) -> bool:
    """Whether less is there than the element promises before which pydicom stopped: that of the pixels, or none."""
    head = stream.read(12)
    if head[:4] != b"\xe0\x7f\x10\0":  # (7FE0,0010), little endian
        return False
    is_explicit = head[4:6].isalpha()
    length = int.from_bytes(head[8:12] if is_explicit else head[4:8], "little")
    if not is_explicit:
        stream.seek(-4, os.SEEK_CUR)
    end = stream.seek(0, os.SEEK_CUR)
    size = os.fstat(stream.fileno()).st_size
    return not _ends_its_items(stream) if length == 0xFFFFFFFF else end + length > size


def _ends_its_items(stream: BinaryIO) -> bool:
    """Whether compressed pixels, from the stream's place on, go on to their delimiter."""
    while len(head := stream.read(8)) == 8:
        if head[:4] == b"\xfe\xff\xdd\xe0":
            return True
        stream.seek(int.from_bytes(head[4:], "little"), os.SEEK_CUR)
    return False


def _series(header: Dataset, file: Path, syntax: str, *, problem: str) -> DicomSeries | None:
    sop_class, modality = text(header, "SOPClassUID"), text(header, "Modality")
    if not text(header, "SeriesInstanceUID") or not (sop_class or modality):
        return None
    groups = FunctionalGroups.of(header)
    first = groups[0] if groups else FunctionalGroups(header)
    image_type = first.text("MRImageFrameTypeSequence", "FrameType", "ImageType").split("\\")
    return DicomSeries(
        patient=text(header, "PatientID"),
        examination=text(header, "StudyDate") or text(header, "StudyInstanceUID"),
        uid=text(header, "SeriesInstanceUID"),
        number=text(header, "SeriesNumber"),
        description=text(header, "SeriesDescription"),
        modality=modality,
        contrast_agent=_has_agent(header),
        inversion_time_ms=first.time_ms("InversionTime"),
        slices=_slices(header, groups, file, syntax, problem=problem),
        protocol=text(header, "ProtocolName"),
        sequence_name=text(header, "SequenceName") or text(header, "PulseSequenceName"),
        scanning_sequence=_scanning_sequence(header, first),
        acquisition_contrast=first.text("MRImageFrameTypeSequence", "AcquisitionContrast", "AcquisitionContrast"),
        echo_time_ms=first.time_ms("EchoTime"),
        repetition_time_ms=first.time_ms("RepetitionTime"),
        vendor=vendor_of(text(header, "Manufacturer")),
        study_uid=text(header, "StudyInstanceUID"),
        frame_of_reference=text(header, "FrameOfReferenceUID"),
        declared=int(next(iter(numbers(header, "ImagesInAcquisition")), 0)),
        aside=aside_of(sop_class, modality, image_type),
        derived=is_derived(image_type),
    )


def _slices(
    header: Dataset, groups: list[FunctionalGroups], file: Path, syntax: str, *, problem: str
) -> tuple[DicomSlice, ...]:
    n_frames = int(next(iter(numbers(header, "NumberOfFrames")), 1))
    size = tuple(int(next(iter(numbers(header, name)), 0)) for name in ("Columns", "Rows"))
    problem = problem or _problem(header, n_frames=n_frames, n_groups=len(groups))
    modified_ns = file.stat().st_mtime_ns
    uid, sop_class = text(header, "SOPInstanceUID"), text(header, "SOPClassUID")
    numbered = enumerate(groups, 1) if groups else [(0, FunctionalGroups(header))]
    return tuple(
        DicomSlice(
            file,
            modified_ns,
            size,
            *in_plane(group),
            sop_uid=uid,
            sop_class=sop_class,
            frame=frame,
            numbers=group.own_numbers(),
            transfer_syntax=syntax,
            tags=group.tags(),
            problem=problem,
        )
        for frame, group in numbered
    )


def _problem(header: Dataset, *, n_frames: int, n_groups: int) -> str:
    if text(header, "ConcatenationUID") or next(iter(numbers(header, "InConcatenationTotalNumber")), 1) > 1:
        return "is one part of a concatenation (ConcatenationUID)"
    if is_mosaic(text(header, "ImageType").split("\\")):
        return "is a mosaic of slices (ImageType)"
    if n_frames > 1 and n_frames != n_groups:
        return f"has {n_frames} frames (NumberOfFrames), but positions of {n_groups}"
    return ""


def _has_agent(header: Dataset) -> bool:
    in_words = text(header, "ContrastBolusAgent").lower() not in NO_AGENT
    return in_words or bool(header.get("ContrastBolusAgentSequence"))


def _scanning_sequence(header: Dataset, first: FunctionalGroups) -> str:
    """The codes of a classic header. An enhanced one says the same in three tags."""
    if codes := text(header, "ScanningSequence"):
        return codes.replace("\\", " ")
    pulses: Mapping[str, str] = {"SPIN": "SE", "GRADIENT": "GR", "BOTH": "SE GR"}
    inverted = first.text("MRModifierSequence", "InversionRecovery", "InversionRecovery") == "YES"
    planar = text(header, "EchoPlanarPulseSequence") == "YES"
    found = [pulses.get(text(header, "EchoPulseSequence"), ""), "IR" * inverted, "EP" * planar]
    return " ".join(filter(None, found))
