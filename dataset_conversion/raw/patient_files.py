"""Writes and removes the files of one patient in a raw data set."""

import logging
import os
from pathlib import Path

import SimpleITK as sitk
from matplotlib.figure import Figure

from dataset_conversion.files.images.image_io import write_image
from dataset_conversion.raw.dataset import FILE_ENDING, PICTURES, RECORDS, RawDataset, faces_folder
from dataset_conversion.raw.preparing.placeholders import placeholder
from dataset_conversion.raw.preparing.prepared import Prepared, PreparedSeries
from dataset_conversion.raw.sources.patient import Patient

log = logging.getLogger(__name__)


def remove(dataset: RawDataset, case: str) -> None:
    (dataset.folder / RECORDS / f"{case}.json").unlink(missing_ok=True)
    for subset in ("Tr", "Ts"):
        (dataset.folder / f"labels{subset}" / f"{case}{FILE_ENDING}").unlink(missing_ok=True)
        for channel in range(len(dataset.channel_names)):
            (dataset.folder / f"images{subset}" / f"{case}_{channel:04d}{FILE_ENDING}").unlink(missing_ok=True)
    for name in dataset.order:
        (dataset.folder / PICTURES / f"{case}_{name}.png").unlink(missing_ok=True)
    (faces_folder(dataset.folder) / f"{case}.png").unlink(missing_ok=True)


def write_files(stage: Path, dataset: RawDataset, case: str, patient: Patient, prepared: Prepared) -> None:
    subset = "Ts" if patient.split == "test" else "Tr"
    (stage / f"images{subset}").mkdir()
    reference = next(iter(prepared.series.values())).image
    for channel, name in enumerate(dataset.channel_names):
        file = stage / f"images{subset}" / f"{case}_{channel:04d}{FILE_ENDING}"
        if name in prepared.series:
            if patient.has_pseudonym:
                write_image(_bare(prepared.series[name].image), file)
            else:
                _write_series(prepared.series[name], file, link=dataset.link)
        else:
            write_image(placeholder(reference), file)
    if prepared.label is not None:
        (stage / f"labels{subset}").mkdir()
        write_image(prepared.label, stage / f"labels{subset}" / f"{case}{FILE_ENDING}")
    for name, draw in prepared.pictures.items():
        save_picture(draw(), stage / PICTURES, f"{case}_{name}")


def _bare(image: sitk.Image) -> sitk.Image:
    """Voxels and geometry alone: a header may name the patient in its description."""
    bare = sitk.Image(image)
    for key in bare.GetMetaDataKeys():
        bare.EraseMetaData(key)
    return bare


def _write_series(series: PreparedSeries, target: Path, *, link: bool) -> None:
    """What is unchanged keeps its bytes, as a copy, or as a hard link if that is asked for and the file system can."""
    if series.original is None or not series.file.name.endswith(FILE_ENDING):
        write_image(series.image, target)
        return
    if link:
        try:
            os.link(series.file.resolve(), target)
        except OSError:
            log.warning("%s cannot be linked; copied", series.file)
        else:
            return
    target.write_bytes(series.original)


def save_picture(picture: Figure, folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    picture.savefig(folder / f"{name}.png", dpi=80)
