"""Reads how the images were prepared that a model was trained on."""

from pathlib import Path
from typing import TypedDict

from dataset_conversion.files.texts.json_files import read_json_if_there
from dataset_conversion.files.texts.preparation_record import PreparationRecord, WithPreparation
from nnunet_seqdropout.models.rescaling import REMEDY


class OurPart(TypedDict, total=False):
    """What is read of ``plans.json``."""

    seqdropout: WithPreparation


def preparation_of_model(folder: Path) -> PreparationRecord | None:
    """From the plans of our trainers, else from ``dataset.json``; None for a model of data that convert did not write.

    Raises Fault where it cannot be read.
    """
    plans = read_json_if_there(folder / "plans.json", OurPart, remedy=REMEDY) or {}
    described = read_json_if_there(folder / "dataset.json", WithPreparation, remedy=REMEDY) or {}
    return plans.get("seqdropout", {}).get("preparation") or described.get("preparation")
