"""Four trainers on ten real gliomas: eight to train on, two predicted with all sequences, without t1c, without t2f.

    python -m benchmarks.gliomas BRATS_FOLDER WORK_FOLDER

Uses the stock commands only. Two patients say that the machinery works on real images, not which method is better.
A step whose result is there is skipped; remove WORK_FOLDER to begin anew.
"""

import argparse
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmarks.steps import run_once, use_folders
from dataset_conversion.sequences import BRATS_CHANNELS
from evaluation.voxels import overlap

DATASET, NAME = "501", "Glioma"
TEST_PATIENTS = ("Brats18_CBICA_ALU_1", "Brats18_TCIA02_370_1")
TRAINERS = (
    "SeqDropoutTrainer_demo",
    "DeepLabV3Trainer_demo",
    "nnUNetTrainerSeqDropout_demo",
    "nnUNetTrainer_demo",
)
ABSENT = (None, "t1c", "t2f")
REGIONS = {"core": (1, 3), "whole": (1, 2, 3)}
TARGET_SPACING_MM = "2"
"""In-plane; nnU-Net's 2d configuration leaves the distance of the slices as it is."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder above the BraTS cases")
    parser.add_argument("work", type=Path, help="folder for everything that is written")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    use_folders(work)
    raw = Path(os.environ["nnUNet_raw"], f"Dataset{DATASET}_{NAME}")
    _prepare(arguments.source, work / "done")
    print("| trainer | absent | core | whole | train s | train MiB | predict s | predict MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for trainer in TRAINERS:
        model = ("-tr", trainer, "-device", "cpu")
        training = run_once(work / "done" / trainer, "nnUNetv2_train", DATASET, "2d", "all", *model, "--c", quiet=True)
        for absent in ABSENT:
            key = absent or "none"
            inputs = _inputs_without(absent, raw / "imagesTs", work / "inputs")
            output = work / "predictions" / trainer / key
            command = ("nnUNetv2_predict", "-i", inputs, "-o", output, "-d", DATASET, "-c", "2d", "-f", "all", *model)
            prediction = run_once(work / "done" / f"{trainer}_{key}", *command, quiet=True)
            dice = [f"{_mean_dice(raw / 'labelsTs', output, labels):.3f}" for labels in REGIONS.values()]
            costs = [f"{n:.0f}" for cost in (training, prediction) for n in (cost.seconds, cost.mebibytes)]
            print(f"| {' | '.join([trainer, absent or '-', *dice, *costs])} |", flush=True)


def _prepare(source: Path, done: Path) -> None:
    test = ("--test", *TEST_PATIENTS)
    run_once(done / "convert", "seqdropout", "convert", "brats", source, "-d", DATASET, "-n", NAME, *test)
    fingerprint = ("nnUNetv2_extract_fingerprint", "-d", DATASET, "--verify_dataset_integrity", "-np", "2")
    run_once(done / "fingerprint", *fingerprint, quiet=True)
    spacing = ("-overwrite_target_spacing", *[TARGET_SPACING_MM] * 3)
    run_once(done / "plan", "nnUNetv2_plan_experiment", "-d", DATASET, *spacing, quiet=True)
    run_once(done / "preprocess", "nnUNetv2_preprocess", "-d", DATASET, "-c", "2d", "-np", "2", quiet=True)


def _inputs_without(absent: str | None, images: Path, folder: Path) -> Path:
    """The test images, those of one sequence removed and replaced by placeholders with ``seqdropout fill``."""
    there, filled = (folder / f"{kind}_{absent or 'none'}" for kind in ("there", "filled"))
    shutil.rmtree(there, ignore_errors=True)
    there.mkdir(parents=True)
    for image in images.glob("*.nii.gz"):
        if absent is None or not image.name.endswith(f"_{BRATS_CHANNELS.index(absent):04d}.nii.gz"):
            shutil.copy(image, there)
    command = ["seqdropout", "fill", "-i", there, "-o", filled, "-d", DATASET]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return filled


def _mean_dice(labels: Path, predictions: Path, region: tuple[int, ...]) -> float:
    masks = [
        [
            np.isin(sitk.GetArrayFromImage(sitk.ReadImage(folder / f"{patient}.nii.gz")), region)
            for patient in TEST_PATIENTS
        ]
        for folder in (labels, predictions)
    ]
    return float(np.mean([overlap(*pair).dice for pair in zip(*masks, strict=True)]))


if __name__ == "__main__":
    main()
