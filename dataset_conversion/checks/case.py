"""Checks the files of one case and collects all faults in one pass."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.checks.remarks import Remark, or_remark
from dataset_conversion.faults import Fault
from dataset_conversion.files.hashing import fingerprint_of
from dataset_conversion.files.images.grids import require_same_grid
from dataset_conversion.files.images.image_io import read_channels, read_image
from dataset_conversion.files.images.label_values import value_faults, voxels_of_value
from dataset_conversion.files.images.storage_order import storage_order, stored_like
from dataset_conversion.raw.preparing.contrast import contrast_fault
from dataset_conversion.raw.preparing.placeholders import constant_value, treated_as_absent
from dataset_conversion.sequences import Pattern


@dataclass(frozen=True)
class CaseCheck:
    """The findings on one case.

    pattern: the sequences that have an image; a broken one counts, a constant one does not. labelled_voxels: those
    that are not background, None where no label could be read. storage_order: that of the axes of its first usable
    image, such as LPS. contents: fingerprints of its usable images.
    """

    pattern: str = ""
    faults: tuple[Remark, ...] = ()
    notes: tuple[Remark, ...] = ()
    labelled_voxels: int | None = None
    storage_order: str = ""
    contents: frozenset[str] = frozenset()


def check_case(
    files: Mapping[int, Path],
    *,
    channel_names: Sequence[str],
    label: Path | None = None,
    label_values: Collection[int] | None = None,
    complete: bool = False,
    trust_geometry: bool = False,
) -> CaseCheck:
    """Reads every file of a case once, to its end, and gathers all faults; raises nothing for bad input.

    label_values: those that the label may have beside 0; None allows every whole number. complete: every channel must
    have its file, be it of zeros, and all files one grid, as nnU-Net asks of the cases that it trains on.
    trust_geometry: another header on an image of the same size is a note.
    """
    files, read = _by_channel({channel: (file, _read(file)) for channel, file in sorted(files.items())})
    images = {channel: found for channel, found in read.items() if not isinstance(found, Remark)}
    constant = {channel: value for channel, image in images.items() if (value := constant_value(image)) is not None}
    present = [channel in files and channel not in constant for channel in range(len(channel_names))]
    faint = [
        fault
        for channel, image in images.items()
        if channel not in constant and (fault := contrast_fault(image, files[channel])) is not None
    ]
    check = CaseCheck(
        pattern=str(Pattern.of(present, channel_names)),
        faults=(
            *(found for found in read.values() if isinstance(found, Remark)),
            *map(Remark.of, faint),
            *([] if any(present) else [Remark("no usable sequence", "Give at least one image that is not empty.")]),
            *(_absent_files(files, channel_names) if complete else []),
            *_unknown_channels(files, channel_names),
        ),
        notes=tuple(Remark(treated_as_absent(files[channel], value)) for channel, value in constant.items() if value),
    )
    usable = [image for channel, image in images.items() if channel not in constant]
    contents = frozenset(fingerprint_of(sitk.GetArrayViewFromImage(image)) for image in usable)
    check = replace(check, contents=contents)
    read_label = None if label is None else _read_label(label)
    on_grid = [(files[channel], images[channel]) for channel in _on_one_grid(images, constant, complete=complete)]
    if label is not None and isinstance(read_label, sitk.Image):
        on_grid.append((label, read_label))
    if on_grid and on_grid[0][1].GetDimension() == 3:
        check = replace(check, storage_order=storage_order(on_grid[0][1]))
    for other in on_grid[1:]:
        check = _with_grid(check, on_grid[0], other, trust_geometry=trust_geometry, trained_on=complete)
    return check if label is None else _with_label(check, label, read_label, label_values)


def _by_channel(
    read: Mapping[int, tuple[Path, list[sitk.Image] | Remark]],
) -> tuple[dict[int, Path], dict[int, sitk.Image | Remark]]:
    """File and image, or what is wrong with it, of every channel.

    Where a picture in colour holds several, nnU-Net counts the channels file by file, whatever the files' numbers.
    """
    each = [
        (channel, file, image)
        for channel, (file, found) in read.items()
        for image in (found if isinstance(found, list) else [found])
    ]
    if len(each) > len(read):
        each = [(i, file, image) for i, (_, file, image) in enumerate(each)]
    return {channel: file for channel, file, _ in each}, {channel: image for channel, _, image in each}


def _unknown_channels(files: Mapping[int, Path], channel_names: Sequence[str]) -> list[Remark]:
    """At most one remark: a picture in colour that has more channels than the data set."""
    if max(files, default=0) < len(channel_names):
        return []
    problem = f"{files[max(files)]}: with it there are {max(files) + 1} channels, but the data set has"
    return [Remark(f"{problem} {len(channel_names)}", "Name each of them in dataset.json, or save it without alpha.")]


def _on_one_grid(images: Collection[int], constant: Collection[int], *, complete: bool) -> list[int]:
    """The channels whose grids must agree, usable ones first; constant images only in a case to train on."""
    usable_first = sorted(images, key=lambda channel: channel in constant)
    return [channel for channel in usable_first if complete or channel not in constant]


def _absent_files(files: Collection[int], channel_names: Sequence[str]) -> list[Remark]:
    remedy = "Write a placeholder for it with seqdropout fill: nnU-Net needs a file for every channel."
    absent = [f"_{i:04d} ({name})" for i, name in enumerate(channel_names) if i not in files]
    return [Remark(f"there is no file {channel}", remedy) for channel in absent]


def _with_label(
    check: CaseCheck, file: Path, label: sitk.Image | Remark | None, known: Collection[int] | None
) -> CaseCheck:
    """The check with findings on the label's values."""
    if not isinstance(label, sitk.Image):
        return replace(check, faults=(*check.faults, *([label] if label else [])))
    voxels = voxels_of_value(label)
    bad_values = [Remark.of(fault) for fault in value_faults(voxels, known=known, file=file)]
    return replace(
        check,
        faults=(*check.faults, *bad_values),
        notes=check.notes if voxels else (*check.notes, Remark(f"{file}: the label is empty")),
        labelled_voxels=sum(voxels.values()),
    )


def _read(file: Path) -> list[sitk.Image] | Remark:
    """The channels of a file, one but in pictures in colour, or what is wrong with it."""
    return or_remark(read_channels, file)


def _read_label(file: Path) -> sitk.Image | Remark:
    return or_remark(read_image, file)


def _with_grid(
    check: CaseCheck,
    reference: tuple[Path, sitk.Image],
    other: tuple[Path, sitk.Image],
    *,
    trust_geometry: bool,
    trained_on: bool,
) -> CaseCheck:
    """The check and, where the grids differ, one remark with both files, both grids and their corners' distance.

    Of what it trains on, nnU-Net takes no spacing that differs by more than a hundred thousandth.
    """
    files, images = (reference[0], other[0]), (reference[1], other[1])
    spacings = [image.GetSpacing() for image in images]
    refused = trained_on and len(spacings[0]) == len(spacings[1]) and not np.allclose(*spacings)
    if (stored := stored_like(*images)) is not images[1]:
        orders = f"stored as {storage_order(images[1])}, but {files[0]} as {storage_order(images[0])}"
        if trained_on:
            remedy = "Convert the data set again: nnU-Net does not reorder axes."
            return replace(check, faults=(*check.faults, Remark(f"{files[1]}: {orders}", remedy)))
        images = (images[0], stored)
        check = replace(check, notes=(*check.notes, Remark(f"{files[1]}: {orders}; brought into the same order")))
    try:
        require_same_grid(*images, files=files)
    except Fault as fault:
        if not trust_geometry or refused or images[0].GetSize() != images[1].GetSize():
            return replace(check, faults=(*check.faults, Remark.of(fault)))
        return replace(check, notes=(*check.notes, Remark(f"{fault.problem}; trusted (--trust-geometry)")))
    if refused:
        problem = (
            f"{files[1]}: spacing {spacings[1]}, but {files[0]} has {spacings[0]}: nnU-Net requires the same spacing"
        )
        return replace(
            check,
            faults=(
                *check.faults,
                Remark(problem, "Copy the spacing from the other header, or convert the data set again."),
            ),
        )
    return check
