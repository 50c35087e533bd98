"""Finds the folder of a trained model, its folds, and the ``dataset.json`` of a model or a data set."""

import os
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.dataset_json import Description, read_description
from dataset_conversion.nearest import did_you_mean
from nnunet_seqdropout.models.nnunet_folders import (
    NNUNET_FOLDERS,
    TRAINERS,
    dataset_name,
    environment,
    nnunet_folder,
)

DEFAULT_TRAINER = "SeqDropoutTrainer"


def description_of_dataset(dataset_id: str) -> Description:
    """``dataset.json`` of a data set by its number or name, wherever nnU-Net keeps one. Raises Fault if nowhere."""
    name = dataset_name(dataset_id)
    roots = [Path(os.environ[variable], name) for variable in NNUNET_FOLDERS if variable in os.environ]
    return _first_description([folder for root in roots for folder in (root, *root.glob("*__*__*"))])


def description_of_model(model: Path) -> Description:
    """``dataset.json`` of a model folder. Raises Fault where there is none."""
    return _first_description([model])


def _first_description(folders: list[Path]) -> Description:
    for folder in folders:
        if (file := folder / "dataset.json").is_file():
            return read_description(file)
    remedy = "Give a model folder with -m or a data set with -d."
    raise Fault(f"no dataset.json in {', '.join(map(str, folders))}", remedy=remedy)


def model_folder(dataset_id: str, *, trainer: str, plans: str, configuration: str) -> Path:
    """The folder that nnU-Net trains into. Raises Fault where nnUNet_results is not set."""
    return nnunet_folder("nnUNet_results") / dataset_name(dataset_id) / f"{trainer}__{plans}__{configuration}"


def default_trainer(dataset_id: str, *, plans: str, configuration: str) -> str:
    """The paper's, or the only one that was trained on the data set. Raises Fault where nnUNet_results is not set."""
    models = (nnunet_folder("nnUNet_results") / dataset_name(dataset_id)).glob(f"*__{plans}__{configuration}")
    trained = [model.name.partition("__")[0] for model in models]
    return trained[0] if len(trained) == 1 else DEFAULT_TRAINER


def require_model_folder(folder: Path) -> Path:
    """The same folder; makes our trainers known to nnU-Net. Raises Fault where it is not there."""
    os.environ.update(environment())
    if not folder.is_dir():
        raise Fault(
            f"no model folder {folder}", remedy=f"{_meant(folder)}Train it, or select another one with -m, -tr, -p, -c."
        )
    return folder


def _meant(folder: Path) -> str:
    """What stands beside a model folder that is not there, or how a trainer of ours is spelt."""
    trained = sorted(model.name for model in folder.parent.glob("*__*__*"))
    if meant := did_you_mean(folder.name, trained):
        return meant
    if trained:
        return f"There is {', '.join(trained)}. "
    trainer, ours = folder.name.partition("__")[0], {file.stem for file in TRAINERS.glob("*.py")}
    return "" if trainer in ours else did_you_mean(trainer, ours)


def folds_there(model: Path, checkpoint: str) -> list[str]:
    """The folds of a model folder that have the checkpoint; ``all`` where it is the only one."""
    folds = sorted(file.parent.name.removeprefix("fold_") for file in model.glob(f"fold_*/{checkpoint}"))
    return [fold for fold in folds if fold != "all"] or folds
