"""The patients that a layout finds below a folder: which file is which sequence, and to which split each belongs."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dataset_conversion.faults import Fault
from dataset_conversion.layouts import Found, LabelFiles, Layout, find_files

Split = Literal["train", "val", "test"]
TRUTH = "truth.json"
"""Lies beside the images of a synthetic patient."""


@dataclass(frozen=True)
class Patient:
    """What was found of one case: a file per sequence that is there, and the files of its label, none if it has none.

    person: whose case it is, where one patient has several time points.
    """

    person: str
    split: Split
    images: Mapping[str, Path]
    label: tuple[Path, ...] = ()
    label_mapping: Mapping[int, int] | None = None

    @property
    def is_synthetic(self) -> bool:
        return any((file.parent / TRUTH).is_file() for file in self.images.values())


def find_patients(
    source: Path, layout: Layout, *, val: Collection[str] = (), test: Collection[str] = ()
) -> dict[str, Patient]:
    """All cases below ``source`` by id: the patient's, with ``_`` and the time point where there are several.

    ``val`` and ``test`` name patients or cases, before what the layout says of the split. Raises Fault where there is
    nobody, they name somebody who is not there, two files are one image, or a patient would be split.
    """
    by_case: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for found in find_files(source, layout):
        by_case[found.patient, found.time].append(found)
    by_case = {who: files for who, files in by_case.items() if any(f.sequence for f in files)}
    if not by_case:
        patterns = ", ".join(sorted({p.pattern for patterns in layout.images.values() for p in patterns}))
        raise Fault(f"no image below {source} fits {patterns}", remedy="Name the folder above, or another layout.")
    times: dict[str, set[str]] = defaultdict(set)
    for person, time in by_case:
        times[person].add(time)
    ids = {who: f"{who[0]}_{who[1]}" if len(times[who[0]]) > 1 else who[0] for who in by_case}
    if strangers := {*val, *test} - {*times, *ids.values()}:
        raise Fault(f"no such patient: {', '.join(sorted(strangers))}", remedy=f"There are: {', '.join(sorted(times))}")
    patients = {}
    for (person, time), files in sorted(by_case.items()):
        case = ids[person, time]
        images, (label, mapping) = _images(case, files), _label(case, files)
        split = _split(source, layout, {person, case}, images, has_label=bool(label), val=val, test=test)
        patients[case] = Patient(person, split, images, label, mapping)
    _require_whole_persons(patients)
    return patients


def _images(case: str, files: Sequence[Found]) -> dict[str, Path]:
    images = {}
    for sequence in dict.fromkeys(found.sequence for found in files if found.sequence):
        candidates = [found for found in files if found.sequence == sequence]
        best = min(found.preference for found in candidates)
        images[sequence] = _only([f.file for f in candidates if f.preference == best], f"the {sequence} of {case}")
    return images


def _label(case: str, files: Sequence[Found]) -> tuple[tuple[Path, ...], Mapping[int, int] | None]:
    kinds: dict[int, LabelFiles] = {id(found.label): found.label for found in files if found.label is not None}
    if not kinds:
        return (), None
    labels = [found for found in files if found.label is not None]
    kind = next(iter(kinds.values()))
    if kind.unite and len(kinds) == 1:
        return tuple(found.file for found in labels), kind.mapping
    best = min(found.preference for found in labels)
    return (_only([f.file for f in labels if f.preference == best], f"the label of {case}"),), kind.mapping


def _only(files: Sequence[Path], what: str) -> Path:
    if len(files) > 1:
        raise Fault(f"{files[0]} and {files[1]} are both {what}", remedy="Keep one of them below the folder.")
    return files[0]


def _split(
    source: Path,
    layout: Layout,
    names: set[str],
    images: Mapping[str, Path],
    *,
    has_label: bool,
    val: Collection[str],
    test: Collection[str],
) -> Split:
    folders = {part for file in images.values() for part in file.relative_to(source).parts[:-1]}
    said = next((split for folder, split in layout.split_of_folder.items() if folder in folders), None)
    if names & set(val):
        said = "val"
    elif names & set(test):
        said = "test"
    elif said is None:
        said = layout.default_split if has_label or layout.unlabelled_split is None else layout.unlabelled_split
    return said  # type: ignore[return-value]


def _require_whole_persons(patients: Mapping[str, Patient]) -> None:
    splits: dict[str, dict[str, str]] = defaultdict(dict)
    for case, patient in patients.items():
        splits[patient.person][case] = patient.split
    for person, of_case in splits.items():
        if len(set(of_case.values())) > 1:
            said = ", ".join(f"{case} ({split})" for case, split in of_case.items())
            remedy = "A patient belongs to one split: name the patient under --val or --test."
            raise Fault(f"time points of {person} are in different splits: {said}", remedy=remedy)
