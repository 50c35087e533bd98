"""Finds nnU-Net's folders, and makes our trainers known to nnU-Net."""

import os
import re
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.names import require_name

NNUNET_FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
LARGEST_NUMBER = 999

TRAINERS = Path(__file__).resolve().parents[2] / "trainers"
"""The folder of our trainers, for nnU-Net's finder."""


def environment(root: Path | None = None) -> dict[str, str]:
    """The environment variables by which nnU-Net finds our trainers and, below ``root``, its three folders."""
    trainers = str(TRAINERS)
    others = [f for f in os.environ.get("nnUNet_extTrainer", "").split(os.pathsep) if f and f != trainers]
    variables = {"nnUNet_extTrainer": os.pathsep.join([trainers, *others])}
    if root is not None:
        for name in NNUNET_FOLDERS:
            variables[name] = str(root.resolve() / name)
    return variables


def trainer_names() -> set[str]:
    """The classes in the files of trainers that nnU-Net looks into: its own, and those of nnUNet_extTrainer."""
    import nnunetv2

    folders = [Path(nnunetv2.__path__[0], "training", "nnUNetTrainer")]
    folders += [Path(folder) for folder in os.environ.get("nnUNet_extTrainer", "").split(os.pathsep) if folder]
    texts = (file.read_text(encoding="utf-8", errors="replace") for folder in folders for file in folder.rglob("*.py"))
    return {name for text in texts for name in re.findall(r"^class (\w+)", text, re.MULTILINE)}


def nnunet_folder(variable: str) -> Path:
    """One of nnU-Net's folders. Raises Fault where its environment variable is not set."""
    if (folder := os.environ.get(variable)) is None:
        raise Fault(f"{variable} is not set", remedy='Run: eval "$(seqdropout env --root DIR)"')
    return Path(folder)


def dataset_name(dataset_id: str) -> str:
    """``DatasetXXX_Name`` of a number or name. Raises Fault where nnU-Net knows of no such data set."""
    from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name

    require_name(dataset_id, what="the data set")
    try:
        return maybe_convert_to_dataset_name(dataset_id)
    except (RuntimeError, ValueError) as error:
        raise Fault(f"no data set {dataset_id}", remedy=str(error)) from error


def raw_folder(dataset_id: str) -> Path:
    """The raw data set of this number or name."""
    return nnunet_folder("nnUNet_raw") / dataset_name(dataset_id)


def folder_for_dataset(dataset_id: int, name: str) -> Path:
    """Where a raw data set of this number and name belongs. Raises Fault where the number is taken or nnU-Net, which
    reads three digits, has no such number, or the name cannot be that of a folder."""
    if not 0 <= dataset_id <= LARGEST_NUMBER:
        remedy = f"Give a number from 0 to {LARGEST_NUMBER} with -d."
        raise Fault(f"the number of the data set is {dataset_id}", remedy=remedy)
    require_name(name, what="the data set")
    raw = nnunet_folder("nnUNet_raw")
    folder = raw / f"Dataset{dataset_id:03d}_{name}"
    if others := [other for other in raw.glob(f"Dataset{dataset_id:03d}_*") if other != folder]:
        problem = f"the data set number {dataset_id} is already used by {others[0]}"
        raise Fault(problem, remedy="Choose another number with -d.")
    return folder
