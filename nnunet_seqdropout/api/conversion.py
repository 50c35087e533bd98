"""Converts a hospital's folder to a raw data set of nnU-Net."""

import re
from collections.abc import Collection
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.disk import require_room
from dataset_conversion.files.locks import only_writer
from dataset_conversion.outcomes import Outcome
from dataset_conversion.raw.convert import convert as write_dataset
from dataset_conversion.raw.convert import dataset_of, require_a_lesion
from dataset_conversion.raw.layout import named_layout
from dataset_conversion.raw.preparing.prepared import Preparation
from dataset_conversion.raw.sources.patients import find_patients, require_fitting
from nnunet_seqdropout.api.targets import PathLike


def convert(
    source: PathLike,
    folder: PathLike,
    *,
    layout: PathLike = "hospital_a",
    val: Collection[str] = (),
    test: Collection[str] = (),
    sequences: Collection[str] | None = None,
    preparation: Preparation | None = None,
    n_workers: int = 1,
) -> dict[str, Outcome]:
    """Writes the patients below ``source`` into a raw data set of nnU-Net, or adds them to it; case -> how it went.

    folder: ``.../nnUNet_raw/DatasetXXX_NAME``. layout: a shipped one by its name, or a YAML file. preparation: None
    registers where the layout says so. Raises Fault where no patient is found or there is nothing to learn.
    """
    target = Path(folder)
    if not re.fullmatch(r"Dataset\d{3}_.+", target.name):
        raise Fault(f"{target.name} is no name of a data set of nnU-Net", remedy="Name the folder DatasetXXX_NAME.")
    how = named_layout(layout)
    patients = find_patients(Path(source), how, val=list(val), test=list(test))
    require_fitting(how, patients)
    dataset = dataset_of(how, Path(source), target, patients, sequences=sequences)
    require_room(target, 0)
    with only_writer(target):
        outcomes = write_dataset(dataset, patients, preparation or Preparation(how.register), n_workers=n_workers)
    require_a_lesion(target)
    return outcomes
