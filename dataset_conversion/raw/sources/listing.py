"""Lists the images below a folder: those that a layout knows, with patient and sequence, and those that it does not."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from dataset_conversion.files.images.endings import MEDICAL_ENDINGS, VOLUME_ENDINGS
from dataset_conversion.files.images.image_io import printable
from dataset_conversion.files.texts.patterns import limited_time
from dataset_conversion.files.tree import files_below
from dataset_conversion.raw.layout import LabelFiles, Layout
from dataset_conversion.sequences import channels_of


@dataclass(frozen=True)
class Found:
    """A file of the source that the layout knows. sequence: None for a label."""

    file: Path
    patient: str
    time: str
    sequence: str | None
    label: LabelFiles | None
    preference: int
    """The place among the patterns of the sequence, or of all kinds of labels: the lower one is taken."""


@dataclass(frozen=True)
class Unused:
    """An image of the source that is not used. known: what the layout takes it for, if its ending alone is wrong."""

    file: Path
    why: str
    known: Found | None = None


@dataclass(frozen=True)
class Listing:
    """The images below a source: those that the layout knows, and the others. lost: links to nowhere that may have been
    folders. left_out: links to folders that have been looked into."""

    found: Sequence[Found]
    unused: Sequence[Unused]
    lost: Sequence[Path] = ()
    left_out: Sequence[Path] = ()


def find_files(source: Path, layout: Layout) -> Listing:
    """Every image below the source in order of their paths, links followed; hidden ones are passed over."""
    found, unused, lost = [], [], []
    files, left_out = files_below(source)
    for file in sorted(files):
        path = file.relative_to(source).as_posix()
        ending = next((e for e in MEDICAL_ENDINGS if path.lower().endswith(e)), None)
        if ending is None:
            # P01 or 1.2.840 may be a folder, README.md is none
            if not file.exists() and re.fullmatch(r"(\.\d+)?", file.suffix):
                lost.append(file)
            continue
        with limited_time():
            known = _identify(path[: -len(ending)], file, layout)
        if known is None:
            unused.append(Unused(file, "its name is none that the layout knows"))
        elif ending in VOLUME_ENDINGS:
            found.append(known)
        else:
            remedy = "it with seqdropout dicom" if ending in (".dcm", ".ima") else f"it to {VOLUME_ENDINGS[0]}"
            unused.append(Unused(file, f"{ending} is not read: convert {remedy}", known))
    named = {*different(each.file for each in unused)}
    return Listing(found, [each for each in unused if each.file in named], lost, left_out)


def different(files: Iterable[Path]) -> list[Path]:
    """The first path of each file, where links lead to one by several."""
    return list({file.resolve(): file for file in reversed([*files])}.values())[::-1]


def _identify(stem: str, file: Path, layout: Layout) -> Found | None:
    of_labels = [(label, pattern) for label in layout.label for pattern in label.patterns]
    for preference, (label, pattern) in enumerate(of_labels):
        if match := pattern.expression.fullmatch(stem):
            return Found(file, *_who(match), sequence=None, label=label, preference=preference)
    for sequence, patterns in layout.images.items():
        for preference, pattern in enumerate(patterns):
            match = pattern.expression.fullmatch(stem)
            if match is None:
                continue
            named = match.groupdict().get("sequence")
            if named is None or channels_of(named, layout.channels) == [layout.channels.index(sequence)]:
                return Found(file, *_who(match), sequence=sequence, label=None, preference=preference)
    return None


def _who(match: re.Match) -> tuple[str, str]:
    """Patient and time point, spelled one way: a disk may keep u and its dots as two letters."""
    names = match.groupdict()
    patient, time = (normalize("NFC", printable(names.get(name) or "")) for name in ("patient", "time"))
    return patient, time
