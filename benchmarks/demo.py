"""Runs the main job in miniature on a synthetic Hospital A and B: from images to a report, one sequence missing.

    python -m benchmarks.demo WORK_FOLDER

Trains SeqDropoutPlusTrainer_demo on Hospital A, which has four sequences, and predicts Hospital B, which has no BRAVO:
with ``seqdropout predict`` straight from the files that are there, and with nnU-Net's own command from folders that
``seqdropout fill`` has filled up. Evaluates at the threshold with the highest mean Dice of the validation patients.
A synthetic cohort proves that the machinery works, not that the method does. Rerun it to resume an interrupted run;
remove WORK_FOLDER to start again.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmarks.steps import run_once, use_folders
from evaluation.tables.results import read_evaluation

DATASET, NAME, TRAINER = "1", "Phantom", "SeqDropoutPlusTrainer_demo"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for everything that is written")
    work = parser.parse_args().work.resolve()
    use_folders(work)
    started = time.monotonic()
    raw = Path(os.environ["nnUNet_raw"], f"Dataset00{DATASET}_{NAME}")
    trained = Path(os.environ["nnUNet_results"], raw.name, f"{TRAINER}__nnUNetPlans__2d", "fold_0")
    done, phantom, incomplete, filled, predictions, stock, evaluation = (
        work / name
        for name in ("done", "phantom", "incomplete", "filled", "predictions", "stock_predictions", "evaluation")
    )
    dataset, model = ("-d", DATASET), ("-c", "2d", "-f", "0", "-tr", TRAINER, "-device", "cpu")
    run_once(done / "1_phantom", "seqdropout", "phantom", "-o", phantom, "-np", 2)
    for hospital in ("hospital_a", "hospital_b"):
        convert = ("seqdropout", "convert", hospital, phantom / hospital, *dataset, "-n", NAME, "-np", 2)
        # the small phantom's series lie on one grid
        run_once(done / f"2_{hospital}", *convert, "--register", "never")
    run_once(done / "3_plan", "nnUNetv2_plan_and_preprocess", *dataset, "-c", "2d", "-np", 2, quiet=True)
    train = ("nnUNetv2_train", DATASET, "2d", "0", "-tr", TRAINER, "-device", "cpu", "--c", "--npz")
    # on two cores a worker for the augmentation would hinder the training
    run_once(done / "4_train", *train, environment={"nnUNet_n_proc_DA": "0"})
    link_what_was_acquired(raw / "imagesTs", incomplete)
    predict = ("seqdropout", "predict", "-i", incomplete, "-o", predictions, "--save_probabilities", "float32")
    run_once(done / "5_predict", *predict, *dataset, *model)
    run_once(done / "6_fill", "seqdropout", "fill", "-i", incomplete, "-o", filled, *dataset)
    run_once(done / "7_stock_predict", "nnUNetv2_predict", "-i", filled, "-o", stock, *dataset, *model)
    test = ("-gt", raw / "labelsTs", "-p", predictions, "-i", raw / "imagesTs", "-o", evaluation, "--name", TRAINER)
    validation = ("--val-gt", raw / "labelsTr", "--val-p", trained / "validation")
    run_once(done / "8_evaluate", "seqdropout", "evaluate", *test, *validation, "-np", 2)
    print(f"\n{table(evaluation)}")
    print(f"nnU-Net's own command on the filled folders: {differing(predictions, stock)} voxels have another label.")
    print("Synthetic patients: these numbers show that the machinery works, not that the method does.")
    print(f"Report: {evaluation / 'report.html'}. This run took {(time.monotonic() - started) / 60:.1f} minutes.")


def link_what_was_acquired(images: Path, folder: Path) -> None:
    """Links to the images that are not placeholders: patients as a hospital without BRAVO would hand them over."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(images.glob("*.nii.gz")):
        link = folder / file.name
        if not link.is_symlink() and sitk.GetArrayFromImage(sitk.ReadImage(str(file))).any():
            link.symlink_to(file)


def differing(first: Path, second: Path) -> str:
    """How many voxels of all label maps differ, of how many."""
    files = sorted(second.glob("*.nii.gz"))
    pairs = [[sitk.GetArrayFromImage(sitk.ReadImage(str(at / f.name))) for at in (first, second)] for f in files]
    return f"{sum(int(np.sum(a != b)) for a, b in pairs):,} of {sum(a.size for a, _ in pairs):,}"


def table(evaluation: Path) -> str:
    """A Markdown table, one row per test patient and the means."""
    cases = read_evaluation(evaluation).cases
    rows = [
        f"| {row.case} | {row.dice:.2f} | {row.n_found} of {row.n_lesions} | {row.fp} |" for row in cases.itertuples()
    ]
    found = f"{cases['n_found'].sum()} of {cases['n_lesions'].sum()}"
    rows.append(f"| **mean or sum** | {cases['dice'].mean():.2f} | {found} | {cases['fp'].mean():.1f} per patient |")
    return "\n".join(["| patient | Dice | lesions found | false alarms |", "|---|---|---|---|", *rows, ""])


if __name__ == "__main__":
    main()
