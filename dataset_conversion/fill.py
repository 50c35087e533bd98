"""Placeholders for absent sequences in a folder of nnU-Net inputs, so that stock ``nnUNetv2_predict`` can run on it."""

import logging
import re
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from dataset_conversion.abandoned import remove_abandoned
from dataset_conversion.faults import Fault
from dataset_conversion.images import has_geometry_of, staged, stored_geometry, write_image
from dataset_conversion.outcomes import Outcome, for_each_case, write_json, write_summary
from dataset_conversion.placeholders import placeholder, usable_images
from dataset_conversion.sequences import pattern

log = logging.getLogger(__name__)

IMAGE_ENDINGS = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".png", ".tif", ".tiff", ".bmp")


@dataclass
class CaseFiles:
    """The files of one case by channel number, and what is wrong with their names."""

    by_channel: dict[int, Path] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def find_cases(folder: Path, *, channel_names: Sequence[str], file_ending: str) -> dict[str, CaseFiles]:
    """Sorts the images of a folder, ``<case>_XXXX<file_ending>``, by case and by the number in their suffix.

    A name that nnU-Net would not read as meant is a fault of the case whose name it begins with, or else of a case of
    its own. Raises Fault where the folder has no image.
    """
    searched = folder / f"<case>_XXXX{file_ending}"
    if not folder.is_dir():
        raise Fault(f"{folder} is not a folder", remedy=f"Name the folder that holds {searched.name}.")
    cases: dict[str, CaseFiles] = defaultdict(CaseFiles)
    misnamed: dict[str, list[Fault]] = defaultdict(list)
    for file in sorted(folder.iterdir()):
        ending = next((e for e in (file_ending, *IMAGE_ENDINGS) if file.name.lower().endswith(e)), None)
        if ending is None or file.name.startswith(".") or not file.is_file():
            continue
        stem = file.name[: -len(ending)]
        if (fault := _misnamed(file, stem, ending, channel_names, file_ending)) is not None:
            misnamed[stem].append(fault)
        else:
            cases[stem[:-5]].by_channel[int(stem[-4:])] = file
    for stem, faults in misnamed.items():
        owner = next((case for case in cases if stem == case or stem.startswith(f"{case}_")), stem)
        cases[owner].faults += faults
    if not cases:
        raise Fault(f"no file {searched}", remedy="Name the folder that holds the images.")
    return dict(sorted(cases.items()))


def _misnamed(file: Path, stem: str, ending: str, channel_names: Sequence[str], file_ending: str) -> Fault | None:
    expected = ", ".join(f"{i:04d} {name}" for i, name in enumerate(channel_names))
    if not file.name.endswith(file_ending):
        remedy = f"Rename it to {stem}{file_ending}" if ending == file_ending else f"Convert it to {file_ending}"
        return Fault(f"this data set reads {file_ending} only", file=file, remedy=f"{remedy}.")
    if not re.fullmatch(r".+_\d{4}", stem):
        case = "<case>" if re.fullmatch(r".+_\d+", stem) else stem
        remedy = f"Rename it to {case}_XXXX{file_ending}, XXXX being one of: {expected}."
        return Fault("the name does not end in a channel number of four digits", file=file, remedy=remedy)
    if int(stem[-4:]) >= len(channel_names):
        return Fault(f"there is no channel {stem[-4:]}", file=file, remedy=f"This data set has: {expected}.")
    return None


def fill(
    source: Path, target: Path, *, channel_names: Sequence[str], file_ending: str, trust_geometry: bool = False
) -> dict[str, Outcome]:
    """Copies the cases of ``source`` to ``target`` and adds exact zeros for the channels that are absent.

    Beside each case stands ``<case>.json`` with its availability pattern and the factor N/(N-k); the whole is summed
    up in ``summary.json``. A case that fails has no file in ``target``. trust_geometry: images of one size get the
    geometry of the case's first. An image that gets another geometry is written anew, the others are copied.
    Raises Fault where ``source`` has no image or is ``target``.
    """
    if source.resolve() == target.resolve():
        raise Fault(f"{source} is input and output", remedy="Name another output folder.")
    cases = find_cases(source, channel_names=channel_names, file_ending=file_ending)
    remove_abandoned(target)

    def fill_case(case: str) -> None:
        for channel in range(len(channel_names)):
            (target / f"{case}_{channel:04d}{file_ending}").unlink(missing_ok=True)
        (target / f"{case}.json").unlink(missing_ok=True)
        if faults := cases[case].faults:
            raise Fault("; ".join(fault.problem for fault in faults), remedy=faults[0].remedy)
        usable = usable_images(cases[case].by_channel, trust_geometry=trust_geometry)
        with staged(target) as stage:
            for channel in range(len(channel_names)):
                filled = stage / f"{case}_{channel:04d}{file_ending}"
                if channel not in usable:
                    write_image(placeholder(next(iter(usable.values()))), filled)
                elif has_geometry_of(usable[channel], stored_geometry(cases[case].by_channel[channel])):
                    shutil.copyfile(cases[case].by_channel[channel], filled)
                else:
                    write_image(usable[channel], filled)
            present = [channel in usable for channel in range(len(channel_names))]
            write_json(stage / f"{case}.json", _record(case, present, channel_names))

    outcomes = for_each_case(cases, fill_case, doing="Filling")
    settings = {
        "channel_names": list(channel_names),
        "file_ending": file_ending,
        "trust_geometry": trust_geometry,
    }
    write_summary(target, command="fill", settings=settings, outcomes=outcomes)
    return outcomes


def _record(case: str, present: Sequence[bool], channel_names: Sequence[str]) -> dict[str, object]:
    """What stands beside the case; what is absent is logged."""
    factor = Fraction(len(present), sum(present))
    absent = {f"_{i:04d}": name for i, name in enumerate(channel_names) if not present[i]}
    if absent:
        names = ", ".join(f"{name} ({suffix})" for suffix, name in absent.items())
        log.info("%s: missing %s, using %d of %d, factor %s", case, names, sum(present), len(present), factor)
    shown = pattern(present, channel_names)
    return {"case": case, "pattern": shown, "absent": list(absent.values()), "factor": float(factor)}
