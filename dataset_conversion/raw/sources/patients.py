"""Finds the patients below a folder by a layout, with their files per sequence and their split."""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

from dataset_conversion.faults import Fault, listed
from dataset_conversion.files.images.image_io import printable
from dataset_conversion.plurals import n_of
from dataset_conversion.raw.layout import Layout
from dataset_conversion.raw.sources.choice import chosen_images, chosen_label, dead_link, hidden_sequences, not_chosen
from dataset_conversion.raw.sources.listing import Found, Listing, Unused, find_files
from dataset_conversion.raw.sources.patient import Patient, Split
from dataset_conversion.raw.sources.persons import person_of
from dataset_conversion.raw.sources.unused import sort_unused

log = logging.getLogger(__name__)


def find_patients(
    source: Path, layout: Layout, *, val: Collection[str] = (), test: Collection[str] = (), secret: bool = False
) -> dict[str, Patient]:
    """All cases below ``source`` by id: the patient's, with ``_`` and the time point where the layout has time points.

    ``val`` and ``test`` name patients or cases, before what the layout says of the split. A case of which two files are
    one image has a ``fault``. What is not used is logged; in numbers, where names are ``secret``. Raises Fault where
    there is nobody, ``val`` or ``test`` name somebody who is not there, two cases have one id, or the time points of a
    patient would come into different splits.
    """
    if not source.is_dir():
        raise Fault(f"{source} is not a folder", remedy="Give the folder above the patients.")
    listing = find_files(source, layout)
    by_case: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for found in listing.found:
        by_case[found.patient, found.time].append(found)
    alone = [found.file for files in by_case.values() if not any(f.sequence for f in files) for found in files]
    unused = [*listing.unused, *(Unused(file, "a label without images") for file in alone)]
    by_case = {who: files for who, files in by_case.items() if any(f.sequence for f in files)}
    if not by_case:
        raise _nothing_found(source, layout, unused)
    val, test = ({normalize("NFC", name) for name in names} for names in (val, test))
    ids = {who: "_".join(filter(None, who)) for who in by_case}
    _require_different(ids)
    person_of_case = {who: who[0] if who[1] else person_of(who[0]) for who in by_case}
    persons = {*person_of_case.values()}
    if strangers := {*val, *test} - {*persons, *ids.values()}:
        remedy = f"Choose among {', '.join(sorted(persons))}."
        raise Fault(f"no such patient: {', '.join(sorted(strangers))}", remedy=remedy)
    unread = _by_case(unused)
    patients = {}
    for who, files in sorted(by_case.items()):
        person, case = person_of_case[who], ids[who]
        if {person, case} & val and {person, case} & test:
            raise Fault(
                f"{case} is listed under --val and --test", remedy="A patient belongs to one split: list it once."
            )
        fault = None
        try:
            images, (label, mapping) = chosen_images(case, files), chosen_label(case, files)
        except Fault as found:
            images, (label, mapping), fault = {}, ((), None), found
        below = _splits_of_folders(layout, [found.file.relative_to(source) for found in files])
        has_label = any(found.label for found in (*files, *unread[who]))
        split = _split(layout, {person, case}, below, has_label=has_label, val=val, test=test)
        if len(below) > 1 and not {person, case} & {*val, *test}:
            problem = f"its files lie below folders of different splits: {', '.join(below)}"
            fault = fault or Fault(problem, remedy="A patient belongs to one split: list it under --val or --test.")
        hidden = hidden_sequences(files, unread[who])
        fault = fault or next(iter(hidden.values()), None)
        of_images = {name: why for name, why in hidden.items() if name is not None}
        others = not_chosen(files, images, label)
        patients[case] = Patient(person, split, images, label, mapping, fault, of_images, others)
    lost = {printable("_".join(link.relative_to(source).parts)): link for link in listing.lost}
    patients |= {name: Patient(name, "test", {}, fault=dead_link(lost[name])) for name in lost.keys() - patients.keys()}
    patients, nobodys = _with_unused(_whole_persons(patients), unused, source)
    for sentence in _in_numbers(nobodys, listing) if secret else _in_words(patients, nobodys, listing):
        log.warning("%s", sentence)
    return patients


def require_fitting(layout: Layout, patients: Mapping[str, Patient]) -> None:
    """Raises Fault where the layout's patterns of a sequence fit no file of anybody, although images are left over.

    Not of a sequence that is optional, nor of a pattern with {sequence}, which fits the files of the others; and not
    where the files of a patient with a fault are unknown.
    """
    if any(patient.fault and not patient.images for patient in patients.values()):
        return
    here = {name for patient in patients.values() for name in patient.images}
    absent = [
        name
        for name, patterns in layout.images.items()
        if name not in here
        and name not in layout.optional
        and not any("sequence" in pattern.expression.names for pattern in patterns)
    ]
    left = [each for patient in patients.values() for each in patient.unused]
    if absent and left:
        written = ", ".join(dict.fromkeys(pattern.written for name in absent for pattern in layout.images[name]))
        problem = f"no file fits {written}, as {', '.join(absent)} should be; {listed(left)}"
        remedy = f"Correct the layout; where nobody has it, write there: optional: [{', '.join(absent)}]."
        raise Fault(problem, remedy=remedy)


def _nothing_found(source: Path, layout: Layout, unused: Sequence[Unused]) -> Fault:
    """Says in words what was searched, and what is there."""
    written = dict.fromkeys(pattern.written for each in layout.images.values() for pattern in each)
    expected = " ".join(layout.about.split()) or ", ".join(written)
    there = [printable(each.file.relative_to(source).as_posix()) for each in unused]
    shown = f"There are {listed(there)}" if there else "There is no image at all"
    problem = f"no image below {source} is named as the layout says: {expected.rstrip('.')}. {shown}"
    return Fault(problem, remedy="Give the folder above the patients, or another layout.")


def _by_case(unused: Sequence[Unused]) -> dict[tuple[str, str], list[Found]]:
    """Patient and time point -> the files that would be theirs, but for a type that is not read."""
    by_case: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for each in unused:
        if each.known is not None:
            by_case[each.known.patient, each.known.time].append(each.known)
    return by_case


def _with_unused(
    patients: Mapping[str, Patient], unused: Sequence[Unused], source: Path
) -> tuple[dict[str, Patient], list[str]]:
    """The patients with what lies among their images and is not used, and a fault for each folder without any other;
    and sentences about what is nobody's."""
    files = {case: (patient.person, (*patient.images.values(), *patient.label)) for case, patient in patients.items()}
    said, nobodys, faults = sort_unused(unused, files, source)
    result = {case: replace(each, unused=(*each.unused, *said.get(case, ()))) for case, each in patients.items()}
    strangers = {name: Patient(name, "test", {}, fault=fault) for name, fault in faults.items()}
    return dict(sorted({**strangers, **result}.items())), nobodys


def _in_words(patients: Mapping[str, Patient], nobodys: Sequence[str], listing: Listing) -> Iterator[str]:
    """What is not used of the patients', of nobody's, and links that were left out."""
    for case, patient in patients.items():
        yield from (f"{case}: {sentence}" for sentence in patient.unused)
    yield from nobodys
    for link in listing.left_out:
        yield printable(f"{link} is a link to a folder that has been looked into; left out")


def _in_numbers(nobodys: Sequence[str], listing: Listing) -> Iterator[str]:
    """The same without a name; what is the patients' is said where they have their pseudonyms."""
    if nobodys:
        yield f"not used, since nobody's: {n_of(len(nobodys), 'image')} (their names: --dry-run without --key)"
    if listing.left_out:
        yield f"left out: {n_of(len(listing.left_out), 'link')} to folders that have been looked into"


def _require_different(ids: Mapping[tuple[str, str], str]) -> None:
    """Raises Fault where two cases would have one id, be it on a disk that ignores upper and lower case."""
    seen: dict[str, tuple[str, str]] = {}
    for who, case in ids.items():
        if (other := seen.setdefault(normalize("NFC", case).casefold(), who)) != who:
            problem = f"{' '.join(other)} and {' '.join(who)} would both become the case {case}"
            raise Fault(problem, remedy="Rename one of the patients.")


def _splits_of_folders(layout: Layout, files: Sequence[Path]) -> list[str]:
    """The splits that the folders above the files stand for, each once."""
    folders = layout.split_of_folder.items()
    said = (next((split for folder, split in folders if folder in file.parts[:-1]), None) for file in files)
    return list(dict.fromkeys(filter(None, said)))


def _split(
    layout: Layout,
    names: set[str],
    below: Sequence[str],
    *,
    has_label: bool,
    val: Collection[str],
    test: Collection[str],
) -> Split:
    said = next(iter(below), None)
    if names & set(val):
        said = "val"
    elif names & set(test):
        said = "test"
    elif said is None:
        said = layout.default_split if has_label or layout.unlabelled_split is None else layout.unlabelled_split
    return said  # type: ignore[return-value]


def _whole_persons(patients: Mapping[str, Patient]) -> dict[str, Patient]:
    """The patients; an unlabelled time point of a patient whose others are in another split becomes a fault."""
    splits: dict[str, dict[str, str]] = defaultdict(dict)
    for case, patient in patients.items():
        if patient.label or patient.fault:
            splits[patient.person][case] = patient.split
    for person, of_case in splits.items():
        if len(set(of_case.values())) > 1:
            said = ", ".join(f"{case} ({split})" for case, split in of_case.items())
            remedy = "A patient belongs to one split: list the patient under --val or --test."
            raise Fault(f"time points of {person} are in different splits: {said}", remedy=remedy)
    whole = {}
    for case, patient in patients.items():
        expected = next(iter(splits[patient.person].values()), patient.split)
        if patient.split != expected:
            problem = f"a time point without a label, while others of {patient.person} are in {expected}"
            patient = replace(patient, fault=Fault(problem, remedy="Add the label, or leave this time point out."))
        whole[case] = patient
    return whole
