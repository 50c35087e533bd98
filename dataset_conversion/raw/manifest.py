"""Builds a patient's manifest entry: the source of each image and the processing applied to it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataset_conversion.files.texts.manifest_json import CaseEntry
from dataset_conversion.raw.preparing.prepared import Prepared
from dataset_conversion.raw.sources.patient import Patient
from dataset_conversion.raw.sources.pseudonymised import without_names


def manifest_entry(patient: Patient, prepared: Prepared, *, channel_names: Sequence[str], source: Path) -> CaseEntry:
    """Paths are relative to ``source``; of a sequence that is no channel nothing is said."""
    sequences: dict[str, Any] = {}
    for name in channel_names:
        if (series := prepared.series.get(name)) is None:
            sequences[name] = {"present": False}
            continue
        sequences[name] = {"present": True, **_origin([series.file], patient, source), "sha256": series.sha256}
        if (found := series.registration) is not None:
            sequences[name] |= found.as_json()
    # "flair: ..." speaks of flair
    warnings = [warning for warning in prepared.warnings if warning.split(":")[0] in (*channel_names, "label")]
    warnings += [f"{name}: absent, written as zeros" for name in channel_names if name not in prepared.series]
    if patient.has_pseudonym:
        warnings = [without_names(warning, patient) for warning in warnings]
    if patient.is_synthetic:
        warnings.append("synthetic patient")
    label = None
    if patient.label:
        label = {**_origin(patient.label, patient, source), "sha256": prepared.label_sha256}
    return {
        "person": patient.person,
        "split": patient.split,
        "sequences": sequences,
        "label": label,
        "warnings": warnings,
    }


def _origin(files: Sequence[Path], patient: Patient, source: Path) -> dict[str, str]:
    """Where an image or a label comes from; nothing of a patient with a pseudonym, whose folder may be a name."""
    if patient.has_pseudonym:
        return {}
    return {"source": " ".join(str(file.relative_to(source)) for file in files)}
