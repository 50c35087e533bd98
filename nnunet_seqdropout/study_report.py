"""What came out of a study, gathered from its folders into tables and one page."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from dataset_conversion.dataset_json import read_json
from dataset_conversion.images import staged
from evaluation.comparison import compare_with_all
from evaluation.figures import learning_figure, write_figures
from evaluation.results import read_evaluation
from evaluation.study_page import Question, StudyResults, write_study_page
from evaluation.subset_results import SubsetResults, joined, read_subset_results
from nnunet_seqdropout.study_design import Arm
from nnunet_seqdropout.study_folder import Study
from nnunet_seqdropout.study_state import Record
from nnunet_seqdropout.study_steps import Steps
from nnunet_seqdropout.training import GPU_MEBIBYTES


def write_study_report(study: Study, steps: Steps) -> Path:
    """Writes ``report.html``, ``arms.csv``, ``learning.csv``, ``table.csv``, ``comparisons.csv`` and the figures."""
    trained = {arm.name: _trained(study, arm) for arm in study.design.arms}
    arms = pd.DataFrame(_arms(study, steps, trained))
    learning = pd.concat(_learning(trained), ignore_index=True)
    questions = list(_questions(study))
    results = StudyResults(
        title=f"{study.design.reference} against {len(study.design.arms) - 1} other models",
        synthetic=study.cohort.synthetic,
        facts=_facts(study, steps),
        arms=arms,
        learning=learning,
        questions=questions,
        subsets={arm.name: _subsets(study, arm) for arm in study.arms_for_subsets},
        warnings=[*_one_training(study), *_warnings(arms, questions)],
    )
    with staged(study.folder) as stage:
        arms.to_csv(stage / "arms.csv", index=False)
        learning.to_csv(stage / "learning.csv", index=False)
        pd.concat([_table(question) for question in questions]).to_csv(stage / "table.csv", index=False)
        compared = [question.comparison.assign(question=question.title) for question in questions]
        pd.concat(compared).to_csv(stage / "comparisons.csv", index=False)
        learning_figure(learning, study.design.names).savefig(stage / "learning.png", dpi=150)
    for question in questions:
        write_figures(study.folder / "evaluations" / question.folder, question.evaluations)
    return write_study_page(study.folder, results)


def _questions(study: Study) -> Iterator[Question]:
    design = study.design
    for scenario in design.scenarios:
        for target in design.targets:
            folders = {arm.name: study.evaluation(arm, scenario, target) for arm in design.arms}
            found = {name: read_evaluation(folder) for name, folder in folders.items()}
            evaluations = list(found.values())
            reports = {name: folder.relative_to(study.folder) / "report.html" for name, folder in folders.items()}
            yield Question(
                title=f"{target}, {scenario}".replace("_", " "),
                folder=f"{scenario}/{target}",
                sequences=study.available[scenario],
                evaluations=evaluations,
                comparison=compare_with_all(evaluations[0], evaluations[1:]),
                reports={name: file.as_posix() for name, file in reports.items()},
            )


def _subsets(study: Study, arm: Arm) -> SubsetResults:
    return joined([read_subset_results(study.subsets(arm, part)) for part in study.tested])


def _table(question: Question) -> pd.DataFrame:
    """A row per model and metric: ``question, arm, metric, mean, sd, ci_low, ci_high, n, n_undefined``."""
    rows = [
        {"question": question.title, "arm": evaluation.name, "metric": metric, **average}
        for evaluation in question.evaluations
        for metric, average in evaluation.summary["metrics"].items()
    ]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Trained:
    """One model. folder: of its fold. curves: what nnU-Net logged, a value for every epoch."""

    folder: Path
    n_parameters: int
    curves: Mapping[str, Sequence[float]]

    @property
    def seconds(self) -> float:
        """Of all epochs, those before an interruption too."""
        times = zip(self.curves["epoch_start_timestamps"], self.curves["epoch_end_timestamps"], strict=True)
        return sum(end - start for start, end in times)

    @property
    def gpu_mebibytes(self) -> float:
        """NaN on a CPU."""
        return max((peak for peak in self.curves.get(GPU_MEBIBYTES, ()) if not math.isnan(peak)), default=math.nan)


def _trained(study: Study, arm: Arm) -> dict[str, _Trained]:
    """All models that the arm has trained, by step."""
    return {
        step: _read(study.model(arm, scenario) / f"fold_{fold}")
        for scenario in study.design.scenarios
        for step, fold in zip(study.training_steps(arm, scenario), study.design.folds, strict=True)
    }


def _read(fold: Path) -> _Trained:
    """From the study's own checkpoint, written by nnU-Net.

    Running statistics are no parameters; nor does what nnU-Net's decoder holds of its encoder count twice.
    """
    checkpoint = torch.load(fold / "checkpoint_final.pth", map_location="cpu", weights_only=False)
    counted = {
        tensor.data_ptr(): tensor.numel()
        for name, tensor in checkpoint["network_weights"].items()
        if name.rpartition(".")[2] in ("weight", "bias")
    }
    return _Trained(fold, sum(counted.values()), checkpoint["logging"])


def _arms(study: Study, steps: Steps, trained: Mapping[str, Mapping[str, _Trained]]) -> Iterator[dict[str, Any]]:
    for arm in study.design.arms:
        models = list(trained[arm.name].values())
        seen = [read_json(model.folder.parent / "plans.json", dict)["seqdropout"] for model in models]
        slices = [s["epochs"] * s["iterations_per_epoch"] * s["slices_per_iteration"] for s in seen]
        training = [record for name in trained[arm.name] if (record := steps.state.record(name)) is not None]
        tests = [f"predict/{scenario}/{arm.name}/test" for scenario in study.design.scenarios]
        testing = [record for name in tests if (record := steps.state.record(name)) is not None]
        whole = not any(record.resumed for record in testing)
        yield {
            "arm": arm.name,
            "trainer": arm.trainer,
            "configuration": study.configuration(arm),
            "sequences": "; ".join(dict.fromkeys("+".join(study.sequences(arm, s)) for s in study.design.scenarios)),
            "n_models": len(models),
            "parameters": models[0].n_parameters,
            "slices_per_iteration": seen[0]["slices_per_iteration"],
            "slices": min(slices),
            "slices_most": max(slices),
            "training_minutes": sum(model.seconds for model in models) / len(models) / 60,
            "seconds_per_volume": _mean_seconds(testing) / len(study.test_cases) if whole else float("nan"),
            "gpu_mebibytes_training": max(model.gpu_mebibytes for model in models),
            "mebibytes_training": _most_mebibytes(training),
            "mebibytes_prediction": _most_mebibytes(testing),
        }


def _most_mebibytes(records: Sequence[Record]) -> float:
    """Of the runs that did all of their step; NaN where there is none."""
    return max((record.mebibytes for record in records if not record.resumed), default=math.nan)


def _mean_seconds(records: Sequence[Record]) -> float:
    return sum(record.seconds for record in records) / len(records)


def _learning(trained: Mapping[str, Mapping[str, _Trained]]) -> Iterator[pd.DataFrame]:
    for arm, models in trained.items():
        for model in models.values():
            yield pd.DataFrame(
                {
                    "arm": arm,
                    "data": model.folder.parent.parent.name,
                    "fold": model.folder.name,
                    "epoch": range(len(model.curves["train_losses"])),
                    "train_loss": model.curves["train_losses"],
                    "val_loss": model.curves["val_losses"],
                    "pseudo_dice": model.curves["ema_fg_dice"],
                }
            )


def _facts(study: Study, steps: Steps) -> dict[str, str]:
    design, cohort = study.design, study.cohort
    threshold = {
        "youden": "Youden index over the pooled voxels of the validation patients, for each model and each pattern of "
        "sequences; what no test patient has is taken from the validation patients too",
        "argmax": "none: the most probable label",
    }.get(str(design.threshold), f"the lowest with {design.threshold} false positives per validation patient at most")
    if len(design.folds) > 1 and design.threshold != "argmax":
        threshold += "; chosen on each fold's own model, applied to their ensemble"
    each = [f"fold {n}: {len(cohort.splits[n]['train'])} / {len(cohort.splits[n]['val'])}" for n in design.folds]
    whose = ", the validation patients of all folds" if design.test == "cross_validation" else ""
    budget, configurations = design.budget, ", ".join(dict.fromkeys(map(study.configuration, design.arms)))
    trained = [record for step in steps.of(None) if step.stage == "train" and (record := steps.state.record(step.name))]
    versions = {f"{package} {number}" for record in trained for package, number in record.versions.items()}
    devices = {word for record in trained for word in record.how if word in ("cuda", "cpu", "mps")}
    available = "; ".join(f"{name.replace('_', ' ')}: {', '.join(has)}" for name, has in study.available.items())
    return {
        "Data": f"{cohort.folder.name}, patients to train / to validate: {'; '.join(each)}; "
        f"{len(study.test_cases)} to test{whose}",
        "Sequences": ", ".join(cohort.channel_names),
        "All test patients have": available,
        "Budget": f"{budget.epochs} epochs of {budget.slices_per_epoch:,} slices for every model, seed {design.seed}",
        "Configuration": f"{configurations}, {design.plans}; mirroring {'on' if design.mirroring else 'off'}",
        "Threshold": threshold,
        "Trained on": f"{', '.join(sorted(devices))}; {', '.join(sorted(versions))}",
    }


def _one_training(study: Study) -> Iterator[str]:
    """Where every test patient has every sequence, the dedicated model is the one that would be given zeros."""
    arms_of: dict[tuple[str, ...], list[str]] = {}
    for arm in study.design.arms:
        trainings = [step for scenario in study.design.scenarios for step in study.training_steps(arm, scenario)]
        arms_of.setdefault(tuple(trainings), []).append(arm.name)
    for names in arms_of.values():
        if len(names) > 1:
            yield f"{' and '.join(names)} are one and the same training: their rows say the same, and count twice."


def _warnings(arms: pd.DataFrame, questions: Sequence[Question]) -> list[str]:
    """A batch does not always divide the budget; a patient may not have been evaluated."""
    warnings = []
    least, most = arms["slices"].min(), arms["slices_most"].max()
    if most > 1.01 * least:
        warnings.append(f"The models were not trained on equally many slices: from {least:,} to {most:,}.")
    for question in questions:
        for evaluation in question.evaluations:
            left_out = [case for case, outcome in evaluation.summary["cases"].items() if outcome["status"] != "ok"]
            if left_out:
                warnings.append(f"{question.title}, {evaluation.name}: without {', '.join(left_out)}.")
        warnings += question.evaluations[0].summary["warnings"]
    return list(dict.fromkeys(warnings))
