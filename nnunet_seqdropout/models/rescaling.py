"""Reads from a model's plans how our trainers were set, and how it rescales its input where sequences are absent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from dataset_conversion.files.texts.json_files import read_json_if_there
from dataset_conversion.files.texts.typed import Count, NotNegative, Share, typed_of
from nnunet_seqdropout.dropout import Rescale
from nnunet_seqdropout.subsets import SubsetLaw

REMEDY = "Restore the plans.json that the training wrote into the model folder."


class OurSettings(TypedDict, total=False):
    """What we read of the key ``seqdropout`` of ``plans.json``."""

    version: str
    sequences: list[str]
    subset_law: SubsetLaw
    drop_probability: Share
    always_keep: list[str]
    subset_weights: dict[str, NotNegative]
    rescale: Rescale
    epochs: Count
    iterations_per_epoch: Count
    slices_per_iteration: Count


class OurPlans(TypedDict, total=False):
    seqdropout: OurSettings


def our_settings(plans: Mapping[str, Any]) -> OurSettings:
    """What stands under ``seqdropout``; empty for a model of another trainer. Raises Fault where it cannot be read."""
    return typed_of(None, plans.get("seqdropout", {}), OurSettings, remedy=REMEDY, at="plans.json: seqdropout")


def rescaling_of_plans(plans: Mapping[str, Any]) -> Rescale:
    """``none`` for a model that was trained without sequence dropout; one from before this setting has the paper's."""
    ours = our_settings(plans)
    return ours.get("rescale", "paper") if "subset_law" in ours else "none"


def rescaling_of_model(folder: Path) -> Rescale:
    """The same of a model folder. Raises Fault where its plans cannot be read."""
    return rescaling_of_plans(read_json_if_there(folder / "plans.json", OurPlans, remedy=REMEDY) or {})
