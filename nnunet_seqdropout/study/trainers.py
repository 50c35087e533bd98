"""Writes one trainer file per run for nnU-Net to find, with budget and settings as class attributes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nnunet_seqdropout.training
from dataset_conversion.faults import Fault
from dataset_conversion.files.staging import staged
from dataset_conversion.nearest import did_you_mean
from nnunet_seqdropout.settings import declared_settings
from nnunet_seqdropout.study.design.design import BASES, Arm, Design
from nnunet_seqdropout.study.runs import Run, all_runs

_BUDGET = {"epochs", "slices_per_epoch", "iterations_per_epoch", "largest_batch", "save_every_epochs", "seed"}


def trainer_name(run: Run) -> str:
    """Arms with the same trainer and no settings of their own share it, seed by seed, and so their training on the same
    data."""
    own = f"_{run.arm.name}" if run.arm.settings else ""
    return f"{run.arm.trainer}_study{own}{run.suffix}".replace("-", "_").replace(".", "_")


def trainer_source(run: Run, design: Design) -> str:
    """The text of the file ``<trainer_name>.py``."""
    bases = BASES[run.arm.trainer]
    lines = ['"""Written by seqdropout study: its budget and settings."""', ""]
    # the text must stay as version 0.1.0 wrote it: another one would train the models of a study anew
    for module, is_there in (("training", False), ("training_25d", True)):
        if names := [base for base in bases if base.startswith("DeepLab25D") == is_there]:
            lines.append(f"from nnunet_seqdropout.{module} import {', '.join(names)}")
    lines += ["", "", f"class {trainer_name(run)}({', '.join(bases)}):"]
    lines += [f"    {name} = {value!r}" for name, value in _attributes(run, design).items()]
    return "\n".join(lines) + "\n"


def write_trainers(folder: Path, design: Design) -> dict[str, Path]:
    """The file of each run's trainer; one that is there with the same text is left alone.

    Raises Fault where a setting is unknown, or two trainings would have one name in nnU-Net.
    """
    runs = all_runs(design)
    files = {run.name: folder / f"{trainer_name(run)}.py" for run in runs}
    own = [trainer_name(run) for run in runs if run.arm.settings]
    shared = {trainer_name(run) for run in runs if not run.arm.settings}
    if twice := {name for name in own if own.count(name) > 1 or name in shared}:
        raise Fault(
            f"two arms would have the same trainer name {twice.pop()} in nnU-Net",
            remedy="Choose names that differ in letters or digits.",
        )
    known = {name for arm in design.arms for name in _settings_of(arm)}
    if unknown := design.settings.keys() - known:
        meant = did_you_mean(min(unknown), known)
        raise Fault(
            f"no trainer has the setting {', '.join(sorted(unknown))}", remedy=f"{meant}See docs/reference/settings.md."
        )
    for run in runs:
        source, file = trainer_source(run, design), files[run.name]
        if not file.is_file() or file.read_text(encoding="utf-8") != source:
            with staged(folder) as stage:
                (stage / file.name).write_text(source, encoding="utf-8")
    return files


def _settings_of(arm: Arm) -> set[str]:
    """The class attributes that our trainers declare as settings, without those that the budget of the design sets."""
    return set().union(*(declared_settings(_class(base)) for base in BASES[arm.trainer])) - _BUDGET


def _attributes(run: Run, design: Design) -> Mapping[str, Any]:
    """Raises Fault where the arm sets what its trainer does not have."""
    arm = run.arm
    known = _settings_of(arm)
    if unknown := arm.settings.keys() - known:
        problem = f"arm {arm.name}: {arm.trainer} has no setting {', '.join(sorted(unknown))}"
        meant = did_you_mean(min(unknown), known)
        remedy = f"{meant}See docs/reference/settings.md for the settings; the budget is the same for all arms."
        raise Fault(problem, remedy=remedy)
    common = {name: value for name, value in design.settings.items() if name in known}
    budget = {
        "epochs": design.budget.epochs,
        "slices_per_epoch": design.budget.slices_per_epoch,
        "largest_batch": design.budget.largest_batch,
        "save_every_epochs": max(1, design.budget.epochs // 20),
        "seed": run.seed,
    }
    return {**budget, **common, **arm.settings}


def _class(name: str) -> type:
    return getattr(nnunet_seqdropout.training, name)
