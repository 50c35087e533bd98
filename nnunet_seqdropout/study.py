"""The paper's experiment on one converted data set: every arm trained alike, tested alike, compared in one report."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.sequences import pattern
from nnunet_seqdropout.folders import environment
from nnunet_seqdropout.study_data import Cohort, link_dataset, link_images, link_labels, write_if_new
from nnunet_seqdropout.study_design import Arm, Design
from nnunet_seqdropout.study_steps import Step, Steps
from nnunet_seqdropout.study_trainers import trainer_name, write_trainers
from nnunet_seqdropout.subsets import subsets


@dataclass(frozen=True)
class Machine:
    """How the commands run, which does not change what they compute. device: cuda, cpu or mps."""

    device: str = "cpu"
    n_gpus: int = 1
    n_workers: int = 2


class Study:
    """One design on one cohort, all below one folder: nnU-Net's folders, trainers, predictions, evaluations, report."""

    def __init__(self, folder: Path, design: Design, cohort: Cohort, machine: Machine | None = None) -> None:
        """Raises Fault where a fold or a sequence that the design names is not there."""
        self.folder, self.design, self.cohort = folder.resolve(), design, cohort
        self.machine = machine or Machine()
        self.validation_cases = cohort.validation_cases(design.folds)
        self.test_cases = cohort.test_cases if design.test == "imagesTs" else self.validation_cases
        self.available = {name: cohort.available(self.test_cases, gone) for name, gone in design.scenarios.items()}
        self.sequence_sets = list(dict.fromkeys([cohort.channel_names, *self.available.values()]))

    @property
    def environment(self) -> dict[str, str]:
        """nnU-Net's folders below the study's, and its trainers first."""
        ours = environment(self.folder)
        ours["nnUNet_extTrainer"] = os.pathsep.join([str(self.folder / "trainers"), ours["nnUNet_extTrainer"]])
        ours["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        if self.machine.device == "cpu":
            ours["nnUNet_def_n_proc"] = str(self.machine.n_workers)
        return ours

    def prepare(self) -> Steps:
        """Writes the links and the trainers; the steps that are to be run."""
        test_subset = "Ts" if self.design.test == "imagesTs" else "Tr"
        for sequences in self.sequence_sets:
            link_dataset(self.cohort, sequences, self.raw(sequences))
            for fold in self.design.folds:
                cases, folder = self.cohort.splits[fold]["val"], self.images(sequences, f"val_{fold}")
                link_images(self.cohort, cases, sequences, folder, subset="Tr")
            folder = self.images(sequences, "test")
            link_images(self.cohort, self.test_cases, sequences, folder, subset=test_subset)
        link_labels(self.cohort, self.test_cases, self.references("test"), subset=test_subset)
        link_labels(self.cohort, self.validation_cases, self.references("val"), subset="Tr")
        write_if_new(self.references("manifest.json"), self.cohort.manifest)
        trainers = write_trainers(self.folder / "trainers", self.design)
        return Steps(self.folder, self._steps(trainers), self.environment)

    def raw(self, sequences: Sequence[str]) -> Path:
        name = f"Dataset{self._dataset_id(sequences):03d}_{'_'.join(sequences)}"
        return self.folder / "nnUNet_raw" / name

    def images(self, sequences: Sequence[str], part: str) -> Path:
        return self.folder / "images" / self.raw(sequences).name / part

    def references(self, part: str) -> Path:
        return self.folder / "references" / part

    def sequences(self, arm: Arm, scenario: str) -> tuple[str, ...]:
        """What the arm is trained on."""
        return self.cohort.channel_names if arm.sequences == "all" else self.available[scenario]

    def taken(self, scenario: str) -> tuple[str, ...]:
        """The sequences that the scenario takes from the test patients, by the names of the data set."""
        return self.cohort.named(self.design.scenarios[scenario])

    def model(self, arm: Arm, scenario: str) -> Path:
        name = f"{trainer_name(arm)}__{self.design.plans}__{self.design.configuration}"
        return self.folder / "nnUNet_results" / self.raw(self.sequences(arm, scenario)).name / name

    def predictions(self, arm: Arm, scenario: str, part: str) -> Path:
        return self.folder / "predictions" / scenario / arm.name / part

    def evaluation(self, arm: Arm, scenario: str, target: str) -> Path:
        return self.folder / "evaluations" / scenario / target / arm.name

    def subsets(self, arm: Arm) -> Path:
        return self.folder / "subsets" / arm.name

    @property
    def tests_subsets(self) -> list[Arm]:
        """The arms that take any subset, where the test patients are not those of the folds."""
        return [arm for arm in self.design.arms if arm.drops and self.design.test == "imagesTs"]

    def training_steps(self, arm: Arm, scenario: str) -> list[str]:
        return [self._training_name(arm, scenario, fold) for fold in self.design.folds]

    def _training_name(self, arm: Arm, scenario: str, fold: int) -> str:
        return f"train/{trainer_name(arm)}/{self.raw(self.sequences(arm, scenario)).name}/fold_{fold}"

    def _dataset_id(self, sequences: Sequence[str]) -> int:
        return 1 + self.sequence_sets.index(tuple(sequences))

    def _steps(self, trainers: dict[str, Path]) -> Iterator[Step]:
        pairs = [(arm, scenario) for scenario in self.design.scenarios for arm in self.design.arms]
        for sequences in self.sequence_sets:
            users = frozenset(arm.name for arm, scenario in pairs if self.sequences(arm, scenario) == sequences)
            if users:
                yield self._plan(sequences, users)
        done = set()
        for arm, scenario in pairs:
            for fold in self.design.folds:
                step = self._train(arm, scenario, fold, trainers[arm.name])
                if step.name not in done:
                    done.add(step.name)
                    yield step
        for arm, scenario in pairs:
            yield from self._predict(arm, scenario)
            for target in self.design.targets:
                yield self._evaluate(arm, scenario, target)
        for arm in self.tests_subsets:
            yield self._subsets(arm)

    def _plan(self, sequences: tuple[str, ...], users: frozenset[str]) -> Step:
        raw = self.raw(sequences)
        preprocessed = self.folder / "nnUNet_preprocessed" / raw.name
        workers = str(self.machine.n_workers)
        command = ("nnUNetv2_plan_and_preprocess", "-d", str(self._dataset_id(sequences)), *self.design.planning)
        return Step(
            name=f"plan/{raw.name}",
            commands=[(*command, "-c", self.design.configuration, "--verify_dataset_integrity", "--clean")],
            how=("-np", workers, "-npfp", workers),
            inputs=[raw],
            outputs=[preprocessed / name for name in ("dataset_fingerprint.json", f"{self.design.plans}.json")],
            scratch=preprocessed,
            arms=users,
        )

    def _train(self, arm: Arm, scenario: str, fold: int, trainer: Path) -> Step:
        raw = self.raw(self.sequences(arm, scenario))
        words = (str(self._dataset_id(self.sequences(arm, scenario))), self.design.configuration, str(fold))
        users = [
            other.name
            for other in self.design.arms
            for at in self.design.scenarios
            if self._training_name(other, at, fold) == self._training_name(arm, scenario, fold)
        ]
        results = self.model(arm, scenario) / f"fold_{fold}"
        # without augmentation workers a training on the CPU can be repeated to the bit
        alone = ("env", "nnUNet_n_proc_DA=0") if self.machine.device == "cpu" else ()
        gpus = ("-num_gpus", str(self.machine.n_gpus)) if self.machine.n_gpus > 1 else ()
        return Step(
            name=self._training_name(arm, scenario, fold),
            commands=[(*alone, "nnUNetv2_train", *words, "-tr", trainer_name(arm), "-p", self.design.plans)],
            how=("--c", "-device", self.machine.device, *gpus),
            inputs=[trainer],
            after=[f"plan/{raw.name}"],
            outputs=[results / "checkpoint_final.pth", results / "validation" / "summary.json"],
            scratch=results,
            arms=frozenset(users),
        )

    def _predict(self, arm: Arm, scenario: str) -> Iterator[Step]:
        folds, all_folds = self.design.folds, [str(fold) for fold in self.design.folds]
        by_fold = [(f"val_{fold}", [str(fold)]) for fold in folds]
        if self.design.threshold != "argmax":
            yield self._predict_part(arm, scenario, "val", by_fold)
        tested = [("test", all_folds)] if self.design.test == "imagesTs" else by_fold
        yield self._predict_part(arm, scenario, "test", tested)

    def _predict_part(self, arm: Arm, scenario: str, part: str, inputs: Sequence[tuple[str, list[str]]]) -> Step:
        sequences, target = self.sequences(arm, scenario), self.predictions(arm, scenario, part)
        taken = [word for name in self.taken(scenario) if name in sequences for word in ("--drop", name)]
        commands = []
        for images, folds in inputs:
            words = ["seqdropout", "predict", "-i", str(self.images(sequences, images)), "-o", str(target)]
            words += ["-m", str(self.model(arm, scenario)), "-f", *folds, "--argmax", *taken]
            if self.design.threshold != "argmax":
                words += [*self._target_words(next(iter(self.design.targets))), "--save_probabilities"]
            commands.append(words)
        return Step(
            name=f"predict/{scenario}/{arm.name}/{part}",
            commands=commands,
            how=("--continue_prediction", "-device", self.machine.device),
            inputs=[self.images(sequences, images) for images, _ in inputs],
            after=self.training_steps(arm, scenario),
            outputs=[target],
            scratch=target,
            arms=frozenset([arm.name]),
        )

    def _evaluate(self, arm: Arm, scenario: str, target: str) -> Step:
        threshold, after = [], [f"predict/{scenario}/{arm.name}/test"]
        if self.design.threshold != "argmax":
            validation = self.predictions(arm, scenario, "val")
            threshold = ["--val-gt", str(self.references("val")), "--val-p", str(validation)]
            after.append(f"predict/{scenario}/{arm.name}/val")
        if isinstance(self.design.threshold, int | float):
            threshold += ["--fp-budget", str(self.design.threshold)]
        pictures = []
        if self.design.background is not None:
            images = self.images(self.cohort.channel_names, "test")
            pictures = ["-i", str(images), "--background", self.design.background]
        folders = ["-gt", self.references("test"), "-p", self.predictions(arm, scenario, "test")]
        output = self.evaluation(arm, scenario, target)
        words = [*map(str, folders), "-o", str(output), "--name", arm.name, *self._target_words(target)]
        limit = ["--min-volume-mm3", str(self.design.min_volume_mm3)]
        return Step(
            name=f"evaluate/{scenario}/{target}/{arm.name}",
            commands=[["seqdropout", "evaluate", *words, *limit, *threshold, *pictures]],
            how=("-np", str(self.machine.n_workers)),
            inputs=[self.references("test"), self.references("val"), self.references("manifest.json")],
            after=after,
            outputs=[output],
            scratch=output,
            arms=frozenset([arm.name]),
        )

    def _subsets(self, arm: Arm) -> Step:
        scenario, target = next(iter(self.design.scenarios)), next(iter(self.design.targets))
        words = ["-i", self.images(self.cohort.channel_names, "test"), "-gt", self.references("test")]
        model = ["-m", self.model(arm, scenario), "-f", *self.design.folds]
        output, after = self.subsets(arm), self.training_steps(arm, scenario)
        threshold = []
        if self.design.threshold != "argmax":
            threshold = ["--threshold-file", self.evaluation(arm, scenario, target) / "thresholds.json"]
            after = [f"evaluate/{scenario}/{target}/{arm.name}"]
        has = self.available[scenario]
        kept = sorted(subsets([True] * len(has)), key=sum, reverse=True)
        options = [*threshold, *self._target_words(target), "--patterns", *(pattern(each, has) for each in kept)]
        command = ["seqdropout", "subsets", *words, *model, "-o", output, *options]
        return Step(
            name=f"subsets/{arm.name}",
            commands=[[str(word) for word in command]],
            how=("-device", self.machine.device),
            inputs=[self.images(self.cohort.channel_names, "test"), self.references("test")],
            after=after,
            outputs=[output],
            scratch=output,
            arms=frozenset([arm.name]),
        )

    def _target_words(self, target: str) -> list[str]:
        return ["--region", ",".join(map(str, self.design.targets[target]))]
