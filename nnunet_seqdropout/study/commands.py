"""Prepares the paper's experiment on one raw data set: links, trainers, and the commands of all its steps."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dataset_conversion.sequences import Pattern
from nnunet_seqdropout.study.checks import require_possible
from nnunet_seqdropout.study.folder import Study
from nnunet_seqdropout.study.links import link_dataset, link_images, link_labels, write_if_new
from nnunet_seqdropout.study.runs import Run
from nnunet_seqdropout.study.state import State
from nnunet_seqdropout.study.steps import Step, Steps
from nnunet_seqdropout.study.trainers import trainer_name, write_trainers
from nnunet_seqdropout.subsets import subsets

REPEATABLE = {"nnUNet_n_proc_DA": "0", "MKL_CBWR": "AUTO,STRICT"}
"""For trainings on a CPU, to give the same weights again: no workers that overtake each other, and sums of MKL whose
rounding does not depend on where in memory its numbers lie."""


def prepare_study(study: Study) -> Steps:
    """Writes the links and the trainers, one process at a time; the steps that are to be run.

    Raises Fault where the study could not come to its end, before anything is written.
    """
    require_possible(study)
    state = State(study.folder)
    with state.locked("prepare"):
        _link(study)
        trainers = write_trainers(study.folder / "trainers", study.design)
    return Steps(state, _steps(study, trainers), study.environment)


def _link(study: Study) -> None:
    test_subset = "Ts" if study.design.test == "imagesTs" else "Tr"
    for sequences in study.sequence_sets:
        link_dataset(study.cohort, sequences, study.raw(sequences))
        for fold in study.design.folds:
            cases, folder = study.cohort.splits[fold]["val"], study.images(sequences, f"val_{fold}")
            link_images(study.cohort, cases, sequences, folder, subset="Tr")
        link_images(study.cohort, study.test_cases, sequences, study.images(sequences, "test"), subset=test_subset)
    link_labels(study.cohort, study.test_cases, study.references / "test", subset=test_subset)
    link_labels(study.cohort, study.validation_cases, study.references / "val", subset="Tr")
    write_if_new(study.references / "manifest.json", {"settings": {"synthetic": study.cohort.synthetic}})


def _steps(study: Study, trainers: dict[str, Path]) -> Iterator[Step]:
    """In the order in which they can run, stage by stage."""
    pairs = [(run, scenario) for scenario in study.design.scenarios for run in study.runs]
    for sequences in study.sequence_sets:
        serves = frozenset(run.arm.name for run, scenario in pairs if study.sequences(run.arm, scenario) == sequences)
        if serves:
            yield _plan(study, sequences, serves)
    trainings = [_train(study, *pair, fold, trainers[pair[0].name]) for pair in pairs for fold in study.design.folds]
    yield from {step.name: step for step in trainings}.values()
    for run, scenario in pairs:
        yield from _predict(study, run, scenario)
    for run, scenario in pairs:
        for target in study.design.targets:
            yield _evaluate(study, run, scenario, target)
    for arm in study.design.arms:
        yield from (_subsets(study, run) for run in study.runs_for_subsets(arm))


def _plan(study: Study, sequences: tuple[str, ...], serves: frozenset[str]) -> Step:
    raw = study.raw(sequences)
    preprocessed = study.folder / "nnUNet_preprocessed" / raw.name
    workers = str(study.machine.n_workers)
    configurations = dict.fromkeys(study.configuration(arm) for arm in study.design.arms if arm.name in serves)
    command = ("nnUNetv2_plan_and_preprocess", "-d", str(study.dataset_id(sequences)), *study.design.planning)
    return Step(
        name=f"plan/{raw.name}",
        commands=[(*command, "-c", *configurations, "--verify_dataset_integrity", "--clean")],
        how=("-np", workers, "-npfp", workers),
        inputs=[raw],
        outputs=[preprocessed / name for name in ("dataset_fingerprint.json", f"{study.design.plans}.json")],
        folder=preprocessed,
        arms=serves,
    )


def _train(study: Study, run: Run, scenario: str, fold: int, trainer: Path) -> Step:
    raw = study.raw(study.sequences(run.arm, scenario))
    words = (str(study.dataset_id(study.sequences(run.arm, scenario))), study.configuration(run.arm), str(fold))
    serves = [
        other.arm.name
        for other in study.runs
        for at in study.design.scenarios
        if study.training_name(other, at, fold) == study.training_name(run, scenario, fold)
    ]
    results = study.model(run, scenario) / f"fold_{fold}"
    # without augmentation workers a training on the CPU can be repeated to the bit
    alone = REPEATABLE if study.machine.device == "cpu" else {}
    gpus = ("-num_gpus", str(study.machine.n_gpus)) if study.machine.n_gpus > 1 else ()
    return Step(
        name=study.training_name(run, scenario, fold),
        commands=[("nnUNetv2_train", *words, "-tr", trainer_name(run), "-p", study.design.plans)],
        how=("--c", "-device", study.machine.device, *gpus),
        environment=alone,
        inputs=[trainer, raw],  # the plan tells nothing of who validates
        after=[f"plan/{raw.name}"],
        outputs=[results / "checkpoint_final.pth", results / "validation" / "summary.json"],
        folder=results,
        arms=frozenset(serves),
    )


def _predict(study: Study, run: Run, scenario: str) -> Iterator[Step]:
    if study.design.threshold != "argmax":
        yield _predict_part(study, run, scenario, "val", study.validated)
    yield _predict_part(study, run, scenario, "test", study.tested)


def _predict_part(study: Study, run: Run, scenario: str, part: str, inputs: Mapping[str, Sequence[int]]) -> Step:
    sequences, target = study.sequences(run.arm, scenario), study.predictions(run, scenario, part)
    dropped = (
        study.absent_in_validation(scenario) if part == "val" else study.cohort.named(study.design.scenarios[scenario])
    )
    drop = [word for name in dropped if name in sequences for word in ("--drop", name)]
    commands = []
    for images, folds in inputs.items():
        words = ["seqdropout", "predict", "-i", str(study.images(sequences, images)), "-o", str(target)]
        words += ["-m", str(study.model(run, scenario)), "-f", *map(str, folds), "--argmax", *drop]
        words += [*_target_words(study, next(iter(study.design.targets))), *_mirroring_words(study)]
        if study.design.threshold != "argmax":
            words += ["--save_probabilities", "float32"]
        commands.append(words)
    return Step(
        name=f"predict/{scenario}/{run.name}/{part}",
        commands=commands,
        how=("--continue_prediction", *study.machine.predicting),
        inputs=[study.images(sequences, images) for images in inputs],
        after=study.training_steps(run, scenario),
        outputs=[target],
        folder=target,
        arms=frozenset([run.arm.name]),
    )


def _evaluate(study: Study, run: Run, scenario: str, target: str) -> Step:
    threshold, after = [], [f"predict/{scenario}/{run.name}/test"]
    if study.design.threshold != "argmax":
        validation = study.predictions(run, scenario, "val")
        threshold = ["--val-gt", str(study.references / "val"), "--val-p", str(validation)]
        after.append(f"predict/{scenario}/{run.name}/val")
    if isinstance(study.design.threshold, int | float):
        threshold += ["--fp-budget", str(study.design.threshold)]
    elif study.design.threshold == "youden":
        threshold += ["--threshold-from", "youden"]
    pictures, sequences = [], study.sequences(run.arm, scenario)
    if study.background in study.available[scenario]:
        pictures = ["-i", str(study.images(sequences, "test")), "--background", str(study.background)]
    folders = ["-gt", study.references / "test", "-p", study.predictions(run, scenario, "test")]
    output = study.evaluation(run, scenario, target)
    words = [*map(str, folders), "-o", str(output), "--name", run.name, *_measured_words(study, target)]
    return Step(
        name=f"evaluate/{scenario}/{target}/{run.name}",
        commands=[["seqdropout", "evaluate", *words, *threshold, *pictures]],
        how=("-np", str(study.machine.n_workers)),
        inputs=[study.references / "test", study.references / "val", study.references / "manifest.json"],
        after=after,
        outputs=[output],
        folder=output,
        arms=frozenset([run.arm.name]),
    )


def _subsets(study: Study, run: Run) -> Step:
    scenario, target = next(iter(study.design.scenarios)), next(iter(study.design.targets))
    threshold, after = [], study.training_steps(run, scenario)
    if study.design.threshold != "argmax":
        threshold = ["--threshold-file", study.evaluation(run, scenario, target) / "thresholds.json"]
        after = [f"evaluate/{scenario}/{target}/{run.name}"]
    has = study.available[scenario]
    kept = sorted(subsets([True] * len(has)), key=sum, reverse=True)
    patterns = ["--patterns", *(str(Pattern.of(each, has)) for each in kept)]
    options = [*threshold, *_measured_words(study, target), *_mirroring_words(study), *patterns]
    images = {part: study.images(study.sequences(run.arm, scenario), part) for part in study.tested}
    commands = []
    for part, folds in study.tested.items():
        folders = ["-i", images[part], "-gt", study.references / "test", "-o", study.subsets(run, part)]
        model = ["-m", study.model(run, scenario), "-f", *folds]
        commands.append([str(word) for word in ["seqdropout", "subsets", *folders, *model, *options]])
    output = study.folder / "subsets" / run.name
    return Step(
        name=f"subsets/{run.name}",
        commands=commands,
        how=study.machine.predicting,
        inputs=[*images.values(), study.references / "test"],
        after=after,
        outputs=[output],
        folder=output,
        arms=frozenset([run.arm.name]),
    )


def _target_words(study: Study, target: str) -> list[str]:
    return ["--region", ",".join(map(str, study.design.targets[target]))]


def _measured_words(study: Study, target: str) -> list[str]:
    return [*_target_words(study, target), "--min-volume-mm3", f"{study.design.min_volume_mm3:g}"]


def _mirroring_words(study: Study) -> list[str]:
    return [] if study.design.mirroring else ["--disable_tta"]
