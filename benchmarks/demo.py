"""The main job in miniature: a synthetic Hospital A and B, from images to a result on patients who lack a sequence.

    python -m benchmarks.demo WORK_FOLDER

Trains SeqDropoutTrainer_demo on Hospital A, which has four sequences, and predicts Hospital B, which has no BRAVO, with
nnU-Net's own command. A synthetic cohort proves that the machinery works, not that the method does.
Interrupted, it goes on where it was; remove WORK_FOLDER to begin anew.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from benchmarks.steps import run_once, use_folders
from evaluation.lesions import detect
from evaluation.overview import patient_overview
from evaluation.voxels import overlap

DATASET, NAME, TRAINER = "1", "Phantom", "SeqDropoutTrainer_demo"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for everything that is written")
    work = parser.parse_args().work.resolve()
    use_folders(work)
    started = time.monotonic()
    raw = Path(os.environ["nnUNet_raw"], f"Dataset00{DATASET}_{NAME}")
    done, phantom, predictions = work / "done", work / "phantom", work / "predictions"
    dataset, model = ("-d", DATASET), ("-c", "2d", "-f", "0", "-tr", TRAINER, "-device", "cpu")
    run_once(done / "1_phantom", "seqdropout", "phantom", "-o", phantom, "-np", 2)
    for hospital in ("hospital_a", "hospital_b"):
        run_once(done / f"2_{hospital}", "seqdropout", "convert", hospital, phantom / hospital, *dataset, "-n", NAME)
    run_once(done / "3_plan", "nnUNetv2_plan_and_preprocess", *dataset, "-c", "2d", "-np", 2, quiet=True)
    run_once(done / "4_train", "nnUNetv2_train", DATASET, "2d", "0", "-tr", TRAINER, "-device", "cpu", "--c")
    run_once(done / "5_predict", "nnUNetv2_predict", "-i", raw / "imagesTs", "-o", predictions, *dataset, *model)
    table = results(raw, predictions, work / "overlays")
    (work / "table.md").write_text(table, encoding="utf-8")
    print(f"\n{table}\nSynthetic patients: these numbers show that the machinery works, not that the method does.")
    print(f"Pictures: {work / 'overlays'}. This run took {(time.monotonic() - started) / 60:.1f} minutes.")


def results(raw: Path, predictions: Path, pictures: Path) -> str:
    """A Markdown table, one row per test patient and the means; a picture of every patient goes to ``pictures``."""
    pictures.mkdir(exist_ok=True)
    rows, found, counted, alarms, dices = [], 0, 0, [], []
    for label in sorted((raw / "labelsTs").glob("*.nii.gz")):
        case = label.name.removesuffix(".nii.gz")
        reference, predicted = (_voxels(folder / label.name) > 0 for folder in (raw / "labelsTs", predictions))
        dice, detection = overlap(reference, predicted).dice, detect(reference, predicted)
        line = f"{detection.n_found} of {detection.n_lesions}"
        rows.append(f"| {case} | {dice:.2f} | {line} | {detection.false_positives} |")
        title = f"{case} without BRAVO: Dice {dice:.2f}, {line} lesions found, {detection.false_positives} false alarms"
        background = _voxels(raw / "imagesTs" / f"{case}_0002.nii.gz")
        patient_overview(title, background, reference, predicted).savefig(pictures / f"{case}.png", dpi=110)
        found, counted = found + detection.n_found, counted + detection.n_lesions
        alarms.append(detection.false_positives)
        dices.append(dice)
    rows.append(
        f"| **mean or sum** | {np.nanmean(dices):.2f} | {found} of {counted} | {np.mean(alarms):.1f} per patient |"
    )
    return "\n".join(["| patient | Dice | lesions found | false alarms |", "|---|---|---|---|", *rows, ""])


def _voxels(file: Path) -> NDArray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(file)))


if __name__ == "__main__":
    sys.exit(main())
