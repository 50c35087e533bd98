"""Collects the results of a study from its folders and writes tables and one page."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from dataset_conversion.files.staging import staged
from dataset_conversion.files.texts.csv_files import write_csv
from dataset_conversion.plurals import n_of
from evaluation.figures.evaluation import learning_figure, write_figures
from evaluation.report.study import write_study_page
from evaluation.tables.comparison import compare_with_all
from evaluation.tables.primary import non_inferiority, primary_endpoint
from evaluation.tables.results import read_evaluation
from evaluation.tables.seeds import OfSeed, averaged, averaged_subsets
from evaluation.tables.study import Primary, Question, StudyResults, models_table, seeds_table
from evaluation.tables.subsets import SubsetResults, joined, read_subset_results
from nnunet_seqdropout.study.design.design import Arm
from nnunet_seqdropout.study.design.endpoint import not_as_declared
from nnunet_seqdropout.study.folder import Study
from nnunet_seqdropout.study.models import arms_table, learning_table, trained_models
from nnunet_seqdropout.study.runs import runs_of
from nnunet_seqdropout.study.steps import Steps


def write_study_report(study: Study, steps: Steps) -> Path:
    """Writes ``report.html``, ``arms.csv``, ``learning.csv``, ``primary.csv``, ``table.csv``, ``seeds.csv``,
    ``comparisons.csv`` and the figures; all or none."""
    trained = trained_models(study)
    arms, learning = arms_table(study, steps, trained), learning_table(trained)
    questions = list(_questions(study))
    results = StudyResults(
        title=f"{study.design.reference} against {len(study.design.arms) - 1} other models",
        synthetic=study.cohort.synthetic,
        facts=_facts(study, steps),
        arms=arms,
        learning=learning,
        questions=questions,
        subsets={arm.name: _subsets(study, arm) for arm in study.design.arms if study.runs_for_subsets(arm)},
        subset_seeds={arm.name: [run.seed for run in study.runs_for_subsets(arm)] for arm in study.design.arms},
        primary=_primary(study, questions),
        warnings=[
            *not_as_declared(study.design.endpoint, study.folder),
            *_one_training(study),
            *_warnings(arms, questions),
        ],
    )
    with staged(study.folder) as stage:
        write_csv(arms, stage / "arms.csv")
        write_csv(learning, stage / "learning.csv")
        write_csv(results.primary.rows(), stage / "primary.csv")
        write_csv(pd.concat([models_table(question) for question in questions]), stage / "table.csv")
        write_csv(pd.concat([seeds_table(question) for question in questions]), stage / "seeds.csv")
        compared = [question.comparison.assign(question=question.title) for question in questions]
        write_csv(pd.concat(compared), stage / "comparisons.csv")
        learning_figure(learning, study.design.names).savefig(stage / "learning.png", dpi=150)
        for question in questions:
            write_figures(stage / "evaluations" / question.folder, question.evaluations)
        write_study_page(stage, results)
    return study.folder / "report.html"


def _questions(study: Study) -> Iterator[Question]:
    design = study.design
    for scenario in design.scenarios:
        for target in design.targets:
            seeds = {arm.name: _of_seeds(study, arm, scenario, target) for arm in design.arms}
            evaluations = [averaged([each.evaluation for each in found], name=name) for name, found in seeds.items()]
            yield Question(
                title=f"{target}, {scenario}".replace("_", " "),
                folder=f"{scenario}/{target}",
                sequences=study.available[scenario],
                evaluations=evaluations,
                comparison=compare_with_all(evaluations[0], evaluations[1:]),
                seeds=seeds,
            )


def _primary(study: Study, questions: Sequence[Question]) -> Primary:
    endpoint = study.design.endpoint
    question = next(each for each in questions if each.folder == f"{endpoint.scenario}/{endpoint.target}")
    reference, *others = question.evaluations
    dedicated = next((each for each in others if each.name == endpoint.dedicated), None)
    return Primary(
        question.title,
        primary_endpoint(reference, others, metric=endpoint.metric),
        None
        if dedicated is None
        else non_inferiority(reference, dedicated, metric=endpoint.metric, margin=endpoint.allowed),
    )


def _of_seeds(study: Study, arm: Arm, scenario: str, target: str) -> list[OfSeed]:
    found = []
    for run in runs_of(arm, study.design):
        folder = study.evaluation(run, scenario, target)
        report = (folder.relative_to(study.folder) / "report.html").as_posix()
        found.append(OfSeed(run.seed, read_evaluation(folder), report))
    return found


def _subsets(study: Study, arm: Arm) -> SubsetResults:
    of_seeds = []
    for run in study.runs_for_subsets(arm):
        of_seeds.append(joined([read_subset_results(study.subsets(run, part)) for part in study.tested]))
    return averaged_subsets(of_seeds)


def _facts(study: Study, steps: Steps) -> dict[str, str]:
    design, cohort = study.design, study.cohort
    how = "for each model and each pattern of sequences; what no test patient has, validation patients lose, too"
    threshold = {
        "dice": f"the highest mean Dice of the validation patients, {how}",
        "youden": f"Youden index over the pooled voxels of the validation patients, {how}",
        "argmax": "none: the most probable label",
    }.get(
        str(design.threshold), f"the lowest that keeps the false positives per validation patient to {design.threshold}"
    )
    if len(design.folds) > 1 and design.threshold != "argmax":
        threshold += "; chosen on each fold's own model, applied to their ensemble"
    each = [f"fold {n}: {len(cohort.splits[n]['train'])} / {len(cohort.splits[n]['val'])}" for n in design.folds]
    whose = ", the validation patients of all folds" if design.test == "cross_validation" else ""
    budget, configurations = design.budget, ", ".join(dict.fromkeys(map(study.configuration, design.arms)))
    trained = [record for step in steps.of(None) if step.stage == "train" and (record := steps.state.record(step.name))]
    versions = {f"{package} {number}" for record in trained for package, number in record.versions.items()}
    devices = {word for record in trained for word in record.how if word in ("cuda", "cpu", "mps")}
    available = "; ".join(f"{name.replace('_', ' ')}: {', '.join(has)}" for name, has in study.available.items())
    slices = n_of(budget.slices_per_epoch, "slice")
    return {
        "Data": f"{cohort.folder.name}, patients to train / to validate: {'; '.join(each)}; "
        f"{len(study.test_cases)} to test{whose}",
        "Sequences": ", ".join(cohort.channel_names),
        "All test patients have": available,
        "Budget": f"{n_of(budget.epochs, 'epoch')} of {slices} for every model, {_seeds(study)}",
        "Configuration": f"{configurations}, {design.plans}; mirroring {'on' if design.mirroring else 'off'}",
        "Threshold": threshold,
        "Trained on": f"{', '.join(sorted(devices))}; {', '.join(sorted(versions))}",
    }


def _seeds(study: Study) -> str:
    """Those of all arms in one, or of each."""
    words = {}
    for arm in study.design.arms:
        numbers = [str(run.seed) for run in runs_of(arm, study.design)]
        words[arm.name] = f"{'seed' if len(numbers) == 1 else 'seeds'} {', '.join(numbers)}"
    each = {*words.values()}
    return each.pop() if len(each) == 1 else "; ".join(f"{name}: {those}" for name, those in words.items())


def _one_training(study: Study) -> Iterator[str]:
    """Where every test patient has every sequence, the dedicated model is the one that would be given zeros."""
    arms_of: dict[tuple[str, ...], list[str]] = {}
    for arm in study.design.arms:
        trainings = [
            step
            for run in runs_of(arm, study.design)
            for scenario in study.design.scenarios
            for step in study.training_steps(run, scenario)
        ]
        arms_of.setdefault(tuple(sorted(trainings)), []).append(arm.name)
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
        for evaluation in (each.evaluation for seeds in question.seeds.values() for each in seeds):
            left_out = [case for case, outcome in evaluation.summary["cases"].items() if outcome["status"] != "ok"]
            if left_out:
                warnings.append(f"{question.title}, {evaluation.name}: without {', '.join(left_out)}.")
        warnings += question.evaluations[0].summary["warnings"]
    return list(dict.fromkeys(warnings))
