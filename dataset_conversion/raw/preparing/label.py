"""Reads the label of a patient in the values of the data set."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.files.images.grids import (
    on_grid_of,
    on_same_grid,
    require_same_grid,
)
from dataset_conversion.files.images.label_values import label_array, value_faults, voxels_of_value
from dataset_conversion.raw.preparing.prepared import Preparation, PreparedSeries
from dataset_conversion.raw.sources.patient import Patient
from dataset_conversion.registration.straightening import read_straightened


def read_label(patient: Patient, preparation: Preparation, warnings: list[str]) -> tuple[sitk.Image, str]:
    """The label in the data set's values; of several files the union. Raises Fault at a value without a meaning.

    What was done about a doubtful header is added to the warnings.
    """
    mapping = {**(patient.label_mapping or {}), **(preparation.label_mapping or {})}
    mapped: sitk.Image | None = None
    digest = hashlib.sha256()
    for file in patient.label:
        content = file.read_bytes()
        digest.update(content)
        image, said = read_straightened(file, content=content, is_label=True)
        warnings += [f"label: {said}"] if said else []
        label = _in_values(image, mapping, file)
        if mapped is not None:
            files = (patient.shown("label", patient.label[0]), patient.shown("label", file))
            placed = on_grid_of(mapped, label, files=files, trust_geometry=preparation.trust_geometry)
            if not on_same_grid(mapped, label):
                warnings.append("label: its files' headers differ, that of the first was used (--trust-geometry)")
            label = sitk.Maximum(mapped, placed)
        mapped = label
    if mapped is None:
        raise ValueError("The patient has no label.")
    return mapped, digest.hexdigest()


def _in_values(image: sitk.Image, mapping: Mapping[int, int], file: Path) -> sitk.Image:
    values = voxels_of_value(image)
    for fault in value_faults(values, known=mapping, file=file):
        raise fault
    stored = label_array(image)
    mapped = np.zeros(stored.shape, np.uint8)
    for value in values:
        mapped[stored == value] = mapping[int(value)]
    label = sitk.GetImageFromArray(mapped)
    label.CopyInformation(image)
    return label


def require_label_grid(
    label: sitk.Image, patient: Patient, usable: Mapping[str, PreparedSeries], reference: str, preparation: Preparation
) -> None:
    """The label must lie on the reference's grid, or on that of a series that will be registered."""
    others = usable.values() if preparation.register == "auto" else ()
    if not any(on_same_grid(series.image, label) for series in others):
        fixed = usable[reference]
        require_same_grid(fixed.image, label, files=(fixed.file, patient.label[0]))
