"""Measures how time and memory of the commands on cohorts grow with the number of cases.

    python -m benchmarks.growth WORK [--cases 50 200 1000]

Synthetic patients of 48 x 48 x 16 voxels, four sequences, two or three lesions, so small that what a command does for
the cohort as a whole shows. Prints for each command and cohort the seconds, the milliseconds that each case costs more
than in the cohort before (the first: than none), and the memory of the process. Each command is one process and is
not run again where WORK has a record of it. Ends with 1 where a further case costs more than twice as much as before.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmarks.steps import Cost, run_once, use_folders
from dataset_conversion.files.images.image_io import write_image
from dataset_conversion.files.images.nifti_writing import write_probability

SEQUENCES = ("bravo", "t1_pre", "t1_gd", "flair")
SHAPE = (16, 48, 48)
SHOWN = 5
"""Patients whose pictures the report holds, whatever the number of cases."""
MOST_GROWTH = 2.0
"""The cost of a further case may grow so much before it counts as growth: tiny cases are timed roughly."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--cases", nargs="+", type=int, default=[50, 200, 1000])
    arguments = parser.parse_args()
    use_folders(arguments.work / "nnunet")
    costs = {n: dict(measured(arguments.work, n, dataset)) for dataset, n in enumerate(sorted(arguments.cases), 1)}
    print("| command | cases | s | ms for each further case | MiB |")
    print("|---|---|---|---|---|")
    grown = []
    for name in next(iter(costs.values())):
        if not _row({n: each[name] for n, each in costs.items()}, name):
            grown.append(name)
    page = arguments.work / str(max(costs)) / "report" / "report.html"
    print(
        f"\nThe report of {max(costs)} patients, {SHOWN} of them with pictures: {page.stat().st_size / 2**20:.1f} MiB."
    )
    if grown:
        sys.exit(f"A further case costs more than {MOST_GROWTH:g} times as much as before: {', '.join(grown)}.")


def _row(costs: dict[int, Cost], name: str) -> bool:
    """Prints a row for each cohort; whether time grows no faster than the number of cases."""
    before, each = (0, Cost(0, 0)), []
    for n, cost in costs.items():
        each.append((cost.seconds - before[1].seconds) / (n - before[0]))
        print(f"| {name} | {n:,} | {cost.seconds:.1f} | {1000 * each[-1]:.1f} | {cost.mebibytes:.0f} |")
        before = (n, cost)
    # the first holds the start of the process
    return all(later <= MOST_GROWTH * max(former, 0.001) for former, later in pairwise(each[1:]))


def measured(work: Path, n: int, dataset: int) -> Iterator[tuple[str, Cost]]:
    """Of a cohort of n patients, each command's cost. dataset: its number."""
    folder = work / str(n)
    if not (folder / "patients").is_dir():
        write_patients(folder, n)
    raw = work / "nnunet" / "nnUNet_raw" / f"Dataset{dataset:03d}_Cohort"
    shown = [f"P{number:05d}" for number in range(SHOWN)]
    evaluate = ["evaluate", "-gt", folder / "references", "-p", folder / "predictions"]
    commands = {
        "convert": ["convert", "hospital_a", folder / "patients", "-d", dataset, "-n", "Cohort", "--register", "never"],
        "check": ["check", "-i", raw],
        "evaluate --no-report": [*evaluate, "--name", "first", "-o", folder / "evaluation", "--no-report"],
        "evaluate, with its report": [*evaluate, "-o", folder / "report", "-i", raw / "imagesTr", "--show", *shown],
        "compare": ["compare", folder / "evaluation", folder / "report", "-o", folder / "comparison"],
    }
    for number, (name, words) in enumerate(commands.items()):
        yield name, run_once(folder / f"cost_{number}.json", "seqdropout", *words, quiet=True)


def write_patients(folder: Path, n: int) -> None:
    """Patients as a hospital has them, their references, and probabilities that overlap with these."""
    for kind in ("references", "predictions"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    unfinished = folder / "patients_unfinished"
    for number in range(n):
        rng, case = np.random.default_rng(number), f"P{number:05d}"
        label = lesions(rng)
        patient = unfinished / case
        patient.mkdir(parents=True, exist_ok=True)
        for name in SEQUENCES:
            tissue = rng.normal(200, 20, SHAPE) + 150 * label
            write_image(sitk.GetImageFromArray(tissue.astype(np.int16)), patient / f"{name}.nii.gz")
        image = sitk.GetImageFromArray(label.astype(np.uint8))
        for file in (patient / "seg.nii.gz", folder / "references" / f"{case}.nii.gz"):
            write_image(image, file)
        near = np.roll(label, 1, axis=2) | lesions(rng)
        probability = np.where(near, rng.uniform(0.3, 1, SHAPE), rng.uniform(0, 0.05, SHAPE))
        write_probability(probability, image, folder / "predictions" / f"{case}_prob.nii.gz", stored_as="uint16")
    unfinished.rename(folder / "patients")


def lesions(rng: np.random.Generator) -> np.ndarray:
    """Two or three balls."""
    mask = np.zeros(SHAPE, bool)
    for _ in range(rng.integers(2, 4)):
        squares = (
            (axis - rng.uniform(4, size - 4)) ** 2
            for axis, size in zip(np.ogrid[tuple(slice(size) for size in SHAPE)], SHAPE, strict=True)
        )
        mask |= sum(squares) < rng.uniform(2, 16)
    return mask


if __name__ == "__main__":
    main()
