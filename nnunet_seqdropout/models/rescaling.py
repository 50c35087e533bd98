"""Reads from a model's plans how it rescales its input where sequences are absent."""

from pathlib import Path

from dataset_conversion.files.json_files import read_json_if_there
from nnunet_seqdropout.dropout import Rescale


def rescaling_of_plans(plans: dict) -> Rescale:
    """``none`` for a model that was trained without sequence dropout; one from before this setting has the paper's."""
    ours = plans.get("seqdropout", {})
    return ours.get("rescale", "paper") if "subset_law" in ours else "none"


def rescaling_of_model(folder: Path) -> Rescale:
    """The same of a model folder. Raises Fault where its plans cannot be read."""
    return rescaling_of_plans(read_json_if_there(folder / "plans.json"))
