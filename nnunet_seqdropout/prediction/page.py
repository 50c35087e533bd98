"""Composes the page of a predicted case from what was read, predicted and recorded."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.files.texts.dataset_json import described
from dataset_conversion.sequences import channels_of
from evaluation.figures.predicted import predicted_mosaic
from evaluation.inputs.target import Target
from evaluation.metrics.lesion.lesions import Objects
from evaluation.report.prediction import Prediction, prediction_page
from nnunet_seqdropout.prediction.inputs import CaseImages
from nnunet_seqdropout.prediction.model import Model


def page_of_case(
    images: CaseImages,
    model: Model,
    target: Target,
    record: Mapping[str, Any],
    objects: Objects,
    probability: NDArray,
    lesions: pd.DataFrame,
) -> str:
    """The text of ``<case>.html``. objects and probability, (Z, Y, X), are on the grid of the results."""
    channel = _background(images, model.channel_names)
    # in the storage order of the results, as all that is drawn over it
    background = images.as_result(sitk.GetArrayFromImage(images.by_channel[channel]))
    slices = predicted_mosaic(background, objects, probability, sequence=model.channel_names[channel])
    return prediction_page(
        Prediction(
            record,
            target=described(model.predictor.dataset_json).name_of(target.labels),
            channel_names=model.channel_names,
            lesions=lesions,
            slices=slices,
            synthetic=images.synthetic,
            versions={package: version(package) for package in ("nnunet_seqdropout", "nnunetv2", "torch")},
        )
    )


def _background(images: CaseImages, channel_names: tuple[str, ...]) -> int:
    """The channel of ``t1_gd``, or else the first that is there."""
    wanted = (*channels_of("t1_gd", channel_names), *sorted(images.by_channel))
    return next(channel for channel in wanted if channel in images.by_channel)
