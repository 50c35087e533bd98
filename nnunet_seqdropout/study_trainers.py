"""The trainer of each arm, written as a file for nnU-Net's finder: its budget and settings are class attributes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_conversion.faults import Fault
from nnunet_seqdropout import training, training_25d
from nnunet_seqdropout.study_design import BASES, Arm, Design


def trainer_name(arm: Arm) -> str:
    """Arms with the same trainer and no settings of their own share it, and so their training on the same data."""
    return f"{arm.trainer}_{arm.name if arm.settings else 'study'}".replace("-", "_").replace(".", "_")


def trainer_source(arm: Arm, design: Design) -> str:
    """The text of the file ``<trainer_name>.py``."""
    bases = BASES[arm.trainer]
    lines = ['"""Written by seqdropout study: its budget and settings."""', ""]
    for module in (training, training_25d):
        if names := [base for base in bases if _class(base).__module__ == module.__name__]:
            lines.append(f"from {module.__name__} import {', '.join(names)}")
    lines += ["", "", f"class {trainer_name(arm)}({', '.join(bases)}):"]
    lines += [f"    {name} = {value!r}" for name, value in _attributes(arm, design).items()]
    return "\n".join(lines) + "\n"


def write_trainers(folder: Path, design: Design) -> dict[str, Path]:
    """The file of each arm's trainer; one that is there with the same text is left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {arm.name: folder / f"{trainer_name(arm)}.py" for arm in design.arms}
    for arm in design.arms:
        source, file = trainer_source(arm, design), files[arm.name]
        if not file.is_file() or file.read_text(encoding="utf-8") != source:
            file.write_text(source, encoding="utf-8")
    return files


def _attributes(arm: Arm, design: Design) -> Mapping[str, Any]:
    """Raises Fault where the arm sets what its trainer does not have."""
    known = {name for base in BASES[arm.trainer] for name in dir(_class(base))}
    if unknown := arm.settings.keys() - known:
        problem = f"arm {arm.name}: {arm.trainer} has no setting {', '.join(sorted(unknown))}"
        raise Fault(problem, remedy="See README, Trainers, for the settings.")
    common = {name: value for name, value in design.settings.items() if name in known}
    budget = {
        "epochs": design.budget.epochs,
        "slices_per_epoch": design.budget.slices_per_epoch,
        "largest_batch": design.budget.largest_batch,
        "save_every_epochs": max(1, design.budget.epochs // 20),
        "seed": design.seed,
    }
    return {**budget, **common, **arm.settings}


def _class(name: str) -> type:
    return vars(training).get(name) or vars(training_25d)[name]
