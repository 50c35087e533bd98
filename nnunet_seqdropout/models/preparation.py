"""Reads how the images were prepared that a model was trained on."""

from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.json_files import read_json_if_there
from dataset_conversion.files.preparation_record import PreparationRecord, read_preparation
from nnunet_seqdropout.models.rescaling import REMEDY, our_settings


def preparation_of_model(folder: Path) -> PreparationRecord | None:
    """From the plans of our trainers, else from ``dataset.json``; None for a model of data that convert did not write.

    Raises Fault where it cannot be read.
    """
    sources = (("plans.json", our_settings), ("dataset.json", dict))
    for name, part in sources:
        try:
            found = read_preparation(part(read_json_if_there(folder / name, remedy=REMEDY)))
        except Fault as fault:
            raise Fault(fault.problem, file=folder / name, remedy=REMEDY) from fault
        if found is not None:
            return found
    return None
