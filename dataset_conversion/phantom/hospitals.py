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
from scipy import ndimage

from dataset_conversion.faults import Fault
from dataset_conversion.files.disk import require_room
from dataset_conversion.files.images.image_io import write_image
from dataset_conversion.files.staging import staged
from dataset_conversion.files.texts.json_files import read_json_if_there, write_json
from dataset_conversion.outcomes import Outcome, for_each_case, write_summary
from dataset_conversion.phantom.anatomy import Head, draw_head
from dataset_conversion.phantom.lesions import LAWS, Hospital
from dataset_conversion.phantom.signal import TISSUES, hospital_a, hospital_b, signal, vary

TRUTH = "truth.json"
REFERENCE_SERIES: Mapping[Hospital, str] = {"A": "bravo", "B": "t1_gd"}
FIELD_OF_VIEW_MM, SLAB_MM = 192.0, 160.0
SHARE_AT_1_5_T = 0.07
BYTES_PER_VOXEL, LARGEST_SHARE = 2, 0.4
"""Of an image as it is stored, and what is left of that when it is compressed: .21 to .24 were seen."""
_SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
_AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class PhantomSettings:
    """Numbers of patients, and grids. ``like_paper``: Table 2's grids, with motion between the series."""

    train: int = 24
    val: int = 4
    test: int = 8
    size: int = 96
    seed: int = 0
    like_paper: bool = False


LIKE_PAPER = PhantomSettings(train=100, val=10, test=55, size=256, like_paper=True)


@dataclass(frozen=True)
class Place:
    """The place of a patient in the cohort."""

    hospital: Hospital
    split: Literal["train", "val", "test"]
    number: int


def write_phantom(target: Path, design: PhantomSettings, *, n_workers: int = 1) -> dict[str, Outcome]:
    """Writes ``hospital_a/train``, ``hospital_b/val`` and ``hospital_b/test`` below ``target``, a folder a patient.

    ``Mets_XXX/{bravo,t1_pre,t1_gd,flair,seg}.nii.gz`` at Hospital A, the same without bravo at Hospital B; brain only.
    ``truth.json`` holds the lesions and, for every series, the rigid transform of a point of the reference series to
    the point of this series that shows the same tissue (4x4, row-major, LPS, mm). The same design gives the same bytes.
    A patient whose files are complete is skipped. Raises Fault where there is no room, or a number cannot be.
    """
    if min(design.train, design.val, design.test) < 0 or design.size < 1:
        raise Fault("a number of patients is below 0, or the size below 1", remedy="Give larger ones.")
    places = _places(design)
    require_room(target, _bytes_needed(target, places, design))
    threads = max(1, (os.cpu_count() or 1) // n_workers)

    def write_patient(name: str) -> None:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
        _write_patient(_folder(target, name, places[name]), places[name], design)

    outcomes = for_each_case(places, write_patient, doing="Synthesising", n_workers=n_workers)
    write_summary(target, command="phantom", settings=asdict(design), outcomes=outcomes)
    return outcomes


def _folder(target: Path, name: str, place: Place) -> Path:
    return target / f"hospital_{place.hospital.lower()}" / place.split / name


def _bytes_needed(target: Path, places: Mapping[str, Place], design: PhantomSettings) -> int:
    """An upper limit of what the patients take who are not there yet."""
    there = {name for name, place in places.items() if (_folder(target, name, place) / TRUTH).is_file()}
    new = Counter(place.hospital for name, place in places.items() if name not in there)
    series: dict[Hospital, list[str]] = {"A": [*hospital_a(3.0)], "B": [*hospital_b()]}
    voxels = {
        hospital: sum(math.prod(_grid(hospital, n, design)[0]) for n in names) for hospital, names in series.items()
    }
    return math.ceil(LARGEST_SHARE * BYTES_PER_VOXEL * sum(n * voxels[hospital] for hospital, n in new.items()))


def _places(design: PhantomSettings) -> dict[str, Place]:
    splits = ["train"] * design.train + ["val"] * design.val + ["test"] * design.test
    return {
        f"Mets_{number:03d}": Place("A" if split == "train" else "B", split, number)  # type: ignore[arg-type]
        for number, split in enumerate(splits, start=1)
    }


def _write_patient(folder: Path, place: Place, design: PhantomSettings) -> None:
    truth_file = folder / TRUTH
    settings = {**asdict(design), **asdict(place)}
    if (read_json_if_there(truth_file, dict) or {}).get("settings") == settings:
        return
    rng = np.random.default_rng([design.seed, place.number])
    voxel_mm = 0.9 if design.like_paper else FIELD_OF_VIEW_MM / design.size
    head = draw_head(LAWS[place.hospital], rng, gap_mm=3 * voxel_mm)
    field_t = 1.5 if place.hospital == "A" and rng.random() < SHARE_AT_1_5_T else 3.0
    protocols = hospital_a(field_t) if place.hospital == "A" else hospital_b()
    reference = REFERENCE_SERIES[place.hospital]
    motions = {
        name: _draw_motion(rng) if design.like_paper and name != reference else sitk.Euler3DTransform()
        for name in protocols
    }
    tissues = {tissue: vary(values, rng) for tissue, values in TISSUES[field_t].items()}
    with staged(folder) as stage:
        for name, protocol in protocols.items():
            brightness = {tissue: signal(tissue, values, protocol) for tissue, values in tissues.items()}
            grid = series_grid(head, place.hospital, name, design)
            write_image(scan(head, brightness, grid, motions[name], rng), stage / f"{name}.nii.gz")
        write_image(_label(head, series_grid(head, place.hospital, reference, design)), stage / "seg.nii.gz")
        write_json(
            stage / truth_file.name,
            {
                "settings": settings,
                "field_t": field_t,
                "reference": reference,
                "lesions": [asdict(lesion) for lesion in head.lesions],
                "transforms": {name: _matrix(motion) for name, motion in motions.items()},
            },
        )


def series_grid(head: Head, hospital: Hospital, series: str, design: PhantomSettings) -> sitk.Image:
    """An empty image on the series' grid, centred on the head."""
    size, spacing, direction = _grid(hospital, series, design)
    grid = sitk.Image(size, sitk.sitkUInt8)
    grid.SetSpacing(spacing)
    grid.SetDirection(direction)
    centre = head.grid.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in head.grid.GetSize()])
    offset = grid.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in size])
    grid.SetOrigin([c - o for c, o in zip(centre, offset, strict=True)])
    return grid


def _grid(hospital: Hospital, series: str, design: PhantomSettings) -> tuple[tuple[int, ...], tuple, tuple]:
    """Size, spacing and direction; the paper's are those of Table 2."""
    if not design.like_paper:
        voxel_mm = FIELD_OF_VIEW_MM / design.size
        return (design.size, design.size, round(SLAB_MM / voxel_mm)), (voxel_mm,) * 3, _AXIAL
    if series == "bravo":
        return (256, 256, 160), (240 / 256, 240 / 256, 1.0), _AXIAL
    if hospital == "A":
        # of the 270-320 slices, those through the brain
        in_plane_mm = (240 if series == "flair" else 250) / 256
        return (256, 256, 176), (in_plane_mm, in_plane_mm, 1.0), _SAGITTAL
    return (256, 256, 208 if series == "flair" else 192), (230 / 256, 230 / 256, 0.9), _SAGITTAL


def scan(
    head: Head,
    brightness: Mapping[str, float],
    grid: sitk.Image,
    motion: sitk.Euler3DTransform,
    rng: np.random.Generator,
) -> sitk.Image:
    """One series as the scanner delivers it: partial volume, bias field, Rician noise, an arbitrary gain; int16."""
    mixed = np.zeros_like(head.brain)
    for tissue, value in brightness.items():
        mixed += head.fractions[tissue] * np.float32(value)
    ideal = sitk.GetArrayFromImage(_onto(grid, mixed, head, motion))
    brain = sitk.Resample(_on_head_grid(head.brain, head), grid, motion.GetInverse(), sitk.sitkLinear)
    inside = sitk.GetArrayFromImage(brain) >= 0.5
    white = brightness["white"]
    seen = ideal * _draw_bias_field(ideal.shape, rng)
    noise = white / rng.uniform(15, 35) * rng.standard_normal((2, *ideal.shape))
    magnitude = np.sqrt((seen + noise[0]) ** 2 + noise[1] ** 2)
    gain = rng.uniform(300, 900) / white
    image = sitk.GetImageFromArray(np.round(np.clip(gain * magnitude, 1, 32767) * inside).astype(np.int16))
    image.CopyInformation(grid)
    return image


def _label(head: Head, grid: sitk.Image) -> sitk.Image:
    """Voxels at least half filled by a lesion, with its necrosis; a lesion that fills none is its centre's voxel."""
    filled = _onto(grid, head.fractions["enhancing"] + head.fractions["necrosis"], head, sitk.Euler3DTransform())
    label = sitk.Cast(filled >= 0.5, sitk.sitkUInt8)
    objects, _ = ndimage.label(sitk.GetArrayViewFromImage(label), np.ones((3, 3, 3)))
    for lesion in head.lesions:
        index = label.TransformPhysicalPointToIndex(lesion.centre_mm)
        z, y, x = index[::-1]
        if not objects[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2].any():
            label[index] = 1
    return label


def _onto(grid: sitk.Image, volume: np.ndarray, head: Head, motion: sitk.Euler3DTransform) -> sitk.Image:
    """A map of the head as voxels of this grid see it: averaged over a voxel's width, at where the head lies."""
    smoothing_mm = 0.42 * float(np.mean(grid.GetSpacing()))
    averaged = ndimage.gaussian_filter(volume, smoothing_mm, truncate=3)
    return sitk.Resample(_on_head_grid(averaged, head), grid, motion.GetInverse(), sitk.sitkLinear)


def _on_head_grid(volume: np.ndarray, head: Head) -> sitk.Image:
    image = sitk.GetImageFromArray(volume)
    image.CopyInformation(head.grid)
    return image


def _draw_bias_field(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A smooth factor around 1, some 15 % up and down, from three slow waves."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij")
    waves = sum(
        np.cos(sum(f * a for f, a in zip(rng.uniform(-2.5, 2.5, 3), axes, strict=True)) + rng.uniform(0, 2 * np.pi))
        for _ in range(3)
    )
    return np.exp(0.07 * waves)


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
