"""Writes what was found in a DICOM study as DICOM beside the other outputs of the case: segmentation, structure set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk

from dataset_conversion.dicom.results.segments import LONGEST_NAME, Maker, Segment, occupied
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.texts.dataset_json import described
from nnunet_seqdropout import __version__
from nnunet_seqdropout.prediction.extras import CaseResult

SegmentKind = Literal["lesion", "class"]


@dataclass(frozen=True)
class DicomResults:
    """segments: what each segment of the segmentation is; None: there is none. structure_set: whether there is one."""

    segments: SegmentKind | None = None
    structure_set: bool = False

    def recorded(self) -> dict[str, Any]:
        return {"dicom_results": {"segments": self.segments, "structure_set": self.structure_set}}

    def names(self, case: str) -> list[str]:
        return [*([f"{case}_seg.dcm"] if self.segments else []), *([f"{case}_rtstruct.dcm"] * self.structure_set)]

    def most_bytes(self, n_voxels: int) -> int:
        return n_voxels

    def write(self, result: CaseResult, stage: Path) -> list[str]:
        """Nothing where nothing was found: neither object can be empty."""
        lesions, notes = _lesions(result), []
        if self.segments:
            found = lesions if self.segments == "lesion" else _classes(result)
            notes += _write(f"{result.case}_seg.dcm", "segmentation", *found, result, stage)
        if self.structure_set:
            notes += _write(f"{result.case}_rtstruct.dcm", "structure set", *lesions, result, stage)
        return notes


def _write(
    name: str, kind: str, labels: sitk.Image, segments: Sequence[Segment], result: CaseResult, stage: Path
) -> list[str]:
    """Raises Fault where the case is none of DICOM, or its headers do not allow it. Returns what there is to say."""
    from dataset_conversion.dicom.results.files import write_result  # needs an extra

    source = result.images.source
    if source is None:
        raise ValueError(f"{result.case} was not read from DICOM")
    voxels = source.on_planes(labels)
    there = occupied(voxels, segments)
    if not there:
        return [f"nothing was found, so that there is no {name}: a DICOM {kind} cannot be empty"]
    write_result(stage / name, kind, voxels, there, source, _maker(result))
    return [f"{name} has no segment for {one.name}: it has no voxel" for one in segments if one not in there]


def _lesions(result: CaseResult) -> tuple[sitk.Image, list[Segment]]:
    """The objects by their numbers in ``<case>_lesions.csv``."""
    image = sitk.GetImageFromArray(result.objects.numbered(np.int32))
    image.CopyInformation(result.labels)
    numbers = range(1, result.objects.count + 1)
    return image, [Segment(f"{result.target_name} {number}", (number,)) for number in numbers]


def _classes(result: CaseResult) -> tuple[sitk.Image, list[Segment]]:
    """The labels and regions of the model; regions may overlap."""
    labels = described(result.model.predictor.dataset_json).targets
    named = {name: tuple(value) if isinstance(value, list) else (value,) for name, value in labels.items()}
    return result.labels, [Segment(name, values) for name, values in named.items()]


def _maker(result: CaseResult) -> Maker:
    model, record = result.model, result.record
    run = {
        "sequences": record["pattern"],
        "target": record["target"],
        "threshold": "argmax" if record["threshold"] is None else record["threshold"],
        "checkpoint": model.checkpoint,
        **{f"fold {fold}": sha256 for fold, sha256 in model.sha256.items()},
    }
    return Maker(
        version=__version__,
        model=f"{model.folder.parent.name}/{model.folder.name}"[:LONGEST_NAME],
        fingerprint=sha256_of(repr(sorted(model.sha256.items())))[:16],
        details="; ".join(f"{name} {value}" for name, value in run.items()),
    )
