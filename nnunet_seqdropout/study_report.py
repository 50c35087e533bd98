"""What came out of a study, gathered from its folders into tables and one page."""

import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from dataset_conversion.dataset_json import read_json
from dataset_conversion.images import staged
from evaluation.comparison import compare_with_all
from evaluation.figures import learning_figure, write_figures
from evaluation.results import Evaluation, read_evaluation
from evaluation.study_page import Question, StudyResults, write_study_page
from evaluation.subset_results import read_subset_results
from nnunet_seqdropout.study_design import Arm
from nnunet_seqdropout.study_folder import Study
from nnunet_seqdropout.study_steps import Steps


def write_study_report(study: Study, steps: Steps) -> Path:
    """Writes ``report.html``, ``arms.csv``, ``learning.csv``, ``table.csv``, ``comparison.csv`` and the figures."""
    arms, learning = pd.DataFrame(_arms(study, steps)), pd.concat(_learning(study), ignore_index=True)
    questions = list(_questions(study))
    results = StudyResults(
        title=f"{study.design.reference} against {len(study.design.arms) - 1} other models",
        synthetic=study.cohort.synthetic,
        facts=_facts(study),
        arms=arms,
        learning=learning,
        questions=questions,
        subsets={arm.name: read_subset_results(study.subsets(arm)) for arm in study.tests_subsets},
        warnings=_warnings(arms),
    )
    with staged(study.folder) as stage:
        arms.to_csv(stage / "arms.csv", index=False)
        learning.to_csv(stage / "learning.csv", index=False)
        pd.concat([_table(question) for question in questions]).to_csv(stage / "table.csv", index=False)
        compared = [question.comparison.assign(question=question.title) for question in questions]
        pd.concat(compared).to_csv(stage / "comparison.csv", index=False)
        learning_figure(learning, study.design.names).savefig(stage / "learning.png", dpi=150)
    for question in questions:
        write_figures(study.folder / "figures" / question.title.replace(" ", "_"), question.evaluations)
    return write_study_page(study.folder, results)


def _questions(study: Study) -> Iterator[Question]:
    design = study.design
    for scenario in design.scenarios:
        for target in design.targets:
            folders = {arm.name: study.evaluation(arm, scenario, target) for arm in design.arms}
            found = {name: read_evaluation(folder) for name, folder in folders.items()}
            order = sorted(found, key=lambda name: name != design.reference)
            evaluations = [found[name] for name in order]
            reports = {name: folder.relative_to(study.folder) / "report.html" for name, folder in folders.items()}
            yield Question(
                title=f"{target}, {scenario}".replace("_", " "),
                sequences=study.available[scenario],
                evaluations=evaluations,
                comparison=compare_with_all(evaluations[0], evaluations[1:]),
                reports={name: file.as_posix() for name, file in reports.items()},
            )


def _table(question: Question) -> pd.DataFrame:
    """A row per model and metric: ``question, arm, metric, mean, sd, ci_low, ci_high, n, n_undefined``."""
    rows = [
        {"question": question.title, "arm": evaluation.name, "metric": metric, **average}
        for evaluation in question.evaluations
        for metric, average in _metrics(evaluation).items()
    ]
    return pd.DataFrame(rows)


def _metrics(evaluation: Evaluation) -> dict[str, dict]:
    return dict(evaluation.summary["metrics"])


def _trained(study: Study, arm: Arm) -> dict[str, Path]:
    """The fold folders of all models that the arm has trained, by step."""
    return {
        step: study.model(arm, scenario) / f"fold_{fold}"
        for scenario in study.design.scenarios
        for step, fold in zip(study.training_steps(arm, scenario), study.design.folds, strict=True)
    }


def _arms(study: Study, steps: Steps) -> Iterator[dict[str, Any]]:
    for arm in study.design.arms:
        trained = _trained(study, arm)
        checkpoints = [_checkpoint(folder) for folder in trained.values()]
        settings = read_json(next(iter(trained.values())).parent / "plans.json", dict)["seqdropout"]
        tested = [f"predict/{scenario}/{arm.name}/test" for scenario in study.design.scenarios]
        records = {name: record for name in (*trained, *tested) if (record := steps.record(name)) is not None}
        volumes = len(study.test_cases) * len(tested)
        yield {
            "arm": arm.name,
            "trainer": arm.trainer,
            "sequences": "; ".join(dict.fromkeys("+".join(study.sequences(arm, s)) for s in study.design.scenarios)),
            "n_models": len(trained),
            "parameters": _n_parameters(checkpoints[0]),
            "slices_per_iteration": settings["slices_per_iteration"],
            "slices": settings["epochs"] * settings["iterations_per_epoch"] * settings["slices_per_iteration"],
            "training_minutes": sum(map(_training_seconds, checkpoints)) / len(checkpoints) / 60,
            "seconds_per_volume": sum(records[name].seconds for name in tested) / volumes,
            "mebibytes": max(record.mebibytes for record in records.values()),
        }


def _learning(study: Study) -> Iterator[pd.DataFrame]:
    for arm in study.design.arms:
        for folder in _trained(study, arm).values():
            curves = _checkpoint(folder)["logging"]
            yield pd.DataFrame(
                {
                    "arm": arm.name,
                    "data": folder.parent.parent.name,
                    "fold": folder.name,
                    "epoch": range(len(curves["train_losses"])),
                    "train_loss": curves["train_losses"],
                    "val_loss": curves["val_losses"],
                    "pseudo_dice": curves["ema_fg_dice"],
                }
            )


def _checkpoint(folder: Path) -> dict[str, Any]:
    """The study's own file, written by nnU-Net."""
    return torch.load(folder / "checkpoint_final.pth", map_location="cpu", weights_only=False)


def _training_seconds(checkpoint: dict[str, Any]) -> float:
    """Of all epochs, those before an interruption too."""
    curves = checkpoint["logging"]
    return sum(e - s for s, e in zip(curves["epoch_start_timestamps"], curves["epoch_end_timestamps"], strict=True))


def _n_parameters(checkpoint: dict[str, Any]) -> int:
    """Running statistics do not count; nor does what nnU-Net's decoder holds of its encoder count twice."""
    counted = {
        tensor.data_ptr(): tensor.numel()
        for name, tensor in checkpoint["network_weights"].items()
        if name.rpartition(".")[2] in ("weight", "bias")
    }
    return sum(counted.values())


def _facts(study: Study) -> dict[str, str]:
    design, cohort = study.design, study.cohort
    threshold = {
        "youden": "Youden index over the pooled voxels of the validation patients, for each model",
        "argmax": "none: the most probable label",
    }.get(str(design.threshold), f"the lowest with {design.threshold} false positives per validation patient at most")
    n_training = len(cohort.training) - len(study.validation_cases)
    if design.test == "imagesTs":
        patients = f"{n_training} to train, {len(study.validation_cases)} to validate, {len(study.test_cases)} to test"
    else:
        patients = (
            f"{len(cohort.training)} in {len(design.folds)} folds, each tested by the models that did not see him"
        )
    budget = design.budget
    packages = ("nnunet_seqdropout", "nnunetv2", "torch")
    return {
        "Data": f"{cohort.folder.name}: {patients}",
        "Sequences": ", ".join(cohort.channel_names),
        "Test patients have": "; ".join(f"{n.replace('_', ' ')}: {', '.join(s)}" for n, s in study.available.items()),
        "Budget": f"{budget.epochs} epochs of {budget.slices_per_epoch:,} slices for every model, seed {design.seed}",
        "Configuration": f"{design.configuration}, {design.plans}, folds {', '.join(map(str, design.folds))}",
        "Threshold": threshold,
        "Machine": f"{study.machine.device}, {platform.machine()}, Python {platform.python_version()}",
        "Versions": ", ".join(f"{package} {version(package)}" for package in packages),
    }


def _warnings(arms: pd.DataFrame) -> list[str]:
    """A batch does not always divide the budget."""
    least, most = arms["slices"].min(), arms["slices"].max()
    if most > 1.01 * least:
        return [f"The models were not trained on equally many slices: from {least:,} to {most:,}."]
    return []
