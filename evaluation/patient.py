"""Computes all measures of one patient from arrays: numbers and a table of lesions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.lesion_table import lesion_table
from evaluation.metrics.grid import Grid
from evaluation.metrics.lesion.lesions import Detection, Objects, connect, detect, find_objects
from evaluation.metrics.lesion.lesionwise import lesion_wise
from evaluation.metrics.voxel.roc import Roc, roc_of_values
from evaluation.metrics.voxel.surfaces import compare_surfaces, surface_of
from evaluation.metrics.voxel.voxels import Overlap, brier, overlap_of_counts, reaches, require_probabilities

__all__ = ["Grid", "PatientResult", "Rules", "evaluate_patient", "papers_measures"]


@dataclass(frozen=True)
class Rules:
    """threshold: a voxel is predicted where p >= threshold, compared in float64. min_volumes_mm3: limits under which
    false positives and the objects that find a lesion are counted anew."""

    threshold: float = 0.5
    min_volumes_mm3: Sequence[float] = (10.0,)


@dataclass(frozen=True)
class PatientResult:
    """measures: the columns of ``cases.csv``; lesions: the rows of ``lesions.csv``; n_one_to_one: pairs of a lesion and
    an object, each in one pair at most; roc: None without probabilities. reference and predicted: the objects
    themselves."""

    measures: dict[str, float]
    lesions: pd.DataFrame
    n_one_to_one: int
    reference: Objects
    predicted: Objects
    roc: Roc | None = None


def evaluate_patient(
    reference: NDArray[np.bool_],
    *,
    probability: NDArray[np.floating] | None = None,
    predicted: NDArray[np.bool_] | None = None,
    mask: NDArray[np.bool_] | None = None,
    grid: Grid | None = None,
    rules: Rules | None = None,
) -> PatientResult:
    """Compares a prediction, probabilities or a mask or both, with its reference; all arrays are (Z, Y, X).

    The objects are those of the predicted mask, or else those at the threshold. mask: nothing outside it counts, on
    either side. Undefined figures are NaN.
    Raises ValueError where shapes differ, a probability is negative or not finite, or no prediction is given.
    """
    grid, rules = grid or Grid(), rules or Rules()
    if probability is None and predicted is None:
        raise ValueError("Give the probabilities, the predicted mask, or both.")
    for other in (probability, predicted, mask):
        if other is not None and other.shape != reference.shape:
            raise ValueError(f"The reference has shape {reference.shape}, the other volume {other.shape}.")
    if mask is not None:
        reference = reference & mask
    lesions = find_objects(reference)
    if predicted is not None:
        objects = find_objects(predicted if mask is None else predicted & mask)
    curve, brier_score = None, float("nan")
    if probability is not None:
        require_probabilities(probability)
        of_lesions = probability.ravel()[lesions.voxels]
        needed_from = rules.threshold if predicted is None else np.inf
        voxels = _candidates(probability, of_lesions, needed_from, mask)
        values = probability.ravel()[voxels]
        if predicted is None:
            objects = connect(voxels[reaches(values, rules.threshold)], reference.shape)
        curve = roc_of_values(
            of_lesions, values, n_voxels=reference.size if mask is None else int(np.count_nonzero(mask))
        )
        brier_score = brier(reference, probability, mask)
    detection = detect(lesions, objects, voxel_mm3=grid.voxel_mm3)
    measures = _measures(lesions, objects, detection, grid, rules, curve, brier_score)
    table = lesion_table(lesions, objects, detection, grid=grid, probability=probability)
    return PatientResult(measures, table, len(detection.one_to_one()), lesions, objects, curve)


def _candidates(
    probability: NDArray[np.floating],
    of_lesions: NDArray[np.floating],
    threshold: float,
    mask: NDArray[np.bool_] | None,
) -> NDArray[np.int64]:
    """Flat indices of the voxels that can matter, inside the mask: those that are predicted, and those that are not
    below every lesion voxel. Where a lesion voxel is 0, those that are 0 need only be counted."""
    lowest = min(threshold, float(of_lesions.min(initial=np.inf)))
    chosen = probability > 0 if lowest == 0 < threshold else reaches(probability, lowest)
    return np.flatnonzero(chosen if mask is None else chosen & mask)


def _measures(
    lesions: Objects,
    objects: Objects,
    detection: Detection,
    grid: Grid,
    rules: Rules,
    curve: Roc | None,
    brier_score: float,
) -> dict[str, float]:
    """The columns of ``cases.csv``, in their order."""
    agreement = _agreement(detection, lesions, objects)
    reference, predicted = (surface_of(these, grid.spacing_mm) for these in (lesions, objects))
    nan = float("nan")
    return {
        "auc": nan if curve is None else curve.auc,
        **papers_measures(lesions, objects, detection, min_volumes_mm3=rules.min_volumes_mm3),
        "volume_reference_mm3": len(lesions.voxels) * grid.voxel_mm3,
        "volume_predicted_mm3": len(objects.voxels) * grid.voxel_mm3,
        "voxel_mm3": grid.voxel_mm3,
        "iou": agreement.iou,
        **asdict(compare_surfaces(reference, predicted)),
        "auprc": nan if curve is None else curve.auprc,
        "brier": brier_score,
        **asdict(lesion_wise(detection, reference, predicted)),
    }


def papers_measures(
    lesions: Objects, objects: Objects, detection: Detection, *, min_volumes_mm3: Sequence[float]
) -> dict[str, float]:
    """What the paper counts of voxels and lesions at one threshold (Grøvik et al., Statistical Analysis)."""
    agreement, found = _agreement(detection, lesions, objects), detection.n_found()
    return {
        "dice": agreement.dice,
        "precision": agreement.precision,
        "recall": agreement.recall,
        "n_lesions": detection.n_lesions,
        "n_found": found,
        "sensitivity": found / detection.n_lesions if detection.n_lesions else float("nan"),
        "n_objects": detection.n_objects,
        "fp": detection.n_false_positives(),
        **{f"fp_{limit:g}mm3": detection.n_false_positives(limit) for limit in min_volumes_mm3},
        **{f"found_{limit:g}mm3": detection.n_found(limit) for limit in min_volumes_mm3},
    }


def _agreement(detection: Detection, lesions: Objects, objects: Objects) -> Overlap:
    return overlap_of_counts(int(detection.pairs[:, 2].sum()), len(lesions.voxels), len(objects.voxels))
