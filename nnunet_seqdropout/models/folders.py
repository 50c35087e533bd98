"""Finds trained model folders, their folds and their ``dataset.json``."""

import argparse
import json
import os
from pathlib import Path

from dataset_conversion.faults import Fault
from nnunet_seqdropout.models.nnunet_folders import NNUNET_FOLDERS, _dataset_name, environment


def dataset_json(dataset_id: str | None, model: Path | None) -> dict:
    """Channels and file ending from ``dataset.json`` of a model folder, or of a data set by its number or name."""
    if model is not None:
        searched = [model]
    else:
        name = _dataset_name(dataset_id)
        set_folders = [os.environ[v] for v in NNUNET_FOLDERS if v in os.environ]
        searched = [folder for root in set_folders for folder in (Path(root, name), *Path(root, name).glob("*__*__*"))]
    for folder in searched:
        if (file := folder / "dataset.json").is_file():
            return _checked_dataset_json(file)
    remedy = "Give a model folder with -m or a data set with -d."
    raise Fault(f"no dataset.json in {', '.join(map(str, searched))}", remedy=remedy)


def _checked_dataset_json(file: Path) -> dict:
    try:
        dataset = json.loads(file.read_text(encoding="utf-8"))
        channels = sorted(dataset["channel_names"].items(), key=lambda channel: int(channel[0]))
        return {"channel_names": [name for _, name in channels], "file_ending": dataset["file_ending"]}
    except (ValueError, KeyError) as error:
        remedy = "Restore the file that nnU-Net wrote."
        raise Fault(f"not a dataset.json of nnU-Net ({error!r})", file=file, remedy=remedy) from error


def model_folder(arguments: argparse.Namespace) -> Path:
    """The model folder that ``-m``, or ``-d`` with ``-c``, ``-tr`` and ``-p``, names; makes our trainers known."""
    os.environ.update(environment())
    if (arguments.m is None) == (arguments.d is None):
        raise Fault("give exactly one of -m and -d", remedy="Give a model folder with -m, or a data set with -d.")
    if arguments.m is not None:
        folder = arguments.m
    else:
        if (results := os.environ.get("nnUNet_results")) is None:
            raise Fault("nnUNet_results is not set", remedy='Run: eval "$(seqdropout env --root DIR)"')
        folder = Path(results, _dataset_name(arguments.d), f"{arguments.tr}__{arguments.p}__{arguments.c}")
    if not folder.is_dir():
        raise Fault(f"no model folder {folder}", remedy="Train the model, or select another one with -m, -tr, -p, -c.")
    return folder


def folds_there(model: Path, checkpoint: str) -> list[str]:
    """The folds of a model folder that have the checkpoint; ``all`` where it is the only one."""
    folds = sorted(file.parent.name.removeprefix("fold_") for file in model.glob(f"fold_*/{checkpoint}"))
    return [fold for fold in folds if fold != "all"] or folds
