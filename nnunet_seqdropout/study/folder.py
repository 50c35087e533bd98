"""Defines a study, which is one design on one cohort, and the paths of all its files."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.names import require_name
from nnunet_seqdropout.models.nnunet_folders import environment
from nnunet_seqdropout.study.cohort import Cohort
from nnunet_seqdropout.study.design.design import Arm, Design
from nnunet_seqdropout.study.numbers import data_set_numbers
from nnunet_seqdropout.study.runs import Run, all_runs, runs_of
from nnunet_seqdropout.study.trainers import trainer_name


@dataclass(frozen=True)
class Machine:
    """How the commands are run, which does not affect their results. device: cuda, cpu or mps.

    trust_checkpoint: as ``predict`` has it.
    """

    device: str = "cpu"
    n_gpus: int = 1
    n_workers: int = 2
    trust_checkpoint: bool = False

    @property
    def predicting(self) -> tuple[str, ...]:
        """Words for commands that load a model."""
        return ("-device", self.device, *(["--trust-checkpoint"] if self.trust_checkpoint else []))


class Study:
    """One design on one cohort, all below one folder: nnU-Net's folders, trainers, predictions, evaluations, report."""

    def __init__(self, folder: Path, design: Design, cohort: Cohort, machine: Machine | None = None) -> None:
        """Raises Fault where the data set lacks what the design names; see ``require_possible`` for the rest."""
        self.folder, self.design, self.cohort = folder.resolve(), design, cohort
        self.machine, self.runs = machine or Machine(), all_runs(design)
        self.validation_cases = cohort.validation_cases(design.folds)
        self.test_cases = cohort.test_cases if design.test == "imagesTs" else self.validation_cases
        self.available = {name: cohort.available(self.test_cases, gone) for name, gone in design.scenarios.items()}
        self.sequence_sets = list(dict.fromkeys([cohort.channel_names, *self.available.values()]))
        self.background = None if design.background is None else self._background(design.background)

    def _background(self, name: str) -> str:
        try:
            (sequence,) = self.cohort.named([name])
        except Fault as fault:
            remedy = f"Write background: null into a design for no pictures. {fault.remedy}"
            problem = f"background: the data set has no sequence {name} ({fault.problem})"
            raise Fault(problem, file=self.cohort.folder, remedy=remedy) from fault
        return sequence

    def absent_in_validation(self, scenario: str) -> tuple[str, ...]:
        """What no test patient has is taken from the validation patients too: the threshold is that of such images."""
        gone = self.cohort.named(self.design.scenarios[scenario])
        anywhere = {name for case in self.test_cases for name in self.cohort.present[case]} - {*gone}
        return tuple(name for name in self.cohort.channel_names if name not in anywhere)

    @property
    def environment(self) -> dict[str, str]:
        """nnU-Net's folders below the study's, and its trainers first."""
        ours = environment(self.folder)
        ours["nnUNet_extTrainer"] = os.pathsep.join([str(self.folder / "trainers"), ours["nnUNet_extTrainer"]])
        ours["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        if self.machine.device == "cpu":
            ours["nnUNet_def_n_proc"] = str(self.machine.n_workers)
        return ours

    @property
    def raw_data(self) -> Path:
        """nnU-Net's raw data sets."""
        return self.folder / "nnUNet_raw"

    def raw(self, sequences: Sequence[str]) -> Path:
        """Raises Fault where the channels of ``dataset.json`` have names that no folder can have."""
        file = self.cohort.folder / "dataset.json"
        joined = require_name("_".join(sequences), what="the data set of the channels", file=file)
        return self.raw_data / f"Dataset{self.dataset_id(sequences):03d}_{joined}"

    def images(self, sequences: Sequence[str], part: str) -> Path:
        return self.folder / "images" / self.raw(sequences).name / part

    @property
    def references(self) -> Path:
        """``test`` and ``val`` below it hold the labels."""
        return self.folder / "references"

    def sequences(self, arm: Arm, scenario: str) -> tuple[str, ...]:
        """What the arm is trained on."""
        return self.cohort.channel_names if arm.sequences == "all" else self.available[scenario]

    def configuration(self, arm: Arm) -> str:
        return arm.configuration or self.design.configuration

    def model(self, run: Run, scenario: str) -> Path:
        name = f"{trainer_name(run)}__{self.design.plans}__{self.configuration(run.arm)}"
        return self.folder / "nnUNet_results" / self.raw(self.sequences(run.arm, scenario)).name / name

    def predictions(self, run: Run, scenario: str, part: str) -> Path:
        return self.folder / "predictions" / scenario / run.name / part

    def evaluation(self, run: Run, scenario: str, target: str) -> Path:
        return self.folder / "evaluations" / scenario / target / run.name

    def subsets(self, run: Run, part: str) -> Path:
        return self.folder / "subsets" / run.name / part

    def runs_for_subsets(self, arm: Arm) -> list[Run]:
        """Those that are measured on every subset of the sequences: of an arm that takes any, all or the first."""
        runs = runs_of(arm, self.design) if arm.drops else []
        return runs[: {"every_seed": len(runs), "first_seed": 1, "none": 0}[self.design.subset_tables]]

    @property
    def tested(self) -> dict[str, list[int]]:
        """The folds that test each part of the patients: all folds test all, or each those it was not trained on."""
        folds = list(self.design.folds)
        return {"test": folds} if self.design.test == "imagesTs" else self.validated

    @property
    def validated(self) -> dict[str, list[int]]:
        """The validation patients of each fold."""
        return {f"val_{fold}": [fold] for fold in self.design.folds}

    def training_steps(self, run: Run, scenario: str) -> list[str]:
        return [self.training_name(run, scenario, fold) for fold in self.design.folds]

    def training_name(self, run: Run, scenario: str, fold: int) -> str:
        own = "" if self.configuration(run.arm) == self.design.configuration else f"__{run.arm.configuration}"
        return f"train/{trainer_name(run)}{own}/{self.raw(self.sequences(run.arm, scenario)).name}/fold_{fold}"

    def dataset_id(self, sequences: Sequence[str]) -> int:
        """The number of the data set with these sequences; see ``data_set_numbers``."""
        return self._numbers[tuple(sequences)]

    @cached_property
    def _numbers(self) -> dict[tuple[str, ...], int]:
        return data_set_numbers(self.cohort.channel_names, self.sequence_sets, self.raw_data)
