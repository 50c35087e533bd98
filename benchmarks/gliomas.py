"""Four trainers on ten real gliomas: eight to train on, two predicted with all sequences, without t1c, without t2f.

    python benchmarks/gliomas.py BRATS_FOLDER WORK_FOLDER

Uses the stock commands only. Two patients say that the machinery works on real images, not which method is better.
A step whose result is there is skipped; remove WORK_FOLDER to begin anew.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.sequences import BRATS_CHANNELS
from evaluation.voxels import overlap
from nnunet_seqdropout.cli import environment

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
IN_PLANE_MM = "2"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder above the BraTS cases")
    parser.add_argument("work", type=Path, help="folder for everything that is written")
    arguments = parser.parse_args()
    os.environ.update(environment(arguments.work), nnUNet_def_n_proc="2", nnUNet_n_proc_DA="1")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    raw = Path(os.environ["nnUNet_raw"], f"Dataset{DATASET}_{NAME}")
    _prepare(arguments.source, raw)
    print("| trainer | absent | core | whole | train s | train MiB | predict s | predict MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for trainer in TRAINERS:
        training = _train(trainer)
        for absent in ABSENT:
            inputs = _inputs_without(absent, raw / "imagesTs", arguments.work / "inputs")
            output = arguments.work / "predictions" / trainer / (absent or "none")
            prediction = _measured(
                output / "measured.json",
                ["nnUNetv2_predict", "-i", inputs, "-o", output, "-d", DATASET, "-c", "2d", "-f", "all", "-tr", trainer,
                 "-device", "cpu"],
            )  # fmt: skip
            dice = " | ".join(f"{_mean_dice(raw / 'labelsTs', output, labels):.3f}" for labels in REGIONS.values())
            print(f"| {trainer} | {absent or '-'} | {dice} | {training} | {prediction} |", flush=True)


def _prepare(source: Path, raw: Path) -> None:
    preprocessed = Path(os.environ["nnUNet_preprocessed"], raw.name)
    if (preprocessed / "nnUNetPlans_2d").is_dir():
        return
    _run("seqdropout", "convert", "brats", source, "-d", DATASET, "-n", NAME, "--test", *TEST_PATIENTS)
    _run("nnUNetv2_extract_fingerprint", "-d", DATASET, "--verify_dataset_integrity", "-np", "2")
    _run("nnUNetv2_plan_experiment", "-d", DATASET, "-overwrite_target_spacing", *[IN_PLANE_MM] * 3)
    _run("nnUNetv2_preprocess", "-d", DATASET, "-c", "2d", "-np", "2")


def _train(trainer: str) -> str:
    model = Path(os.environ["nnUNet_results"], f"Dataset{DATASET}_{NAME}", f"{trainer}__nnUNetPlans__2d")
    return _measured(
        model / "measured.json", ["nnUNetv2_train", DATASET, "2d", "all", "-tr", trainer, "-device", "cpu"]
    )


def _inputs_without(absent: str | None, images: Path, folder: Path) -> Path:
    """The test images, those of one sequence removed and replaced by placeholders with ``seqdropout fill``."""
    there, filled = (folder / f"{kind}_{absent or 'none'}" for kind in ("there", "filled"))
    shutil.rmtree(there, ignore_errors=True)
    there.mkdir(parents=True)
    for image in images.glob("*.nii.gz"):
        if absent is None or not image.name.endswith(f"_{BRATS_CHANNELS.index(absent):04d}.nii.gz"):
            shutil.copy(image, there)
    _run("seqdropout", "fill", "-i", there, "-o", filled, "-d", DATASET)
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


def _measured(record: Path, command: list) -> str:
    """Runs a command once; its wall time and the memory of its largest process, "seconds | MiB"."""
    if not record.is_file():
        started = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            sys.exit(f"failed: {command}")
        measured = {"seconds": time.monotonic() - started, "mebibytes": usage.ru_maxrss / 1024}
        record.write_text(json.dumps(measured), encoding="utf-8")
    measured = json.loads(record.read_text(encoding="utf-8"))
    return f"{measured['seconds']:.0f} | {measured['mebibytes']:.0f}"


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
