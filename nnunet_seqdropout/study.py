"""The paper's experiment on one converted data set: every arm trained alike, tested alike, compared in one report."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dataset_conversion.sequences import pattern
from nnunet_seqdropout.study_data import link_dataset, link_images, link_labels, write_if_new
from nnunet_seqdropout.study_design import Arm
from nnunet_seqdropout.study_folder import Study
from nnunet_seqdropout.study_state import State
from nnunet_seqdropout.study_steps import Step, Steps
from nnunet_seqdropout.study_trainers import trainer_name, write_trainers
from nnunet_seqdropout.subsets import subsets


def prepare(study: Study) -> Steps:
    """Writes the links and the trainers, one process at a time; the steps that are to be run."""
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
    pairs = [(arm, scenario) for scenario in study.design.scenarios for arm in study.design.arms]
    for sequences in study.sequence_sets:
        serves = frozenset(arm.name for arm, scenario in pairs if study.sequences(arm, scenario) == sequences)
        if serves:
            yield _plan(study, sequences, serves)
    trainings = [_train(study, *pair, fold, trainers[pair[0].name]) for pair in pairs for fold in study.design.folds]
    yield from {step.name: step for step in trainings}.values()
    for arm, scenario in pairs:
        yield from _predict(study, arm, scenario)
    for arm, scenario in pairs:
        for target in study.design.targets:
            yield _evaluate(study, arm, scenario, target)
    for arm in study.arms_for_subsets:
        yield _subsets(study, arm)


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


def _train(study: Study, arm: Arm, scenario: str, fold: int, trainer: Path) -> Step:
    raw = study.raw(study.sequences(arm, scenario))
    words = (str(study.dataset_id(study.sequences(arm, scenario))), study.configuration(arm), str(fold))
    serves = [
        other.name
        for other in study.design.arms
        for at in study.design.scenarios
        if study.training_name(other, at, fold) == study.training_name(arm, scenario, fold)
    ]
    results = study.model(arm, scenario) / f"fold_{fold}"
    # without augmentation workers a training on the CPU can be repeated to the bit
    alone = {"nnUNet_n_proc_DA": "0"} if study.machine.device == "cpu" else {}
    gpus = ("-num_gpus", str(study.machine.n_gpus)) if study.machine.n_gpus > 1 else ()
    return Step(
        name=study.training_name(arm, scenario, fold),
        commands=[("nnUNetv2_train", *words, "-tr", trainer_name(arm), "-p", study.design.plans)],
        how=("--c", "-device", study.machine.device, *gpus),
        environment=alone,
        inputs=[trainer, raw],  # the plan tells nothing of who validates
        after=[f"plan/{raw.name}"],
        outputs=[results / "checkpoint_final.pth", results / "validation" / "summary.json"],
        folder=results,
        arms=frozenset(serves),
    )


def _predict(study: Study, arm: Arm, scenario: str) -> Iterator[Step]:
    if study.design.threshold != "argmax":
        yield _predict_part(study, arm, scenario, "val", study.validated)
    yield _predict_part(study, arm, scenario, "test", study.tested)


def _predict_part(study: Study, arm: Arm, scenario: str, part: str, inputs: Mapping[str, Sequence[int]]) -> Step:
    sequences, target = study.sequences(arm, scenario), study.predictions(arm, scenario, part)
    dropped = (
        study.absent_in_validation(scenario) if part == "val" else study.cohort.named(study.design.scenarios[scenario])
    )
    drop = [word for name in dropped if name in sequences for word in ("--drop", name)]
    commands = []
    for images, folds in inputs.items():
        words = ["seqdropout", "predict", "-i", str(study.images(sequences, images)), "-o", str(target)]
        words += ["-m", str(study.model(arm, scenario)), "-f", *map(str, folds), "--argmax", *drop]
        words += [*_target_words(study, next(iter(study.design.targets))), *_mirroring_words(study)]
        if study.design.threshold != "argmax":
            words += ["--save_probabilities", "float32"]
        commands.append(words)
    return Step(
        name=f"predict/{scenario}/{arm.name}/{part}",
        commands=commands,
        how=("--continue_prediction", "-device", study.machine.device),
        inputs=[study.images(sequences, images) for images in inputs],
        after=study.training_steps(arm, scenario),
        outputs=[target],
        folder=target,
        arms=frozenset([arm.name]),
    )


def _evaluate(study: Study, arm: Arm, scenario: str, target: str) -> Step:
    threshold, after = [], [f"predict/{scenario}/{arm.name}/test"]
    if study.design.threshold != "argmax":
        validation = study.predictions(arm, scenario, "val")
        threshold = ["--val-gt", str(study.references / "val"), "--val-p", str(validation)]
        after.append(f"predict/{scenario}/{arm.name}/val")
    if isinstance(study.design.threshold, int | float):
        threshold += ["--fp-budget", str(study.design.threshold)]
    pictures, sequences = [], study.sequences(arm, scenario)
    if study.background in study.available[scenario]:
        pictures = ["-i", str(study.images(sequences, "test")), "--background", str(study.background)]
    folders = ["-gt", study.references / "test", "-p", study.predictions(arm, scenario, "test")]
    output = study.evaluation(arm, scenario, target)
    words = [*map(str, folders), "-o", str(output), "--name", arm.name, *_measured_words(study, target)]
    return Step(
        name=f"evaluate/{scenario}/{target}/{arm.name}",
        commands=[["seqdropout", "evaluate", *words, *threshold, *pictures]],
        how=("-np", str(study.machine.n_workers)),
        inputs=[study.references / "test", study.references / "val", study.references / "manifest.json"],
        after=after,
        outputs=[output],
        folder=output,
        arms=frozenset([arm.name]),
    )


def _subsets(study: Study, arm: Arm) -> Step:
    scenario, target = next(iter(study.design.scenarios)), next(iter(study.design.targets))
    threshold, after = [], study.training_steps(arm, scenario)
    if study.design.threshold != "argmax":
        threshold = ["--threshold-file", study.evaluation(arm, scenario, target) / "thresholds.json"]
        after = [f"evaluate/{scenario}/{target}/{arm.name}"]
    has = study.available[scenario]
    kept = sorted(subsets([True] * len(has)), key=sum, reverse=True)
    patterns = ["--patterns", *(pattern(each, has) for each in kept)]
    options = [*threshold, *_measured_words(study, target), *_mirroring_words(study), *patterns]
    images = {part: study.images(study.sequences(arm, scenario), part) for part in study.tested}
    commands = []
    for part, folds in study.tested.items():
        folders = ["-i", images[part], "-gt", study.references / "test", "-o", study.subsets(arm, part)]
        model = ["-m", study.model(arm, scenario), "-f", *folds]
        commands.append([str(word) for word in ["seqdropout", "subsets", *folders, *model, *options]])
    output = study.folder / "subsets" / arm.name
    return Step(
        name=f"subsets/{arm.name}",
        commands=commands,
        how=("-device", study.machine.device),
        inputs=[*images.values(), study.references / "test"],
        after=after,
        outputs=[output],
        folder=output,
        arms=frozenset([arm.name]),
    )


def _target_words(study: Study, target: str) -> list[str]:
    return ["--region", ",".join(map(str, study.design.targets[target]))]


def _measured_words(study: Study, target: str) -> list[str]:
    return [*_target_words(study, target), "--min-volume-mm3", f"{study.design.min_volume_mm3:g}"]


def _mirroring_words(study: Study) -> list[str]:
    return [] if study.design.mirroring else ["--disable_tta"]
