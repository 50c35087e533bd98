"""Finds the folder of a trained model, its folds, and the ``dataset.json`` of a model or a data set."""

import os
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.dataset_json import Description, read_description
from dataset_conversion.nearest import did_you_mean
from nnunet_seqdropout.models.nnunet_folders import (
    NNUNET_FOLDERS,
    dataset_name,
    environment,
    nnunet_folder,
    trainer_names,
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
    """The paper's, or the only other one that was trained on the data set.

    Raises Fault where nnUNet_results is not set, or there is no such data set.
    """
    results = nnunet_folder("nnUNet_results") / dataset_name(dataset_id)
    trained = [name.partition("__")[0] for name in _trained(results) if name.endswith(f"__{plans}__{configuration}")]
    return trained[0] if len(trained) == 1 else DEFAULT_TRAINER


def require_model_folder(folder: Path) -> Path:
    """The same folder; makes our trainers known to nnU-Net. Raises Fault where it is not there."""
    os.environ.update(environment())
    if not folder.is_dir():
        remedy = f"{_instead_of(folder)}Train the model, or select another one with -m, -tr, -p, -c."
        raise Fault(f"no model folder {folder}", remedy=remedy)
    return folder


def _trained(results: Path) -> list[str]:
    """The names of the model folders of a data set that have a checkpoint."""
    return sorted(model.name for model in results.glob("*__*__*") if any(model.glob("fold_*/checkpoint_*.pth")))


def _instead_of(folder: Path) -> str:
    """Suggests a model beside the folder that is not there, or a trainer that is spelt nearly so."""
    trained = _trained(folder.parent)
    if meant := did_you_mean(folder.name, trained):
        return meant
    if trained:
        return f"Trained: {', '.join(trained)}. "
    trainer, known = folder.name.partition("__")[0], trainer_names()
    return "" if trainer in known else did_you_mean(trainer, known)


def folds_there(model: Path, checkpoint: str) -> list[str]:
    """The folds of a model folder that have the checkpoint; ``all`` where it is the only one."""
    folds = sorted(file.parent.name.removeprefix("fold_") for file in model.glob(f"fold_*/{checkpoint}"))
    return [fold for fold in folds if fold != "all"] or folds
