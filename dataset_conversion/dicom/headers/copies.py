"""Compares the pixels of DICOM files that have one SOP Instance UID, as where an export lies twice in a folder."""

from pathlib import Path

from pydicom import dcmread

from dataset_conversion.dicom.headers.header_file import read_header, without_quotations
from dataset_conversion.dicom.headers.slices import DicomSeries, DicomSlice


def n_differing_copies(series: DicomSeries) -> int:
    """Of how many files another one has the UID, but not the pixels to the bit and the place."""
    firsts = {one.file: one for one in series.slices if one.copies}
    with without_quotations():
        return sum(not all(_is_copy(one, other) for other in one.copies) for one in firsts.values())


def _is_copy(one: DicomSlice, file: Path) -> bool:
    if one.file.read_bytes() == file.read_bytes():
        return True
    try:
        header = read_header(file)
        first = header.slices[0] if header else None
        return (
            first is not None
            and (first.position, first.direction, first.spacing) == (one.position, one.direction, one.spacing)
            and dcmread(one.file, force=True).PixelData == dcmread(file, force=True).PixelData
        )
    except Exception:  # of pydicom, whose words may be the header's
        return False
