"""Is a mixed cohort worth training on? A synthetic one, against those of its patients who have every sequence.

    python -m benchmarks.mixed_cohort WORK_FOLDER

Of the mixed cohort's patients a third lack flair and a third lack bravo; the complete third is trained on alone, with
the same trainer and budget (iterations times batch). Both models predict the same new patients, half of whom lack flair
and half bravo, and others who have all sequences; they share their validation patients, two of every kind. A voxel
counts from a probability of 0.5 for both, the most probable label. Interrupted, it goes on where it was; remove
WORK_FOLDER to begin anew, also with other numbers of patients.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from benchmarks.steps import run_once, use_folders
from evaluation.results import read_evaluation
from evaluation.stats import average

DATASETS = {"complete": ("11", "CompleteThird"), "mixed": ("12", "Mixed")}
ABSENT = (None, "flair", "bravo")
"""What the patients lack, in turn."""
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
    done = work / "done"
    n_patients = len(ABSENT) * (arguments.train + VALIDATION + arguments.test)
    phantom = ("seqdropout", "phantom", "-o", work / "phantom", "--train", n_patients, "--val", 0, "--test", 0)
    run_once(done / "phantom", *phantom, "-np", 2)
    validation = lay_out(work, arguments.train)
    models = {}
    for cohort, (number, name) in DATASETS.items():
        dataset = ("-d", number)
        convert = ("seqdropout", "convert", "hospital_a", work / "cohorts" / cohort, *dataset, "-n", name)
        # the small phantom's series lie on one grid
        run_once(done / f"{cohort}_convert", *convert, "--val", *validation, "--register", "never", "-np", 2)
        plan = ("nnUNetv2_plan_and_preprocess", *dataset, "-c", "2d", "-np", 2)
        run_once(done / f"{cohort}_plan", *plan, quiet=True)
        how = ("-tr", arguments.trainer, "-device", arguments.device)
        run_once(done / f"{cohort}_train", "nnUNetv2_train", number, "2d", "0", *how, "--c", quiet=True)
        folder = f"Dataset0{number}_{name}/{arguments.trainer}__nnUNetPlans__2d"
        models[cohort] = Path(os.environ["nnUNet_results"], folder)
        for group in ("incomplete", "complete"):
            out, labels = work / "predictions" / cohort / group, work / "labels" / group
            predict = ("seqdropout", "predict", "-i", work / "tests" / group, "--layout", "hospital_a", "-o", out)
            options = ("-m", models[cohort], "-f", "0", "-device", arguments.device, "--save_probabilities", "--c")
            run_once(done / f"{cohort}_predict_{group}", *predict, *options)
            evaluate = ("seqdropout", "evaluate", "-gt", labels, "-p", out, "-o", work / "evaluation" / cohort / group)
            run_once(done / f"{cohort}_evaluate_{group}", *evaluate, "--name", cohort, "--no-report", "-np", 2)
    for group in ("incomplete", "complete"):
        sides = [work / "evaluation" / cohort / group for cohort in ("mixed", "complete")]
        run_once(done / f"compare_{group}", "seqdropout", "compare", *sides, "-o", work / "comparison" / group)
    print(f"\nBudget: {budget(models)} windows of each training.\n\n{table(work / 'evaluation')}\n")
    print("Synthetic patients, and one training of each kind: the interval is over patients, not over trainings.")
    print(f"Reports: {work / 'comparison'}. This run took {(time.monotonic() - started) / 60:.1f} minutes.")


def lay_out(work: Path, n_train: int) -> list[str]:
    """Deals the phantom's patients out: training, validation, test, each kind in turn; returns who validates.

    ``cohorts/{mixed,complete}/<patient>``, ``tests/{incomplete,complete}/<patient>`` without the images that he lacks,
    and the test patients' ``labels/{incomplete,complete}/<patient>.nii.gz``.
    """
    validation = []
    for i, patient in enumerate(sorted((work / "phantom" / "hospital_a" / "train").iterdir())):
        turn, absent = i // len(ABSENT), ABSENT[i % len(ABSENT)]
        group = "incomplete" if absent else "complete"
        targets = [Path("tests", group)]
        if turn < n_train:
            targets = [Path("cohorts", "mixed"), *([] if absent else [Path("cohorts", "complete")])]
        elif turn < n_train + VALIDATION:
            targets = [Path("cohorts", "mixed"), Path("cohorts", "complete")]
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
        cohort: pd.concat([read_evaluation(evaluations / cohort / g).cases for g in ("incomplete", "complete")])
        for cohort in DATASETS
    }
    complete, mixed = (cases[cohort].set_index("case").sort_index() for cohort in ("complete", "mixed"))
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
