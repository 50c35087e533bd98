"""Segments a patient with the sequences that are there, from images in memory or their paths."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.in_memory import ImageOrPath, as_image
from dataset_conversion.files.texts.dataset_json import described
from dataset_conversion.raw.preparing.placeholders import usable_among
from dataset_conversion.sequences import Pattern, require_channel
from nnunet_seqdropout.api.targets import Label, PathLike, target_of
from nnunet_seqdropout.prediction import Model, Segmentation, load_model
from nnunet_seqdropout.prediction.case import CaseImages

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prediction:
    """labels: the label map, stored as the first image that was given and not empty.

    present: the sequences that were used, in channel order. factor: what they were multiplied by. warnings: such as
    that the model was never trained on these sequences.
    """

    labels: sitk.Image
    present: tuple[str, ...]
    factor: float
    warnings: tuple[str, ...]
    _model: Model
    _segmentation: Segmentation
    _images: CaseImages

    def probability(self, label: Label = 1) -> sitk.Image:
        """The probability of a label or region. Raises Fault where the model has no such one."""
        description = described(self._model.predictor.dataset_json)
        target = target_of(label, description)
        description.require_predicted(target.labels)
        return self._images.as_result(self._model.probability(self._segmentation, target.labels).astype(np.float32))


def predict(model: Model | PathLike, images: Mapping[str, ImageOrPath]) -> Prediction:
    """Segments one patient with the sequences that are there: name, alias or channel number -> image or path.

    The images lie on one grid; one that has one value everywhere counts as absent. model: what ``load_model`` gave, or
    the model's folder, which is then loaded on the CPU at every call. Raises Fault where a name is unknown, an image
    cannot be used, or none is left.
    """
    loaded = model if isinstance(model, Model) else load_model(Path(model))
    read = {require_channel(name, loaded.channel_names): as_image(given, name=name) for name, given in images.items()}
    if len(read) < len(images):
        raise Fault("two images are of one sequence", remedy=f"The channels are: {', '.join(loaded.channel_names)}.")
    names = {channel: Path(loaded.channel_names[channel]) for channel in read}
    usable = usable_among(read, names)
    used = CaseImages(usable, results_like=read[next(iter(usable))])
    case = loaded.preprocess(usable)
    for warning in (warnings := loaded.warnings(case.present)):
        log.warning("%s", warning)
    segmentation = loaded.segmentation(loaded.logits(case), case)
    return Prediction(
        labels=used.as_result(segmentation.labels),
        present=Pattern.of(case.present, loaded.channel_names).names,
        factor=loaded.factor(case.present),
        warnings=tuple(warnings),
        _model=loaded,
        _segmentation=segmentation,
        _images=used,
    )
