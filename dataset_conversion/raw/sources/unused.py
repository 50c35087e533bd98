"""Says of every image that is not used whose it is, and of every folder of which no image is used that it is none."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from dataset_conversion.faults import Fault, listed
from dataset_conversion.files.images.image_io import printable
from dataset_conversion.raw.sources.listing import Unused

NOT_PATIENTS = ("derivatives", "sourcedata", "code", "phenotype")
"""Folders of BIDS beside the patients'."""

Files = Mapping[str, tuple[str, Sequence[Path]]]
"""Case -> the patient and the files that are used of it."""


def sort_unused(
    unused: Sequence[Unused], files: Files, source: Path
) -> tuple[dict[str, list[str]], list[str], dict[str, Fault]]:
    """Sentences by case; sentences about what is nobody's; and what is wrong with a folder of which no image is used,
    by its name."""
    nobodys: list[str] = []
    said: dict[str, list[str]] = defaultdict(list)
    strangers: dict[str, list[str]] = defaultdict(list)
    owners = _owners(files, source)
    for each in unused:
        path, sentence = each.file.relative_to(source), printable(f"{each.file} is not used: {each.why}")
        name = printable("_".join(path.parts[:-1]) or path.name)
        case = next((owners[folder] for folder in path.parents if folder in owners), name)
        if case in files and not _is_of_another_time(each, files[case][0], files):
            said[case].append(sentence)
        elif each.known is None and (len(path.parts) == 1 or path.parts[0] in NOT_PATIENTS):
            nobodys.append(sentence)
        else:
            strangers[_case_id(each) if case in files else name].append(f"{path.name} ({each.why})")
    return said, nobodys, {name: _none_used(name, names) for name, names in strangers.items()}


def _is_of_another_time(unused: Unused, person: str, files: Files) -> bool:
    """Whether it would be an image of a time point of this person of which nothing is used."""
    known = unused.known
    return known is not None and known.time != "" and known.patient == person and _case_id(unused) not in files


def _case_id(unused: Unused) -> str:
    return "" if unused.known is None else f"{unused.known.patient}_{unused.known.time}"


def _none_used(name: str, files: Sequence[str]) -> Fault:
    remedy = "Rename them as the layout says (docs/layouts.md), move them out of the folder, or use another layout."
    return Fault(f"none of the images of {name} is used: {listed(files)}", remedy=remedy)


def _owners(files: Files, source: Path) -> dict[Path, str]:
    """Folders below the source -> whose they are: images of one case alone lie there, or its patient is their name."""
    cases_below: dict[Path, set[str]] = defaultdict(set)
    own: set[Path] = set()
    for case, (person, used) in files.items():
        for file in used:
            *folders, _ = file.relative_to(source).parents
            own.update(folders[:1], (each for each in folders if person.casefold() in each.name.casefold()))
            for folder in folders:
                cases_below[folder].add(case)
    return {folder: next(iter(cases)) for folder, cases in cases_below.items() if folder in own and len(cases) == 1}
