"""The one writer of nnU-Net raw data sets: images, placeholders, labels, ``dataset.json`` and the manifest."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.images import read_image, require_same_grid, staged, write_image
from dataset_conversion.outcomes import Outcome, for_each_case, write_json, write_summary
from dataset_conversion.placeholders import placeholder, usable_images

log = logging.getLogger(__name__)

FILE_ENDING = ".nii.gz"


@dataclass(frozen=True)
class Patient:
    """What a layout found of one patient: a file per sequence that is there, and the label if there is one."""

    split: Literal["train", "val", "test"]
    images: Mapping[str, Path]
    label: Path | None
    label_mapping: Mapping[int, int]


@dataclass(frozen=True)
class RawDataset:
    """What is the same for all patients.

    labels: name -> value, consecutive, background 0, as nnU-Net has it. link: images are links to the source's files
    in place of copies. synthetic: the patients are made up, which every report says.
    """

    folder: Path
    source: Path
    channel_names: Sequence[str]
    labels: Mapping[str, int]
    link: bool = False
    synthetic: bool = False


def write_raw_dataset(dataset: RawDataset, patients: Mapping[str, Patient]) -> dict[str, Outcome]:
    """Adds the patients' files to the data set and describes the whole; a patient with a fault is left out.

    Training and validation patients go to ``imagesTr``/``labelsTr``, test patients to ``imagesTs``/``labelsTs``.
    Where there are validation patients, ``splits_final.json`` declares the one split.
    Raises Fault where the data set has other channels, or has one of the patients in another split.
    """
    settings: dict[str, object] = {"channel_names": list(dataset.channel_names), "labels": dict(dataset.labels)}
    if dataset.synthetic:
        settings["synthetic"] = True
    manifest = _patients_so_far(dataset.folder / "manifest.json", settings, patients)

    def write_patient(case: str) -> None:
        manifest[case] = _write_patient(dataset, case, patients[case])

    outcomes = for_each_case(patients, write_patient, doing="Converting")
    in_split = {
        split: sorted(case for case, patient in manifest.items() if patient["split"] == split)
        for split in ("train", "val")
    }
    write_json(
        dataset.folder / "dataset.json",
        {
            "name": dataset.folder.name,
            "channel_names": {str(i): name for i, name in enumerate(dataset.channel_names)},
            "labels": dict(dataset.labels),
            "numTraining": sum(map(len, in_split.values())),
            "file_ending": FILE_ENDING,
        },
    )
    if in_split["val"]:
        write_json(dataset.folder / "splits_final.json", [in_split])
    manifest = dict(sorted(manifest.items()))
    write_json(dataset.folder / "manifest.json", {"version": 1, "settings": settings, "patients": manifest})
    write_summary(dataset.folder, command="convert", settings=settings, outcomes=outcomes)
    return outcomes


def _patients_so_far(manifest_file: Path, settings: dict, patients: Mapping[str, Patient]) -> dict[str, dict]:
    if not manifest_file.is_file():
        return {}
    manifest = json.loads(manifest_file.read_text(encoding="utf-8"))
    if manifest["settings"] != settings:
        remedy = "Choose another data set number."
        raise Fault(f"the data set was written with {manifest['settings']}", file=manifest_file, remedy=remedy)
    for case, patient in patients.items():
        before = manifest["patients"].get(case, {}).get("split", patient.split)
        if before != patient.split:
            remedy = "A patient belongs to one split: remove one, or choose another data set number."
            raise Fault(f"{case} is a {before} patient there, a {patient.split} patient here", remedy=remedy)
    return manifest["patients"]


def _write_patient(dataset: RawDataset, case: str, patient: Patient) -> dict:
    """Reads and checks everything first, so that a faulty patient leaves no file; returns the manifest's entry."""
    usable = usable_images(patient.images)
    first = next(iter(usable))
    label = None if patient.label is None else _read_label(patient.label, patient.label_mapping)
    if label is None and patient.split != "test":
        raise Fault("a training patient without a label", remedy="Add the label or name the patient under --test.")
    if label is not None and patient.label is not None:
        require_same_grid(usable[first], label, files=(patient.images[first], patient.label))

    subset, other = ("Ts", "Tr") if patient.split == "test" else ("Tr", "Ts")
    if (elsewhere := dataset.folder / f"images{other}" / f"{case}_0000{FILE_ENDING}").exists():
        raise Fault(
            f"the patient lies in images{other} already ({elsewhere})", remedy="Remove the data set or that patient."
        )
    with staged(dataset.folder) as stage:
        for folder in (f"images{subset}", f"labels{subset}"):
            (stage / folder).mkdir()
        for channel, name in enumerate(dataset.channel_names):
            written = stage / f"images{subset}" / f"{case}_{channel:04d}{FILE_ENDING}"
            if name not in usable:
                write_image(placeholder(usable[first]), written)
            elif patient.images[name].name.endswith(FILE_ENDING):
                _take_over(patient.images[name], written, link=dataset.link)
            else:
                write_image(usable[name], written)
        if label is not None:
            write_image(label, stage / f"labels{subset}" / f"{case}{FILE_ENDING}")
    absent = [name for name in dataset.channel_names if name not in usable]
    return {
        "split": patient.split,
        "sequences": {
            name: {"present": True, **_provenance(patient.images[name], dataset.source)}
            if name in usable
            else {"present": False}
            for name in dataset.channel_names
        },
        "label": None if patient.label is None else _provenance(patient.label, dataset.source),
        "warnings": [f"{name}: absent, written as zeros" for name in absent],
    }


def _take_over(source: Path, target: Path, *, link: bool) -> None:
    """The same bytes under another name: a copy, or a hard link if that is asked for and the file system can."""
    if link:
        try:
            os.link(source.resolve(), target)
        except OSError:
            log.warning("%s cannot be linked; copied", source)
        else:
            return
    shutil.copyfile(source, target)


def _read_label(file: Path, mapping: Mapping[int, int]) -> sitk.Image:
    """A label map in the data set's values. Raises Fault at a value that ``mapping`` does not name."""
    image = read_image(file)
    stored = sitk.GetArrayViewFromImage(image)
    values, counts = np.unique(stored, return_counts=True)
    unknown = {
        value: count for value, count in zip(values.tolist(), counts.tolist(), strict=True) if value not in mapping
    }
    if unknown:
        found = ", ".join(f"{value:g} ({count} voxels)" for value, count in unknown.items())
        remedy = f"This layout knows {', '.join(map(str, mapping))}."
        raise Fault(f"unknown label values {found}", file=file, remedy=remedy)
    mapped = np.zeros(stored.shape, np.uint8)
    for value in values:
        mapped[stored == value] = mapping[int(value)]
    label = sitk.GetImageFromArray(mapped)
    label.CopyInformation(image)
    return label


def _provenance(file: Path, source: Path) -> dict[str, str]:
    return {"source": str(file.relative_to(source)), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
