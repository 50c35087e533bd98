"""Finds nnU-Net's folders, and makes our trainers known to nnU-Net."""

import os
from pathlib import Path

from dataset_conversion.faults import Fault

NNUNET_FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


def environment(root: Path | None = None) -> dict[str, str]:
    """The environment variables by which nnU-Net finds our trainers and, below ``root``, its three folders."""
    trainers = str(Path(__file__).resolve().parents[2] / "trainers")
    others = [f for f in os.environ.get("nnUNet_extTrainer", "").split(os.pathsep) if f and f != trainers]
    variables = {"nnUNet_extTrainer": os.pathsep.join([trainers, *others])}
    if root is not None:
        for name in NNUNET_FOLDERS:
            variables[name] = str(root.resolve() / name)
    return variables


def _dataset_name(dataset_id: str | None) -> str:
    from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name

    try:
        return maybe_convert_to_dataset_name(dataset_id)
    except (RuntimeError, ValueError) as error:
        raise Fault(f"no data set {dataset_id}", remedy=str(error)) from error


def raw_folder(dataset_id: str) -> Path:
    """The raw data set of this number or name."""
    return Path(_raw(), _dataset_name(dataset_id))


def _raw() -> str:
    if (raw := os.environ.get("nnUNet_raw")) is None:
        raise Fault("nnUNet_raw is not set", remedy='Run: eval "$(seqdropout env --root DIR)"')
    return raw


def folder_for_dataset(dataset_id: int, name: str) -> Path:
    raw = _raw()
    folder = Path(raw, f"Dataset{dataset_id:03d}_{name}")
    if others := [other for other in Path(raw).glob(f"Dataset{dataset_id:03d}_*") if other != folder]:
        raise Fault(
            f"the data set number {dataset_id} is already used by {others[0]}", remedy="Choose another number with -d."
        )
    return folder
