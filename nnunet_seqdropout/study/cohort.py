"""Reads the raw data set of a study: the sequences of each case, labels and folds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_conversion.checks.splits import read_splits
from dataset_conversion.faults import Fault
from dataset_conversion.files.images.image_io import read_image
from dataset_conversion.files.images.label_values import label_array
from dataset_conversion.files.names import require_name
from dataset_conversion.files.texts.dataset_json import Description, Labels, read_description
from dataset_conversion.files.texts.manifest_json import CaseEntry, FoldCases, pattern_of, read_manifest_if_there
from dataset_conversion.raw.splits import N_FOLDS
from dataset_conversion.sequences import Pattern, require_channel


@dataclass(frozen=True)
class Cohort:
    """A raw data set of nnU-Net. present: case -> its sequences. labels: as in ``dataset.json``, with regions. splits:
    those declared, or nnU-Net's five.

    training, test_cases: the cases that have a label in labelsTr, in labelsTs.
    """

    folder: Path
    channel_names: tuple[str, ...]
    file_ending: str
    present: Mapping[str, tuple[str, ...]]
    labels: Labels
    training: tuple[str, ...]
    test_cases: tuple[str, ...]
    splits: Sequence[FoldCases]

    @property
    def synthetic(self) -> bool:
        return read_manifest_if_there(self.folder)["settings"].get("synthetic", False)

    def named(self, sequences: Sequence[str]) -> tuple[str, ...]:
        """The channels that these names, aliases or numbers mean. Raises Fault for an unknown or ambiguous one."""
        return tuple(self.channel_names[require_channel(name, self.channel_names)] for name in sequences)

    def available(self, cases: Sequence[str], without: Sequence[str] = ()) -> tuple[str, ...]:
        """The sequences that all these cases have, less some. Raises Fault where there is none."""
        taken = self.named(without)
        in_all = [n for n in self.channel_names if n not in taken and all(n in self.present[case] for case in cases)]
        if not cases or not in_all:
            remedy = "List their sequences with seqdropout check, and choose other patients for imagesTs and labelsTs."
            raise Fault("there is no sequence that all test patients have", file=self.folder, remedy=remedy)
        return tuple(in_all)

    def require_target(self, labels: Collection[int]) -> None:
        """Raises Fault where a model of the data set has no probability of them: unknown labels, undeclared regions."""
        try:
            Description(self.channel_names, self.file_ending, self.labels).require_predicted(labels)
        except Fault as fault:
            raise Fault(f"targets: {fault.problem}", file=self.folder, remedy=fault.remedy) from fault

    def has(self, labels: Sequence[int], case: str) -> bool:
        """Whether a training patient has a voxel of any of these labels. Raises Fault where it cannot be read."""
        image = read_image(self.folder / "labelsTr" / f"{case}{self.file_ending}")
        return bool(np.isin(label_array(image), labels).any())

    def validation_cases(self, folds: Sequence[int]) -> tuple[str, ...]:
        """Raises Fault where a fold is not declared."""
        if unknown := [str(fold) for fold in folds if fold >= len(self.splits)]:
            remedy = f"Choose folds from 0 to {len(self.splits) - 1}."
            raise Fault(f"there is no fold {', '.join(unknown)}", file=self.folder / "splits_final.json", remedy=remedy)
        return tuple(case for fold in folds for case in self.splits[fold]["val"])


def read_cohort(folder: Path, *, n_workers: int | None = 1) -> Cohort:
    """Which sequences a case has, the manifest tells; without one, all images are read.

    Raises Fault where the folder is no raw data set, has a fault, or a fold names a case that is not there.
    """
    if not (folder / "dataset.json").is_file():
        raise Fault("not a raw data set", file=folder, remedy="Give one that seqdropout convert wrote, with -d or -i.")
    description = read_description(folder / "dataset.json", required=("channel_names", "file_ending", "labels"))
    names = description.channel_names
    training = _cases(folder, "Tr", description.file_ending)
    manifest = read_manifest_if_there(folder)["patients"]
    present = {case: _present(manifest[case], names) for case in manifest}
    test = _cases(folder, "Ts", description.file_ending)
    if not {*training, *test} <= present.keys():
        present = _read_presence(folder, n_workers)
    declared = read_splits(folder, training=training, test=test)
    for case, remark in declared.faults():
        raise Fault(f"{case}: {remark.problem}", file=folder, remedy=remark.remedy)
    splits = declared.declared or _splits_of_nnunet(folder, training)
    return Cohort(folder, names, description.file_ending, present, description.labels, training, test, splits)


def _cases(folder: Path, subset: str, ending: str) -> tuple[str, ...]:
    """Those with a label; hidden files are other programs' notes. Raises Fault where one has no usable id."""
    labels = sorted(file for file in (folder / f"labels{subset}").glob(f"*{ending}") if not file.name.startswith("."))
    return tuple(require_name(file.name.removesuffix(ending), what="the case", file=file) for file in labels)


def _present(entry: CaseEntry, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in pattern_of(entry))


def _read_presence(folder: Path, n_workers: int | None) -> dict[str, tuple[str, ...]]:
    from dataset_conversion.checks.folder import check_dataset

    found = check_dataset(folder, n_workers=n_workers)
    faults = [f"{case}: {fault}" for case, check in found.cases.items() for fault in check.faults]
    if faults or found.faults:
        first = [*map(str, found.faults), *faults][0]
        raise Fault(f"the data set has faults; the first: {first}", file=folder, remedy="Run: seqdropout check -i DIR")
    return {case: Pattern.parse(check.pattern).names for case, check in found.cases.items()}


def _splits_of_nnunet(folder: Path, training: Sequence[str]) -> list[FoldCases]:
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    if len(training) < N_FOLDS:
        remedy = "Declare validation patients with convert --val."
        raise Fault(f"too few training patients for five folds: {len(training)}", file=folder, remedy=remedy)
    return generate_crossval_split(list(training), seed=12345, n_splits=N_FOLDS)
