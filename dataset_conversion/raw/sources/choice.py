"""Chooses among the files that would be a sequence's or the label of a case."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dataset_conversion.faults import DEAD_LINK, LINK_REMEDY, Fault
from dataset_conversion.files.images.image_io import printable
from dataset_conversion.raw.layout import LabelFiles
from dataset_conversion.raw.sources.listing import Found, different


def dead_link(link: Path) -> Fault:
    return Fault(DEAD_LINK, file=link, remedy=LINK_REMEDY)


def hidden_sequences(files: Sequence[Found], unread: Sequence[Found]) -> dict[str | None, Fault]:
    """By sequence, None for the label: it is no absent one where a link leads to nowhere, or no file is of a type that
    is read."""
    dead = {found.sequence: dead_link(found.file) for found in files if not found.file.exists()}
    there = {found.sequence for found in files}
    return {found.sequence: _unread(found) for found in unread if found.sequence not in there} | dead


def _unread(found: Found) -> Fault:
    problem = f"this type of file is not read, and it is the only {found.sequence or 'label'}"
    remedy = "Convert it to NIfTI (DICOM with seqdropout dicom), or remove it from the folder."
    return Fault(problem, file=found.file, remedy=remedy)


def not_chosen(files: Sequence[Found], images: Mapping[str, Path], label: Sequence[Path]) -> tuple[str, ...]:
    chosen = {file.resolve() for file in (*images.values(), *label)}
    others = [found for found in files if found.file.resolve() not in chosen]
    return tuple(
        printable(f"{found.file} is not used: another {found.sequence or 'label'} is preferred") for found in others
    )


def chosen_images(case: str, files: Sequence[Found]) -> dict[str, Path]:
    images = {}
    for sequence in dict.fromkeys(found.sequence for found in files if found.sequence):
        candidates = [found for found in files if found.sequence == sequence]
        best = min(found.preference for found in candidates)
        images[sequence] = _only([f.file for f in candidates if f.preference == best], f"the {sequence} of {case}")
    return images


def chosen_label(case: str, files: Sequence[Found]) -> tuple[tuple[Path, ...], Mapping[int, int] | None]:
    labels = [found for found in files if found.label is not None]
    if not labels:
        return (), None
    best = min(labels, key=lambda found: found.preference)
    kind: LabelFiles = best.label  # type: ignore[assignment]
    if kind.unite:
        return tuple(different(found.file for found in labels if found.label is kind)), kind.mapping
    chosen = [found.file for found in labels if found.preference == best.preference]
    return (_only(chosen, f"the label of {case}"),), kind.mapping


def _only(files: Sequence[Path], what: str) -> Path:
    if len(files) > 1 and len(files := different(files)) > 1:
        raise Fault(f"{files[0]} and {files[1]} are both {what}", remedy="Remove one of them from the folder.")
    return files[0]
