"""The paper's two hospitals: a folder a patient, ``Mets_XXX/{bravo,t1_pre,t1_gd,flair,seg}.nii.gz``; B has no bravo."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from dataset_conversion.faults import Fault
from dataset_conversion.outcomes import Outcome
from dataset_conversion.phantom_lesions import Hospital
from dataset_conversion.raw_dataset import Patient, RawDataset, write_raw_dataset
from dataset_conversion.sequences import PAPER_CHANNELS, channel_of

LABELS = {"background": 0, "metastasis": 1}
LABEL_FILES = ("seg", "label", "mask")
TRUTH = "truth.json"
"""Lies beside the images of a synthetic patient."""


def find_patients(
    source: Path, *, hospital: Hospital, val: Collection[str] = (), channel_names: Sequence[str] = PAPER_CHANNELS
) -> dict[str, Patient]:
    """All patients below ``source``: folders with images named after their sequence.

    Hospital A trains; its patients without a label are test patients. Hospital B validates with those named in ``val``
    or lying below a folder ``val``, and tests with the others.
    Raises Fault where there is no patient, two have one name, or ``val`` names somebody who is not there.
    """
    folders: dict[str, Path] = {}
    images: dict[str, dict[str, Path]] = defaultdict(dict)
    labels: dict[str, Path] = {}
    for file in sorted([*source.rglob("*.nii.gz"), *source.rglob("*.nii")]):
        stem, folder = file.name.removesuffix(".gz").removesuffix(".nii"), file.parent
        channel = channel_of(stem, channel_names)
        if channel is None and stem not in LABEL_FILES:
            continue
        if folders.setdefault(folder.name, folder) != folder:
            remedy = "Give every patient a name of his own."
            raise Fault(f"two patients are named {folder.name}: {folders[folder.name]} and {folder}", remedy=remedy)
        if channel is None:
            labels[folder.name] = file
        elif (other := images[folder.name].setdefault(channel_names[channel], file)) != file:
            raise Fault(
                f"{other.name} and {file.name} are both {channel_names[channel]}", file=folder, remedy="Keep one."
            )
    if not images:
        searched = f"{source}/**/<patient>/{{{','.join(channel_names)}}}.nii.gz"
        raise Fault(f"no file {searched}", remedy="Name the folder above the patients' folders.")
    if strangers := set(val) - images.keys():
        raise Fault(f"no such patient: {', '.join(sorted(strangers))}", remedy=f"There are: {', '.join(images)}.")

    def split(name: str) -> Literal["train", "val", "test"]:
        if hospital == "A":
            return "train" if name in labels else "test"
        return "val" if name in val or "val" in folders[name].relative_to(source).parts else "test"

    return {name: Patient(split(name), files, labels.get(name), {0: 0, 1: 1}) for name, files in sorted(images.items())}


def convert(
    source: Path,
    folder: Path,
    *,
    hospital: Hospital,
    val: Collection[str] = (),
    sequences: Collection[str] | None = None,
) -> dict[str, Outcome]:
    """Adds the patients of one hospital to the nnU-Net raw data set ``folder``; convert A, then B into the same.

    sequences: only these channels (the paper's baseline is trained on those that Hospital B has); their files are
    linked, not copied, where the file system can. Raises Fault for a sequence that the paper does not have.
    """
    channel_names: Sequence[str] = PAPER_CHANNELS
    if sequences is not None:
        chosen = {name: channel_of(name, PAPER_CHANNELS) for name in sequences}
        if unknown := [name for name, channel in chosen.items() if channel is None]:
            raise Fault(f"unknown sequence {', '.join(unknown)}", remedy=f"Choose among {', '.join(PAPER_CHANNELS)}.")
        channel_names = tuple(name for i, name in enumerate(PAPER_CHANNELS) if i in chosen.values())
    patients = find_patients(source, hospital=hospital, val=val, channel_names=channel_names)
    synthetic = any(
        (file.parent / TRUTH).is_file() for patient in patients.values() for file in patient.images.values()
    )
    dataset = RawDataset(folder, source, channel_names, LABELS, link=sequences is not None, synthetic=synthetic)
    return write_raw_dataset(dataset, patients)
