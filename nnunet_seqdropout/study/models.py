"""Collects architecture, learning curves and costs of a study's trained models."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pandas as pd

from dataset_conversion.files.texts.json_files import read_json
from dataset_conversion.files.texts.typed import Count, Must, typed_of
from dataset_conversion.sequences import Pattern
from nnunet_seqdropout.models.checkpoints import REMEDY, read_checkpoint
from nnunet_seqdropout.study.design.design import Arm
from nnunet_seqdropout.study.folder import Study
from nnunet_seqdropout.study.runs import runs_of
from nnunet_seqdropout.study.state import Record
from nnunet_seqdropout.study.steps import Steps

Logged = Annotated[Any, Must("a number", lambda value: isinstance(value, Real))]


class _Budget(TypedDict):
    epochs: Count
    iterations_per_epoch: Count
    slices_per_iteration: Count


class _TrainedPlans(TypedDict):
    seqdropout: _Budget


class _CurvesAlways(TypedDict):
    train_losses: list[Logged]
    val_losses: list[Logged]
    ema_fg_dice: list[Logged]
    epoch_start_timestamps: list[Logged]
    epoch_end_timestamps: list[Logged]


class Curves(_CurvesAlways, total=False):
    """What nnU-Net and our trainers log in every epoch; a loss may be NaN."""

    gpu_mebibytes: list[Logged]


@dataclass(frozen=True)
class TrainedModel:
    """One model. folder: of its fold. curves: what nnU-Net logged, a value for every epoch."""

    folder: Path
    seed: int
    n_parameters: int
    curves: Curves

    @property
    def seconds(self) -> float:
        """The time of all epochs, including those before an interruption."""
        times = zip(self.curves["epoch_start_timestamps"], self.curves["epoch_end_timestamps"], strict=True)
        return sum(end - start for start, end in times)

    @property
    def gpu_mebibytes(self) -> float:
        """NaN on a CPU."""
        return max((peak for peak in self.curves.get("gpu_mebibytes", []) if not math.isnan(peak)), default=math.nan)


def _read(fold: Path, seed: int, trusted: bool) -> TrainedModel:
    """From the study's own checkpoint, written by nnU-Net."""
    checkpoint = read_checkpoint(fold / "checkpoint_final.pth", trusted=trusted)
    curves = typed_of(checkpoint.file, checkpoint.logging, Curves, remedy=REMEDY, at="logging")
    return TrainedModel(fold, seed, checkpoint.n_parameters, curves)


def trained_models(study: Study) -> dict[str, dict[str, TrainedModel]]:
    """The models of every arm, by step; one that arms share is read once."""
    read = cache(_read)
    return {
        arm.name: {
            step: read(study.model(run, scenario) / f"fold_{fold}", run.seed, study.machine.trust_checkpoint)
            for run in runs_of(arm, study.design)
            for scenario in study.design.scenarios
            for step, fold in zip(study.training_steps(run, scenario), study.design.folds, strict=True)
        }
        for arm in study.design.arms
    }


def arms_table(study: Study, steps: Steps, trained: Mapping[str, Mapping[str, TrainedModel]]) -> pd.DataFrame:
    """The rows of ``arms.csv``: one for every arm."""
    return pd.DataFrame([_row(study, steps, arm, trained[arm.name]) for arm in study.design.arms])


def _row(study: Study, steps: Steps, arm: Arm, trained: Mapping[str, TrainedModel]) -> dict[str, Any]:
    models, runs = list(trained.values()), runs_of(arm, study.design)
    seen = [read_json(model.folder.parent / "plans.json", _TrainedPlans)["seqdropout"] for model in models]
    slices = [s["epochs"] * s["iterations_per_epoch"] * s["slices_per_iteration"] for s in seen]
    training = [record for name in trained if (record := steps.state.record(name)) is not None]
    tests = [f"predict/{scenario}/{run.name}/test" for run in runs for scenario in study.design.scenarios]
    testing = [record for name in tests if (record := steps.state.record(name)) is not None]
    return {
        "arm": arm.name,
        "trainer": arm.trainer,
        "configuration": study.configuration(arm),
        "sequences": "; ".join(dict.fromkeys(str(Pattern(study.sequences(arm, s))) for s in study.design.scenarios)),
        "seeds": "; ".join(str(run.seed) for run in runs),
        "n_models": len(models),
        "parameters": models[0].n_parameters,
        "slices_per_iteration": seen[0]["slices_per_iteration"],
        "slices": min(slices),
        "slices_most": max(slices),
        "training_minutes": sum(model.seconds for model in models) / len(models) / 60,
        "seconds_per_volume": _mean_seconds(testing) / len(study.test_cases),
        "gpu_mebibytes_training": max(model.gpu_mebibytes for model in models),
        "mebibytes_training": _most_mebibytes(training),
        "mebibytes_prediction": _most_mebibytes(testing),
    }


def _most_mebibytes(records: Sequence[Record]) -> float:
    """Of the runs that did all of their step; NaN where there is none."""
    return max((record.mebibytes for record in records if not record.resumed), default=math.nan)


def _mean_seconds(records: Sequence[Record]) -> float:
    """NaN where there is none, or one is of a run that did a part of its step."""
    if not records or any(record.resumed for record in records):
        return math.nan
    return sum(record.seconds for record in records) / len(records)


def learning_table(trained: Mapping[str, Mapping[str, TrainedModel]]) -> pd.DataFrame:
    """The rows of ``learning.csv``: one for every arm, model and epoch."""
    return pd.concat(list(_learning(trained)), ignore_index=True)


def _learning(trained: Mapping[str, Mapping[str, TrainedModel]]) -> Iterator[pd.DataFrame]:
    for arm, models in trained.items():
        for model in models.values():
            yield pd.DataFrame(
                {
                    "arm": arm,
                    "data": model.folder.parent.parent.name,
                    "fold": model.folder.name,
                    "seed": model.seed,
                    "epoch": range(len(model.curves["train_losses"])),
                    "train_loss": model.curves["train_losses"],
                    "val_loss": model.curves["val_losses"],
                    "pseudo_dice": model.curves["ema_fg_dice"],
                }
            )
