"""Compares training on a mixed synthetic cohort with training on only its patients who have every sequence.

    python -m benchmarks.mixed_cohort WORK_FOLDER

Of the mixed cohort's patients a third lack flair and a third lack bravo; the complete third is trained on alone, with
the same trainer and budget (iterations times batch). Both models predict the same new patients, half of whom lack flair
and half bravo, and others who have all sequences. They share their validation patients, two of every kind, on whom each
model's threshold keeps to two false alarms per patient. Rerun it to resume an interrupted run; remove
WORK_FOLDER to start again or with other numbers of patients.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.steps import run_once, use_folders
from evaluation.metrics.statistics.intervals import average
from evaluation.tables.results import read_evaluation

DATASETS = {"complete_third": ("11", "CompleteThird"), "mixed": ("12", "Mixed")}
GROUPS = ("incomplete", "complete")
ABSENT = (None, "flair", "bravo")
"""The sequence that a patient lacks: these three in turn."""
VALIDATION = 2
METRICS = ("dice", "auc", "sensitivity", "fp", "fp_10mm3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for everything that is written")
    parser.add_argument("--train", type=int, default=12, metavar="N", help="training patients of every kind (12)")
    parser.add_argument("--test", type=int, default=12, metavar="N", help="test patients of every kind (12)")
    parser.add_argument("--trainer", default="SeqDropoutTrainer_demo", metavar="T", help="(SeqDropoutTrainer_demo)")
    parser.add_argument("--device", default="cpu", help="(cpu)")
    arguments = parser.parse_args()
    work, started = arguments.work.resolve(), time.monotonic()
    use_folders(work)
    n_patients = len(ABSENT) * (arguments.train + VALIDATION + arguments.test)
    phantom = ("seqdropout", "phantom", "-o", work / "phantom", "--train", n_patients, "--val", 0, "--test", 0)
    run_once(work / "done" / "phantom", *phantom, "-np", 2)
    validation = lay_out(work, arguments.train)
    how = ("-device", arguments.device)
    models = {cohort: train(work, cohort, arguments.trainer, validation, how) for cohort in DATASETS}
    seen = budget(models)
    for cohort, model in models.items():
        measure(work, cohort, model, how)
    for group in GROUPS:
        sides = [work / "evaluation" / cohort / group for cohort in reversed(DATASETS)]
        run_once(work / "done" / f"compare_{group}", "seqdropout", "compare", *sides, "-o", work / "comparison" / group)
    print(f"\nEach training has seen {seen} windows.\n\n{table(work / 'evaluation')}\n")
    print("Synthetic patients, and one training of each kind: the interval is over patients, not over trainings.")
    print(f"Reports: {work / 'comparison'}. This run took {(time.monotonic() - started) / 60:.1f} minutes.")


def train(work: Path, cohort: str, trainer: str, validation: Sequence[str], how: Sequence[str]) -> Path:
    """Converts, plans and trains; returns the model's folder."""
    number, name = DATASETS[cohort]
    convert = ("seqdropout", "convert", "hospital_a", work / "cohorts" / cohort, "-d", number, "-n", name)
    # the small phantom's series lie on one grid
    run_once(work / "done" / f"{cohort}_convert", *convert, "--val", *validation, "--register", "never", "-np", 2)
    plan = ("nnUNetv2_plan_and_preprocess", "-d", number, "-c", "2d", "-np", 2)
    run_once(work / "done" / f"{cohort}_plan", *plan, quiet=True)
    training = ("nnUNetv2_train", number, "2d", "0", "-tr", trainer, *how, "--c", "--npz")
    run_once(work / "done" / f"{cohort}_train", *training, quiet=True)
    return Path(os.environ["nnUNet_results"], f"Dataset0{number}_{name}", f"{trainer}__nnUNetPlans__2d")


def measure(work: Path, cohort: str, model: Path, how: Sequence[str]) -> None:
    """Predicts both groups of test patients and evaluates them."""
    labels_of_validation = Path(os.environ["nnUNet_raw"], model.parent.name, "labelsTr")
    calibration = ("--val-gt", labels_of_validation, "--val-p", model / "fold_0" / "validation", "--fp-budget", 2)
    for group in GROUPS:
        out, result = (work / kind / cohort / group for kind in ("predictions", "evaluation"))
        predict = ("seqdropout", "predict", "-i", work / "tests" / group, "--layout", "hospital_a", "-o", out)
        options = ("-m", model, "-f", "0", *how, "--save_probabilities", "--c")
        run_once(work / "done" / f"{cohort}_predict_{group}", *predict, *options)
        evaluate = ("seqdropout", "evaluate", "-gt", work / "labels" / group, "-p", out, "-o", result, "-np", 2)
        options = (*calibration, "--name", cohort, "--no-report")
        run_once(work / "done" / f"{cohort}_evaluate_{group}", *evaluate, *options)


def lay_out(work: Path, n_train: int) -> list[str]:
    """Deals the phantom's patients out: training, validation, test, each kind in turn; returns who validates.

    Without the images that they lack: ``cohorts/{mixed,complete_third}/<patient>``, ``tests/<group>/<patient>``; of the
    test patients also ``labels/<group>/<patient>.nii.gz``.
    """
    validation = []
    for i, patient in enumerate(sorted((work / "phantom" / "hospital_a" / "train").iterdir())):
        turn, absent = i // len(ABSENT), ABSENT[i % len(ABSENT)]
        group = "incomplete" if absent else "complete"
        targets = [Path("tests", group)]
        if turn < n_train:
            targets = [Path("cohorts", "mixed"), *([] if absent else [Path("cohorts", "complete_third")])]
        elif turn < n_train + VALIDATION:
            targets = [Path("cohorts", "mixed"), Path("cohorts", "complete_third")]
            validation.append(patient.name)
        else:
            (work / "labels" / group).mkdir(parents=True, exist_ok=True)
            shutil.copy(patient / "seg.nii.gz", work / "labels" / group / f"{patient.name}.nii.gz")
        for target in targets:
            without = shutil.ignore_patterns(f"{absent}.nii.gz")
            shutil.copytree(patient, work / target / patient.name, ignore=without, dirs_exist_ok=True)
    return validation


def budget(models: Mapping[str, Path]) -> int:
    """Training windows that each model has seen; ends this process where they have seen unequally many."""
    seen = set()
    for model in models.values():
        batch = json.loads((model / "plans.json").read_text(encoding="utf-8"))["configurations"]["2d"]["batch_size"]
        log = json.loads((model / "fold_0" / "debug.json").read_text(encoding="utf-8"))
        seen.add(batch * int(log["num_epochs"]) * int(log["num_iterations_per_epoch"]))
    if len(seen) > 1:
        sys.exit(f"The budgets differ: {seen} windows. Give the trainer a largest_batch that both data sets allow.")
    return seen.pop()


def table(evaluations: Path) -> str:
    """Markdown: means of both models and the mean paired difference, mixed minus complete, by what patients lack."""
    cases = {
        cohort: pd.concat([read_evaluation(evaluations / cohort / g).cases for g in GROUPS]) for cohort in DATASETS
    }
    complete, mixed = (cases[cohort].set_index("case").sort_index() for cohort in DATASETS)
    lacking = {name: ~mixed["pattern"].str.split("+").map(lambda names, n=name: n in names) for name in ABSENT if name}
    anything = pd.concat(lacking.values(), axis=1).any(axis=1)
    groups = {"incomplete": anything, **{f"- without {name}": rows for name, rows in lacking.items()}}
    lines = [
        "| patients | metric | n | complete third | mixed cohort | difference | 95 % interval |",
        "|---|---|---|---|---|---|---|",
    ]
    for group, rows in {**groups, "complete": ~anything}.items():
        for metric in METRICS:
            one, other = complete.loc[rows, metric], mixed.loc[rows, metric]
            found = average(other - one)
            means = f"{one.mean():.3f} | {other.mean():.3f} | {found.mean:+.3f}"
            interval = f"{found.ci_low:+.3f} to {found.ci_high:+.3f}"
            lines.append(f"| {group} | {metric} | {found.n} | {means} | {interval} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
