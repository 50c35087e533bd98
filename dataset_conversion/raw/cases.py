"""Sorts the images of a folder of nnU-Net inputs by case and channel."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataset_conversion.faults import DEAD_LINK, LINK_REMEDY, Fault
from dataset_conversion.files.images.endings import IMAGE_ENDINGS, MEDICAL_ENDINGS
from dataset_conversion.files.images.image_io import printable


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
        raise Fault(f"{folder} is not a folder", remedy=f"Give the folder that contains {searched.name}.")
    cases: dict[str, CaseFiles] = defaultdict(CaseFiles)
    misnamed: dict[str, list[Fault]] = defaultdict(list)
    for file in sorted(folder.iterdir()):
        endings = (file_ending, *IMAGE_ENDINGS, *MEDICAL_ENDINGS)
        ending = next((e for e in endings if file.name.lower().endswith(e)), None)
        if ending is None or file.name.startswith(".") or file.is_dir():
            continue
        stem = printable(file.name[: -len(ending)])
        if (fault := _misnamed(file, stem, ending, channel_names, file_ending)) is not None:
            misnamed[stem].append(fault)
        else:
            cases[stem[:-5]].by_channel[int(stem[-4:])] = file
    for stem, faults in misnamed.items():
        # of the cases A and A_1, A_1_flair belongs to A_1
        owner = max((case for case in cases if f"{stem}_".startswith(f"{case}_")), key=len, default=stem)
        cases[owner].faults += faults
    if not cases:
        raise Fault(f"no file {searched}", remedy="Give the folder that contains the images.")
    return dict(sorted(cases.items()))


def _misnamed(file: Path, stem: str, ending: str, channel_names: Sequence[str], file_ending: str) -> Fault | None:
    if not file.exists():
        return Fault(DEAD_LINK, file=file, remedy=LINK_REMEDY)
    if stem != file.name[: len(stem)]:
        return Fault("its name is not written in UTF-8", file=file, remedy="Rename it, with letters that UTF-8 knows.")
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
