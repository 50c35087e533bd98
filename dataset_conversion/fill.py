"""Placeholders for absent sequences in a folder of nnU-Net inputs, so that stock ``nnUNetv2_predict`` can run on it."""

import logging
import re
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.images import atomic_path, write_image
from dataset_conversion.outcomes import Outcome, for_each_case, write_json, write_summary
from dataset_conversion.placeholders import placeholder, usable_images

log = logging.getLogger(__name__)

IMAGE_ENDINGS = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".png", ".tif", ".tiff", ".bmp")


@dataclass
class CaseFiles:
    """The files of one case by channel number, and the first fault among their names."""

    by_channel: dict[int, Path] = field(default_factory=dict)
    fault: Fault | None = None


def find_cases(folder: Path, *, channel_names: Sequence[str], file_ending: str) -> dict[str, CaseFiles]:
    """Sorts the images of a folder, ``<case>_XXXX<file_ending>``, by case and by the number in their suffix.

    A name that nnU-Net would not read as meant is a fault of its case. Raises Fault where the folder has no image.
    """
    expected = ", ".join(f"{i:04d} {name}" for i, name in enumerate(channel_names))
    searched = folder / f"<case>_XXXX{file_ending}"
    if not folder.is_dir():
        raise Fault(f"{folder} is not a folder", remedy=f"Name the folder that holds {searched.name}.")
    cases: dict[str, CaseFiles] = defaultdict(CaseFiles)
    for file in sorted(folder.iterdir()):
        ending = next((e for e in (file_ending, *IMAGE_ENDINGS) if file.name.lower().endswith(e)), None)
        if ending is None or file.name.startswith(".") or not file.is_file():
            continue
        stem = file.name[: -len(ending)]
        case, suffix = re.fullmatch(r"(.+?)(?:_(\d+))?", stem).groups()  # type: ignore[union-attr]  # any stem matches
        fault = None
        if not file.name.endswith(file_ending):
            remedy = f"Rename it to {stem}{file_ending}" if ending == file_ending else f"Convert it to {file_ending}"
            fault = Fault(f"this data set reads {file_ending} only", file=file, remedy=f"{remedy}.")
        elif suffix is None or len(suffix) != 4:
            remedy = f"Rename it to {case}_XXXX{file_ending}, XXXX being one of: {expected}."
            fault = Fault("the name does not end in a channel number of four digits", file=file, remedy=remedy)
        elif int(suffix) >= len(channel_names):
            fault = Fault(f"there is no channel {suffix}", file=file, remedy=f"This data set has: {expected}.")
        else:
            cases[case].by_channel[int(suffix)] = file
        cases[case].fault = cases[case].fault or fault
    if not cases:
        raise Fault(f"no file {searched}", remedy="Name the folder that holds the images.")
    return dict(cases)


def fill(source: Path, target: Path, *, channel_names: Sequence[str], file_ending: str) -> dict[str, Outcome]:
    """Copies the cases of ``source`` to ``target`` and adds exact zeros for the channels that are absent.

    Beside each case stands ``<case>.json`` with its availability pattern and the factor N/(N-k); the whole is summed
    up in ``summary.json``. Raises Fault where ``source`` has no image or is ``target``.
    """
    if source.resolve() == target.resolve():
        raise Fault(f"{source} is input and output", remedy="Name another output folder.")
    cases = find_cases(source, channel_names=channel_names, file_ending=file_ending)

    def fill_case(case: str) -> None:
        if (fault := cases[case].fault) is not None:
            raise fault
        files = cases[case].by_channel
        usable = usable_images(files)
        for channel in range(len(channel_names)):
            filled = target / f"{case}_{channel:04d}{file_ending}"
            if channel in usable:
                with atomic_path(filled) as temporary:
                    shutil.copyfile(files[channel], temporary)
            else:
                write_image(placeholder(next(iter(usable.values()))), filled)
        _record(target / f"{case}.json", case, sorted(usable), channel_names)

    outcomes = for_each_case(cases, fill_case, doing="Filling")
    settings = {"channel_names": list(channel_names), "file_ending": file_ending}
    write_summary(target, command="fill", settings=settings, outcomes=outcomes)
    return outcomes


def _record(path: Path, case: str, usable: Sequence[int], channel_names: Sequence[str]) -> None:
    factor = Fraction(len(channel_names), len(usable))
    absent = [channel for channel in range(len(channel_names)) if channel not in usable]
    if absent:
        names = ", ".join(f"{channel_names[channel]} (_{channel:04d})" for channel in absent)
        log.info("%s: missing %s, using %d of %d, factor %s", case, names, len(usable), len(channel_names), factor)
    write_json(
        path,
        {
            "case": case,
            "pattern": "+".join(channel_names[channel] for channel in usable),
            "absent": [channel_names[channel] for channel in absent],
            "factor": float(factor),
        },
    )
