"""Checks every case of an nnU-Net raw data set or of an image folder, and the data set as a whole."""

import pickle
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dataset_conversion.checks.case import CaseCheck, check_case
from dataset_conversion.checks.remarks import Remark
from dataset_conversion.checks.splits import Splits, read_splits
from dataset_conversion.faults import DEAD_LINK, LINK_REMEDY, Fault
from dataset_conversion.files.images.endings import IMAGE_ENDINGS
from dataset_conversion.files.texts.dataset_json import Description, read_description
from dataset_conversion.outcomes import map_cases
from dataset_conversion.plurals import all_are, n_of
from dataset_conversion.raw.availability import nowhere_note
from dataset_conversion.raw.cases import find_cases
from dataset_conversion.raw.sources.persons import names_note
from dataset_conversion.raw.splits import folds_note
from dataset_conversion.sequences import Pattern


@dataclass(frozen=True)
class FolderCheck:
    """Findings on every case; ``faults``: on the whole data set; ``splits``: the split of each case, if known;
    ``on_the_whole``: notes on the whole data set that do not follow from its cases."""

    cases: Mapping[str, CaseCheck]
    splits: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[Remark, ...] = ()
    on_the_whole: tuple[Remark, ...] = ()

    @property
    def availability(self) -> dict[str, Counter[str]]:
        """Pattern -> how many cases of each split have it (split ``""`` if unknown).

        The most frequent pattern comes first, then the one with more sequences; ``""`` is that of no usable sequence.
        """
        table: dict[str, Counter[str]] = defaultdict(Counter)
        for case, check in self.cases.items():
            table[check.pattern][self.splits.get(case, "")] += 1

        def place(pattern: str) -> tuple[int, bool, int]:
            return -sum(table[pattern].values()), pattern == "", -len(Pattern.parse(pattern))

        return {pattern: table[pattern] for pattern in sorted(table, key=place)}

    @property
    def notes(self) -> tuple[Remark, ...]:
        """What is odd about the whole, though every case is sound by itself."""
        orders = Counter(check.storage_order for check in self.cases.values() if check.storage_order)
        if len(orders) < 2:
            return self.on_the_whole
        counts = ", ".join(f"{n} as {order}" for order, n in orders.most_common())
        remedy = "Convert the data set again: nnU-Net does not reorder axes: it would see heads lie in several ways."
        return (Remark(f"the cases are stored in different orders of axes ({counts})", remedy), *self.on_the_whole)


@dataclass(frozen=True)
class _Task:
    """A case to be checked: its files, and what their names alone have shown to be wrong."""

    files: Mapping[int, Path] = field(default_factory=dict)
    faults: tuple[Remark, ...] = ()
    label: Path | None = None
    complete: bool = False

    def with_fault(self, problem: str, remedy: str) -> "_Task":
        return replace(self, faults=(*self.faults, Remark(problem, remedy)))

    def run(self, description: Description, *, trust_geometry: bool) -> CaseCheck:
        if not self.files:
            return CaseCheck(faults=self.faults)
        check = check_case(
            self.files,
            channel_names=description.channel_names,
            label=self.label,
            label_values=description.label_values,
            complete=self.complete,
            trust_geometry=trust_geometry,
        )
        return replace(check, faults=(*self.faults, *check.faults))


def check_folder(
    folder: Path,
    *,
    channel_names: Sequence[str],
    file_ending: str,
    trust_geometry: bool = False,
    n_workers: int | None = 1,
) -> FolderCheck:
    """Checks a folder of ``<case>_XXXX`` images, some absent. Raises Fault where it has none."""
    description = Description(tuple(channel_names), file_ending)
    tasks = _image_tasks(folder, description)
    cases = _run(tasks, description, trust_geometry=trust_geometry, n_workers=n_workers)
    return FolderCheck(cases, on_the_whole=tuple(_on_names(cases)))


def is_raw_dataset(folder: Path) -> bool:
    """Whether it has images in nnU-Net's folders, or a ``dataset.json`` that says where they are."""
    if not (file := folder / "dataset.json").is_file():
        return False
    has_images = any((folder / f"images{subset}").is_dir() for subset in ("Tr", "Ts"))
    return has_images or bool(read_description(file, required=()).listed)


def check_dataset(folder: Path, *, trust_geometry: bool = False, n_workers: int | None = 1) -> FolderCheck:
    """Checks a raw data set of nnU-Net: its cases, its labels, and that no patient is in two splits.

    A case that is in imagesTr and in imagesTs stands twice, the second time as ``<case> (imagesTs)``. Raises Fault
    where nothing can be checked: there is no image, or a JSON file of the data set is broken.
    """
    description = read_description(folder / "dataset.json", required=("channel_names", "file_ending", "labels"))
    training = _listed_tasks(folder, description) or _subset_tasks(folder, "Tr", description)
    test = _subset_tasks(folder, "Ts", description)
    ids = [[case for case, task in tasks.items() if task.files] for tasks in (training, test)]
    if not any(ids):
        searched = f"{folder}/imagesTr/<case>_XXXX{description.file_ending}"
        raise Fault(f"no file {searched}", remedy="Give the folder of an nnU-Net raw data set.")
    splits = read_splits(folder, training=ids[0], test=ids[1])
    for case, remark in splits.faults():
        tasks = test if case in test and case not in training else training
        tasks[case] = tasks.get(case, _Task()).with_fault(remark.problem, remark.remedy)
    apart = {f"{case} (imagesTs)" if case in training else case: task for case, task in test.items()}
    cases = _run({**training, **apart}, description, trust_geometry=trust_geometry, n_workers=n_workers)
    cases = _with_same_images(cases, splits, [*ids[0], *(case for case in ids[1] if case not in ids[0])])
    split_of = {**{case: splits.of(case) for case in training}, **dict.fromkeys(apart, "test")}
    faults = _faults_of_the_whole(folder, description, [cases[case] for case in ids[0]])
    folds = folds_note(len(ids[0]), splits.declared)
    nowhere = nowhere_note(description.channel_names, [Pattern.parse(cases[case].pattern) for case in ids[0]])
    notes = [*(Remark(*note) for note in (folds, nowhere) if note), *_on_names({*ids[0], *ids[1]})]
    return FolderCheck(cases, split_of, tuple(faults), tuple(notes))


def _with_same_images(cases: Mapping[str, CaseCheck], splits: Splits, ids: Sequence[str]) -> dict[str, CaseCheck]:
    """The cases with a fault for each image that is another's in another split, and a note within one."""
    checked = dict(cases)
    for case, remark, is_fault in splits.same_images({case: cases[case].contents for case in ids}):
        check = checked[case]
        if is_fault:
            checked[case] = replace(check, faults=(*check.faults, remark))
        else:
            checked[case] = replace(check, notes=(*check.notes, remark))
    return checked


def _on_names(cases: Collection[str]) -> list[Remark]:
    note = names_note(cases)
    return [Remark(*note)] if note else []


def _faults_of_the_whole(folder: Path, description: Description, training: Sequence[CaseCheck]) -> list[Remark]:
    faults = []
    if description.n_training not in (None, len(training)):
        n_cases = n_of(len(training), "case")
        problem = f"{folder / 'dataset.json'}: numTraining is {description.n_training}, imagesTr has {n_cases}"
        faults.append(Remark(problem, "Correct numTraining: nnU-Net stops otherwise."))
    labelled = [check.labelled_voxels for check in training if check.labelled_voxels is not None]
    if labelled and not any(labelled):
        problem = f"{folder / 'labelsTr'}: {all_are(len(labelled), 'label')} empty"
        faults.append(Remark(problem, "Do not plan or train; check that the right files were converted."))
    return faults


def _image_tasks(folder: Path, description: Description) -> dict[str, _Task]:
    found = find_cases(folder, channel_names=description.channel_names, file_ending=description.file_ending)
    return {
        case: _Task(files.by_channel, tuple(Remark.of(fault) for fault in files.faults))
        for case, files in found.items()
    }


def _listed_tasks(folder: Path, description: Description) -> dict[str, _Task]:
    """The training cases whose files ``dataset.json`` names one by one; empty where it names none."""
    return {
        case: _Task({i: folder / image for i, image in enumerate(images)}, label=folder / label, complete=True)
        for case, (images, label) in description.listed.items()
    }


def _subset_tasks(folder: Path, subset: str, description: Description) -> dict[str, _Task]:
    """The cases of imagesTr or imagesTs with their labels; a label without an image is a case without files."""
    images, labels, ending = folder / f"images{subset}", folder / f"labels{subset}", description.file_ending
    tasks = _image_tasks(images, description) if images.is_dir() and any(images.iterdir()) else {}
    for case, task in tasks.items():
        label = labels / f"{case}{ending}"
        tasks[case] = replace(task, label=label if label.is_file() else None, complete=subset == "Tr")
        if task.files and subset == "Tr" and not label.is_file() and not label.is_symlink():
            remedy = "Add it, or move the case to imagesTs."
            tasks[case] = tasks[case].with_fault(f"there is no label {label}", remedy)
    for file in sorted(labels.iterdir()) if labels.is_dir() else ():
        stem = next((file.name[: -len(e)] for e in (ending, *IMAGE_ENDINGS) if file.name.lower().endswith(e)), None)
        if stem is None or file.name.startswith(".") or (stem in tasks and tasks[stem].label == file):
            continue
        if not file.exists():
            tasks[stem] = tasks.get(stem, _Task()).with_fault(f"{file}: {DEAD_LINK}", LINK_REMEDY)
            continue
        remedy = f"Name it <case>{ending} after a case of {images.name}, or remove it."
        tasks[stem] = tasks.get(stem, _Task()).with_fault(f"{file}: a label without images", remedy)
    return tasks


def _run(
    tasks: Mapping[str, _Task], description: Description, *, trust_geometry: bool, n_workers: int | None
) -> dict[str, CaseCheck]:
    # each case that goes to another process takes all tasks along; as bytes, only its own is unpacked there
    packed = {case: pickle.dumps(task) for case, task in tasks.items()}

    def run(case: str) -> CaseCheck:
        return pickle.loads(packed[case]).run(description, trust_geometry=trust_geometry)

    outcomes, checks = map_cases(tasks, run, doing="Checking", n_workers=n_workers)
    return {
        case: checks[case] if case in checks else CaseCheck(faults=(Remark(outcome.problem, outcome.remedy),))
        for case, outcome in outcomes.items()
    }
