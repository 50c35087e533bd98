"""Prints what each DICOM series of a patient is taken for, and why; without a word of the headers' free text."""

from collections.abc import Iterator, Mapping, Sequence

from dataset_conversion.dicom.headers.geometry import step_mm
from dataset_conversion.dicom.headers.kinds import known_modality
from dataset_conversion.dicom.headers.slices import DicomSeries
from dataset_conversion.dicom.roles import Assignment, chosen_of
from dataset_conversion.dicom.rules import NOT_USED
from dataset_conversion.dicom.volume import require_sound
from dataset_conversion.faults import Fault

HEADINGS = ("series", "kind", "vendor", "matrix x slices", "spacing, mm", "taken for", "why")


def lines_of(assigned: Sequence[Assignment]) -> list[str]:
    """A line of headings, and one for each series."""
    rows = [HEADINGS, *(_row(one) for one in assigned)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:{width}s}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def unused(assigned: Sequence[Assignment]) -> list[str]:
    """Every series that is not used, by number and modality, and why."""
    return [
        f"{one.series}, {known_modality(one.series.modality)}: {one.why}" for one in assigned if one.role == NOT_USED
    ]


def faults_of(assigned: Sequence[Assignment], *, patient: str) -> Iterator[Fault]:
    """Why the patient could not be converted, as far as headers and copies tell."""
    try:
        chosen: Mapping[str, DicomSeries] = chosen_of(assigned, patient=patient)
    except Fault as fault:
        yield fault
        return
    for series in chosen.values():
        try:
            require_sound(series)
        except Fault as fault:
            yield fault


def _row(one: Assignment) -> tuple[str, ...]:
    series, first = one.series, one.series.slices[0]
    matrix = f"{'x'.join(map(str, first.size))} x {len(series.slices)}"
    if n := sum(bool(one_slice.copies) for one_slice in series.slices):
        matrix += f" ({n} there twice)"
    spacing = " x ".join(f"{mm:.3g}" for mm in (*first.spacing[:2], step_mm(series))) if first.spacing else "-"
    role = "-" if one.role == NOT_USED else one.role
    return (series.label, known_modality(series.modality), series.vendor, matrix, spacing, role, one.why)
