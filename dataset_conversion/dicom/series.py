"""Groups the DICOM files of a folder into series by their headers."""

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from dataset_conversion.dicom.headers.preamble import has_preamble
from dataset_conversion.dicom.headers.slices import DicomSeries, DicomSlice
from dataset_conversion.faults import DEAD_LINK, LINK_REMEDY, Fault
from dataset_conversion.files.tree import files_below
from dataset_conversion.outcomes import is_quiet
from dataset_conversion.plurals import n_of

log = logging.getLogger(__name__)


def find_series(source: Path) -> list[DicomSeries]:
    """All series below ``source``, whatever folders and files are called; files of another kind are counted and logged.

    Of files with one SOP Instance UID the first counts; the others are its ``copies``. What lies beside the images of
    a series under its UID, such as a screenshot, is a series of its own.
    Raises Fault where there is no series, pydicom is not installed, or a link leads nowhere.
    """
    try:
        from dataset_conversion.dicom.headers.header_file import read_header, without_quotations
    except ImportError as error:
        raise Fault("pydicom is not installed", remedy="Run: pip install 'nnunet_seqdropout[dicom]'") from error
    if not source.is_dir():
        raise Fault(f"{source} is no folder", remedy="Give the folder that contains the DICOM files.")
    files = sorted(files_below(source)[0])
    _require_no_dead_link(files)
    found: dict[tuple[str, str, str, bool], list[DicomSeries]] = defaultdict(list)
    others = []
    with without_quotations():
        for file in tqdm(files, desc="Reading headers", unit="file", disable=is_quiet()):
            header = read_header(file)
            if header is None:
                others.append(file)
            else:
                found[header.patient, header.uid, header.aside, header.derived].append(header)
    if others:
        marked = sum(map(has_preamble, others))
        kept_back = f", {marked} of them marked as DICOM: damaged, or of no series" if marked else ""
        log.warning("skipped %d of %s without a DICOM image%s", len(others), n_of(len(files), "file"), kept_back)
    if not found:
        raise Fault(f"no DICOM image below {source}", remedy="Give the folder that contains the DICOM files.")
    series = [_joined(headers) for headers in found.values()]
    n_slices: Counter[tuple[str, str]] = Counter()
    for one in series:
        n_slices[one.patient, one.uid] += len(one.slices)
    return [one if n_slices[one.patient, one.uid] < one.declared else replace(one, declared=0) for one in series]


def _require_no_dead_link(files: Sequence[Path]) -> None:
    """Without the files' names, which may be those of patients."""
    dead = [file for file in files if not file.exists()]
    if dead:
        raise Fault(f"of {n_of(len(dead), 'file')} below the source this is true: {DEAD_LINK}", remedy=LINK_REMEDY)


def _joined(headers: Sequence[DicomSeries]) -> DicomSeries:
    """One series of the slices of its files, of which each counts once."""
    copies: dict[tuple[str, int], list[DicomSlice]] = defaultdict(list)
    for i, header in enumerate(headers):
        for one in header.slices:
            copies[one.sop_uid or f"without a UID, {i}", one.frame].append(one)
    slices = (replace(first, copies=tuple(one.file for one in others)) for first, *others in copies.values())
    return replace(headers[0], slices=tuple(slices))
