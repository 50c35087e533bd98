"""Reads from a model's plans how our trainers were set, and how it rescales its input where sequences are absent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from dataset_conversion.faults import Fault
from dataset_conversion.files.json_files import read_json_if_there
from nnunet_seqdropout.dropout import Rescale

REMEDY = "Restore the plans.json that the training wrote into the model folder."


def our_settings(plans: Mapping[str, Any]) -> dict[str, Any]:
    """What stands under ``seqdropout``; empty for a model of another trainer. Raises Fault where it is no object."""
    ours = plans.get("seqdropout", {})
    if not isinstance(ours, dict):
        raise Fault(f"the key seqdropout of plans.json is {ours!r}, not an object", remedy=REMEDY)
    return ours


def rescaling_of_plans(plans: Mapping[str, Any]) -> Rescale:
    """``none`` for a model that was trained without sequence dropout; one from before this setting has the paper's.

    Raises Fault where it is unknown.
    """
    ours = our_settings(plans)
    rescale: Rescale = ours.get("rescale", "paper") if "subset_law" in ours else "none"
    if rescale not in get_args(Rescale):
        raise Fault(f"rescale in plans.json is {rescale!r}, none of {', '.join(get_args(Rescale))}", remedy=REMEDY)
    return rescale


def rescaling_of_model(folder: Path) -> Rescale:
    """The same of a model folder. Raises Fault where its plans cannot be read."""
    return rescaling_of_plans(read_json_if_there(folder / "plans.json", remedy=REMEDY))
