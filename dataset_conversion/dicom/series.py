"""Groups the DICOM files of a folder into series by their headers."""

import logging
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk
from tqdm import tqdm

from dataset_conversion.faults import Fault
from dataset_conversion.outcomes import is_quiet
from dataset_conversion.plurals import n_of

log = logging.getLogger(__name__)

NO_AGENT = ("", "no", "none", "n/a")


@dataclass(frozen=True)
class DicomSlice:
    """One file: its place in space (LPS, mm; the direction row by row, as in SimpleITK) and when it last changed."""

    file: Path
    modified_ns: int
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    position: tuple[float, ...]
    direction: tuple[float, ...]


@dataclass(frozen=True)
class DicomSeries:
    """One series, as described by the headers of its files.

    examination: equal for the series of one day, or of one study where the day has been removed.
    contrast_agent: whether the tag ContrastBolusAgent names one.
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

    def __str__(self) -> str:
        """Without its description: that is free text and may name the patient, and this goes into summaries."""
        number = self.number if self.number.isdecimal() else "without a number"
        return f"series {number} ({n_of(len(self.slices), 'slice')})"


def find_series(source: Path) -> list[DicomSeries]:
    """All series below ``source``, whatever folders and files are called; what is no DICOM image is counted and logged.

    Raises Fault where there is no series.
    """
    found: dict[tuple[str, str], list[tuple[dict[str, str], DicomSlice]]] = defaultdict(list)
    others = []
    files = sorted(file for file in source.rglob("*") if file.is_file())
    for file in tqdm(files, desc="Reading headers", unit="file", disable=is_quiet()):
        header = _read_header(file)
        if header is None:
            others.append(file)
        else:
            found[header[0]["patient"], header[0]["uid"]].append(header)
    if others:
        marked = sum(map(_is_marked_as_dicom, others))
        kept_back = f", {marked} of them marked as DICOM: damaged, or without an image by design" if marked else ""
        log.warning("skipped %d of %s without a DICOM image%s", len(others), n_of(len(files), "file"), kept_back)
    if not found:
        raise Fault(f"no DICOM image below {source}", remedy="Give the folder that contains the DICOM files.")
    return [_series(headers) for headers in found.values()]


def _read_header(file: Path) -> tuple[dict[str, str], DicomSlice] | None:
    """The tags that matter, and the geometry; None where the file is no DICOM image that can be read."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None

    def tag(key: str) -> str:
        value = reader.GetMetaData(key) if reader.HasMetaDataKey(key) else ""
        # Older character sets arrive as lone surrogates, which cannot be printed.
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip(" \0")

    geometry = (reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())
    return {
        "patient": tag("0010|0020"),
        "examination": tag("0008|0020") or tag("0020|000d"),
        "uid": tag("0020|000e"),
        "number": tag("0020|0011"),
        "description": tag("0008|103e"),
        "modality": tag("0008|0060"),
        "agent": tag("0018|0010"),
        "inversion_time": tag("0018|0082"),
    }, DicomSlice(file, file.stat().st_mtime_ns, *geometry)


def _series(headers: list[tuple[dict[str, str], DicomSlice]]) -> DicomSeries:
    tags = dict(headers[0][0])
    agent, time = tags.pop("agent"), tags.pop("inversion_time")
    return DicomSeries(
        **tags,
        contrast_agent=agent.lower() not in NO_AGENT,
        inversion_time_ms=_number(time),
        slices=tuple(one for _, one in headers),
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_marked_as_dicom(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"
