"""The data sets of a study: one for each choice of sequences, made of links to one converted data set."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.dataset_json import label_values, read_description, read_json, regions
from dataset_conversion.faults import Fault
from dataset_conversion.images import read_image
from dataset_conversion.outcomes import write_json
from dataset_conversion.preflight_splits import read_splits
from dataset_conversion.sequences import channel_of
from dataset_conversion.splits import N_FOLDS


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
    labels: Mapping[str, int | list[int]]
    training: tuple[str, ...]
    test_cases: tuple[str, ...]
    splits: Sequence[Mapping[str, Sequence[str]]]

    @property
    def synthetic(self) -> bool:
        return bool(self.manifest.get("settings", {}).get("synthetic"))

    @cached_property
    def manifest(self) -> dict:
        return read_json(self.folder / "manifest.json", dict)

    def named(self, sequences: Sequence[str]) -> tuple[str, ...]:
        """The channels that these names or aliases mean. Raises Fault for an unknown one."""
        channels = [channel_of(name, self.channel_names) for name in sequences]
        if None in channels:
            known = ", ".join(self.channel_names)
            raise Fault(f"unknown sequence among {', '.join(sequences)}", remedy=f"The data set has {known}.")
        return tuple(self.channel_names[channel] for channel in channels if channel is not None)

    def available(self, cases: Sequence[str], without: Sequence[str] = ()) -> tuple[str, ...]:
        """The sequences that all these cases have, less some. Raises Fault where there is none."""
        taken = self.named(without)
        in_all = [n for n in self.channel_names if n not in taken and all(n in self.present[case] for case in cases)]
        if not cases or not in_all:
            remedy = "See what they have with seqdropout check, and put others into imagesTs and labelsTs."
            raise Fault("there is no sequence that all test patients have", file=self.folder, remedy=remedy)
        return tuple(in_all)

    def require_target(self, labels: Collection[int]) -> None:
        """Raises Fault where a model of the data set has no probability of them: unknown labels, undeclared regions."""
        declared = {name: value for name, value in self.labels.items() if name not in ("background", "ignore")}
        declared_regions = regions(declared)
        possible = {*labels} in declared_regions if declared_regions else {*labels} <= label_values(declared)
        if not labels or not possible:
            shown = ", ".join(f"{name} ({value})" for name, value in declared.items())
            problem = f"targets: no label or region {', '.join(map(str, labels))}"
            raise Fault(problem, file=self.folder, remedy=f"The data set has {shown}.")

    def has(self, labels: Sequence[int], case: str) -> bool:
        """Whether a training patient has a voxel of any of these labels. Raises Fault where it cannot be read."""
        image = read_image(self.folder / "labelsTr" / f"{case}{self.file_ending}")
        return bool(np.isin(sitk.GetArrayViewFromImage(image), labels).any())

    def validation_cases(self, folds: Sequence[int]) -> tuple[str, ...]:
        """Raises Fault where a fold is not declared."""
        if unknown := [str(fold) for fold in folds if fold >= len(self.splits)]:
            remedy = f"Choose folds from 0 to {len(self.splits) - 1}."
            raise Fault(f"no fold {', '.join(unknown)}", file=self.folder / "splits_final.json", remedy=remedy)
        return tuple(case for fold in folds for case in self.splits[fold]["val"])


def read_cohort(folder: Path, *, n_workers: int | None = 1) -> Cohort:
    """Which sequences a case has, the manifest tells; without one, all images are read.

    Raises Fault where the folder is no raw data set, has a fault, or a fold names a case that is not there.
    """
    if not (folder / "dataset.json").is_file():
        raise Fault("no raw data set", file=folder, remedy="Name one that seqdropout convert wrote, with -d or -i.")
    description = read_description(folder / "dataset.json")
    names = tuple(description.channel_names)
    training = _cases(folder, "Tr", description.file_ending)
    manifest = read_json(folder / "manifest.json", dict).get("patients", {})
    present = {case: _present(manifest[case], names) for case in manifest}
    test = _cases(folder, "Ts", description.file_ending)
    if not {*training, *test} <= present.keys():
        present = _read_presence(folder, n_workers)
    declared = read_splits(folder, training=training, test=test)
    for case, remark in declared.faults():
        raise Fault(f"{case}: {remark.problem}", file=folder, remedy=remark.remedy)
    splits = declared.declared or _splits_of_nnunet(folder, training)
    labels = read_json(folder / "dataset.json", dict)["labels"]
    return Cohort(folder, names, description.file_ending, present, labels, training, test, splits)


def _cases(folder: Path, subset: str, ending: str) -> tuple[str, ...]:
    return tuple(sorted(file.name.removesuffix(ending) for file in (folder / f"labels{subset}").glob(f"*{ending}")))


def _present(entry: Mapping, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if entry["sequences"].get(name, {}).get("present"))


def _read_presence(folder: Path, n_workers: int | None) -> dict[str, tuple[str, ...]]:
    from dataset_conversion.preflight_folder import check_dataset

    found = check_dataset(folder, n_workers=n_workers)
    faults = [f"{case}: {fault}" for case, check in found.cases.items() for fault in check.faults]
    if faults or found.faults:
        first = [*map(str, found.faults), *faults][0]
        raise Fault(f"the data set has faults; the first: {first}", file=folder, remedy="Run: seqdropout check -i DIR")
    return {case: tuple(check.pattern.split("+")) for case, check in found.cases.items()}


def _splits_of_nnunet(folder: Path, training: Sequence[str]) -> list[dict]:
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    if len(training) < N_FOLDS:
        remedy = "Name validation patients with convert --val."
        raise Fault(f"{len(training)} training patients are too few for five folds", file=folder, remedy=remedy)
    return generate_crossval_split(list(training), seed=12345, n_splits=N_FOLDS)


def link_dataset(cohort: Cohort, sequences: Sequence[str], folder: Path) -> None:
    """A raw data set of the training patients with these sequences; those who have none of them are left out."""
    cases = [case for case in cohort.training if set(cohort.present[case]) & set(sequences)]
    link_images(cohort, cases, sequences, folder / "imagesTr", subset="Tr")
    link_labels(cohort, cases, folder / "labelsTr", subset="Tr")
    description = json.loads((cohort.folder / "dataset.json").read_text(encoding="utf-8"))
    channels = {str(channel): name for channel, name in enumerate(sequences)}
    write_if_new(folder / "dataset.json", {**description, "channel_names": channels, "numTraining": len(cases)})
    splits = [{part: [c for c in split[part] if c in cases] for part in ("train", "val")} for split in cohort.splits]
    write_if_new(folder / "splits_final.json", splits)


def link_images(cohort: Cohort, cases: Sequence[str], sequences: Sequence[str], folder: Path, *, subset: str) -> None:
    """``<case>_XXXX`` links to the images of these sequences, numbered anew in their order."""
    links = {}
    for new, name in enumerate(sequences):
        old = cohort.channel_names.index(name)
        for case in cases:
            source = cohort.folder / f"images{subset}" / f"{case}_{old:04d}{cohort.file_ending}"
            if source.is_file():
                links[f"{case}_{new:04d}{cohort.file_ending}"] = source
    sync_links(folder, links)


def link_labels(cohort: Cohort, cases: Sequence[str], folder: Path, *, subset: str) -> None:
    names = [f"{case}{cohort.file_ending}" for case in cases]
    sync_links(folder, {name: cohort.folder / f"labels{subset}" / name for name in names})


def sync_links(folder: Path, wanted: Mapping[str, Path]) -> None:
    """The folder holds these links and nothing else; those that are right stay. Raises Fault where none can be made."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.name not in wanted or file.resolve() != wanted[file.name].resolve():
            file.unlink()
    for name, source in wanted.items():
        link = folder / name
        if not link.exists():
            try:
                link.symlink_to(source.resolve())
            except OSError as error:
                remedy = "Name a folder on a file system with symbolic links with -o."
                raise Fault(f"no link to {source} ({error})", file=link, remedy=remedy) from error


def write_if_new(file: Path, content: dict | list) -> None:
    if not file.is_file() or json.loads(file.read_text(encoding="utf-8")) != content:
        write_json(file, content)
