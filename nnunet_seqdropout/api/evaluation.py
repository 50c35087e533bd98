"""Evaluates one patient from images in memory or their paths, or folders of patients."""

from collections.abc import Sequence
from pathlib import Path

import SimpleITK as sitk

import evaluation.patient
import evaluation.tables
from dataset_conversion.files.disk import require_room
from dataset_conversion.files.images.grids import on_grid_of
from dataset_conversion.files.images.in_memory import ImageOrPath, as_image
from dataset_conversion.files.locks import only_writer
from dataset_conversion.files.staging import staged
from dataset_conversion.files.texts.dataset_json import Description
from evaluation.inputs.folders import Folders, description_beside
from evaluation.inputs.label_maps import LabelMaps
from evaluation.inputs.target import Target
from evaluation.inputs.thresholds import Threshold, Thresholds, read_thresholds
from evaluation.metrics.grid import Grid
from evaluation.patient import PatientResult, Rules
from evaluation.tables.results import Evaluation
from nnunet_seqdropout.api.targets import Label, PathLike, target_of


def evaluate_patient(
    reference: ImageOrPath,
    prediction: ImageOrPath | None = None,
    *,
    probability: ImageOrPath | None = None,
    label: int | Sequence[int] = 1,
    threshold: float = 0.5,
    min_volumes_mm3: Sequence[float] = (10.0,),
) -> PatientResult:
    """Compares a label map or a map of probabilities, or both, with the reference, a label map on the same grid.

    label: the label, or the labels that are taken together. threshold: from which probability on a voxel is
    predicted, where there is no label map. Raises Fault where an image cannot be used or lies on another grid,
    ValueError where neither is given.
    """
    target = Target((label,) if isinstance(label, int) else tuple(label))
    image = as_image(reference, name="reference")
    maps = LabelMaps(target, Description((), ""), {})

    def beside(given: ImageOrPath, name: str) -> sitk.Image:
        return on_grid_of(image, as_image(given, name=name), files=(Path("reference"), Path(name)))

    predicted = None if prediction is None else beside(prediction, "prediction")
    probabilities = None if probability is None else beside(probability, "probability")
    return evaluation.patient.evaluate_patient(
        maps.where_target(maps.values(image, Path("reference"))),
        predicted=None if predicted is None else maps.where_target(maps.values(predicted, Path("prediction"))),
        probability=None if probabilities is None else sitk.GetArrayFromImage(probabilities),
        grid=Grid.of(image),
        rules=Rules(threshold, min_volumes_mm3),
    )


def evaluate_folders(
    references: PathLike,
    predictions: PathLike,
    *,
    label: Label = 1,
    threshold: float | PathLike | None = None,
    min_volumes_mm3: Sequence[float] = (10.0,),
    name: str | None = None,
    out: PathLike | None = None,
    n_workers: int = 1,
) -> Evaluation:
    """What ``seqdropout evaluate`` computes: tables and averages of all patients, without figures and report.

    threshold: a probability, or the ``thresholds.json`` of ``calibrate``; None is 0.5. out: a folder for the tables.
    Raises Fault where no patient can be evaluated, or the label is unknown.
    """
    gt, p = Path(references), Path(predictions)
    target = target_of(label, description_beside(gt, p))
    thresholds = None
    if isinstance(threshold, (int, float)):
        thresholds = Thresholds(str(target), "fixed", {"": Threshold(float(threshold))})
    elif threshold is not None:
        thresholds = read_thresholds(Path(threshold), target=str(target))
    result, _ = evaluation.tables.evaluate_folders(
        Folders(gt, p, target),
        name=name or p.resolve().name,
        thresholds=thresholds,
        min_volumes_mm3=min_volumes_mm3,
        n_workers=n_workers,
    )
    if out is not None:
        require_room(Path(out), 0)
        with only_writer(Path(out)), staged(Path(out)) as stage:
            result.write(stage)
    return result
