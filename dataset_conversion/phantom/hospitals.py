"""Writes a synthetic Hospital A and B with a known truth, modelled on the paper, in layouts that ``convert`` reads."""

import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.disk import require_room
from dataset_conversion.files.images.image_io import write_image
from dataset_conversion.files.staging import staged
from dataset_conversion.files.texts.json_files import read_json_if_there, write_json
from dataset_conversion.outcomes import Outcome, map_cases, write_summary
from dataset_conversion.phantom.anatomy import draw_head
from dataset_conversion.phantom.lesions import LAWS, Hospital
from dataset_conversion.phantom.scanner import drawn_label, scan
from dataset_conversion.phantom.settings import PhantomSettings, grid_of, series_grid
from dataset_conversion.phantom.signal import TISSUES, hospital_a, hospital_b, signal, vary

TRUTH = "truth.json"
REFERENCE_SERIES: Mapping[Hospital, str] = {"A": "bravo", "B": "t1_gd"}
SHARE_AT_1_5_T = 0.07
BYTES_PER_VOXEL, LARGEST_SHARE = 2, 0.4
"""Of an image as it is stored, and what is left of that when it is compressed: .21 to .24 were seen."""


@dataclass(frozen=True)
class Place:
    """The place of a patient in the cohort."""

    hospital: Hospital
    split: Literal["train", "val", "test"]
    number: int


def write_phantom(target: Path, settings: PhantomSettings, *, n_workers: int = 1) -> dict[str, Outcome]:
    """Writes ``hospital_a/train``, ``hospital_b/val`` and ``hospital_b/test`` below ``target``, a folder a patient.

    ``Mets_XXX/{bravo,t1_pre,t1_gd,flair,seg}.nii.gz`` at Hospital A, the same without bravo at Hospital B; brain only.
    ``truth.json`` holds the lesions and, for every series, the rigid transform of a point of the reference series to
    the point of this series that shows the same tissue (4x4, row-major, LPS, mm). Same settings, same bytes.
    A patient whose files are complete is skipped. Raises Fault where there is no room, or a number cannot be.
    """
    if min(settings.train, settings.val, settings.test) < 0 or settings.size < 1:
        raise Fault("a number of patients is below 0, or the size below 1", remedy="Give larger ones.")
    places = _places(settings)
    require_room(target, _bytes_needed(target, places, settings))
    threads = max(1, (os.cpu_count() or 1) // n_workers)

    def write_patient(name: str) -> bool:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
        return _write_patient(_folder(target, name, places[name]), places[name], settings)

    outcomes, is_new = map_cases(places, write_patient, doing="Synthesising", n_workers=n_workers)
    outcomes |= {name: Outcome("skipped") for name, written in is_new.items() if not written}
    write_summary(target, command="phantom", settings=asdict(settings), outcomes=outcomes)
    return outcomes


def _folder(target: Path, name: str, place: Place) -> Path:
    return target / f"hospital_{place.hospital.lower()}" / place.split / name


def _bytes_needed(target: Path, places: Mapping[str, Place], settings: PhantomSettings) -> int:
    """An upper limit of what the patients take who are not there yet."""
    there = {name for name, place in places.items() if (_folder(target, name, place) / TRUTH).is_file()}
    new = Counter(place.hospital for name, place in places.items() if name not in there)
    series: dict[Hospital, list[str]] = {"A": [*hospital_a(3.0)], "B": [*hospital_b()]}
    voxels = {
        hospital: sum(math.prod(grid_of(hospital, n, settings)[0]) for n in names) for hospital, names in series.items()
    }
    return math.ceil(LARGEST_SHARE * BYTES_PER_VOXEL * sum(n * voxels[hospital] for hospital, n in new.items()))


def _places(settings: PhantomSettings) -> dict[str, Place]:
    splits = ["train"] * settings.train + ["val"] * settings.val + ["test"] * settings.test
    return {
        f"Mets_{number:03d}": Place("A" if split == "train" else "B", split, number)  # type: ignore[arg-type]
        for number, split in enumerate(splits, start=1)
    }


def _write_patient(folder: Path, place: Place, settings: PhantomSettings) -> bool:
    """Whether it was written; one that is complete is left."""
    truth_file = folder / TRUTH
    asked = {**asdict(settings), **asdict(place)}
    if (read_json_if_there(truth_file, dict) or {}).get("settings") == asked:
        return False
    rng = np.random.default_rng([settings.seed, place.number])
    head = draw_head(LAWS[place.hospital], rng, gap_mm=3 * settings.voxel_mm)
    field_t = 1.5 if place.hospital == "A" and rng.random() < SHARE_AT_1_5_T else 3.0
    protocols = hospital_a(field_t) if place.hospital == "A" else hospital_b()
    reference = REFERENCE_SERIES[place.hospital]
    motions = {
        name: _draw_motion(rng) if settings.like_paper and name != reference else sitk.Euler3DTransform()
        for name in protocols
    }
    tissues = {tissue: vary(values, rng) for tissue, values in TISSUES[field_t].items()}
    with staged(folder) as stage:
        for name, protocol in protocols.items():
            brightness = {tissue: signal(tissue, values, protocol) for tissue, values in tissues.items()}
            grid = series_grid(head, place.hospital, name, settings)
            write_image(scan(head, brightness, grid, motions[name], rng), stage / f"{name}.nii.gz")
        write_image(drawn_label(head, series_grid(head, place.hospital, reference, settings)), stage / "seg.nii.gz")
        write_json(
            stage / truth_file.name,
            {
                "settings": asked,
                "field_t": field_t,
                "reference": reference,
                "lesions": [asdict(lesion) for lesion in head.lesions],
                "transforms": {name: _matrix(motion) for name, motion in motions.items()},
            },
        )
    return True


def _draw_motion(rng: np.random.Generator) -> sitk.Euler3DTransform:
    """Motion between two series: about a degree and a half and 2 mm in each axis (standard deviations)."""
    motion = sitk.Euler3DTransform()
    motion.SetRotation(*np.deg2rad(1.5 * rng.standard_normal(3)).tolist())
    motion.SetTranslation((2.0 * rng.standard_normal(3)).tolist())
    return motion


def _matrix(transform: sitk.Euler3DTransform) -> list[list[float]]:
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    return matrix.tolist()
