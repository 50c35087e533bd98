"""Predicts from any subset of the sequences, without placeholder files, with a model that nnU-Net trained.

nnU-Net's own steps are called one by one (``nnUNetPredictor``, its preprocessor and its export), with zeros for what is
absent; only the reading of files, which cannot do without one, is ours.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from numpy.typing import NDArray
from torch import nn
from torch._dynamo import OptimizedModule

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.dataset_json import channel_names
from dataset_conversion.sequences import Pattern
from nnunet_seqdropout.dropout import case_present, factor, rescaling_of
from nnunet_seqdropout.models.dropout_law import can_be_drawn, dropout_of_plans
from nnunet_seqdropout.models.plans_file import blamed_on
from nnunet_seqdropout.prediction.stacking import by_channel, properties_of, stacked

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preprocessed:
    """A case as the network takes it. data: (N, Z, Y, X) after nnU-Net's preprocessing. present: (N,) flags.

    properties: what nnU-Net's export needs to put the result back onto the grid of the images.
    """

    data: torch.Tensor
    properties: dict[str, Any]
    present: tuple[bool, ...]


@dataclass(frozen=True)
class Segmentation:
    """labels: (Z, Y, X), the most probable. probabilities: (classes or regions, Z, Y, X). Both on the images' grid."""

    labels: NDArray[np.integer]
    probabilities: NDArray[np.floating]


class Model:
    """A trained model folder, its folds an ensemble. Load it with ``loading.load_model``.

    checkpoint: the file of each fold that is used. sha256: fold -> that of its file.
    """

    def __init__(self, predictor: nnUNetPredictor, folder: Path, checkpoint: str, sha256: Mapping[str, str]) -> None:
        self.predictor, self.folder, self.checkpoint, self.sha256 = predictor, folder, checkpoint, dict(sha256)
        self.folds = tuple(sha256)
        self.channel_names = channel_names(predictor.dataset_json["channel_names"])
        self._dropout = dropout_of_plans(predictor.plans_manager.plans, self.channel_names)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the prediction depends on, beside the model folder."""
        return {
            "folds": list(self.folds),
            "checkpoint": self.checkpoint,
            "sha256": self.sha256,
            "mirroring": self.predictor.use_mirroring,
            "step_size": self.predictor.tile_step_size,
            "gaussian": "where tiles overlap",
        }

    @property
    def rescales(self) -> bool:
        """Whether it was trained with sequence dropout and rescales its input by what is absent."""
        return rescaling_of(self._network) is not None

    def factor(self, present: Sequence[bool]) -> float:
        """What the sequences that are there are multiplied by, all exactly once."""
        return factor(sum(present), len(present), rescaling_of(self._network) or "none")

    def pattern_trained(self, present: Sequence[bool]) -> bool:
        """Whether training could show the model exactly these sequences of a patient who has all."""
        return can_be_drawn(self._dropout, present)

    def warnings(self, present: Sequence[bool]) -> list[str]:
        """What to say of a case with these sequences."""
        if self.pattern_trained(present):
            return []
        if self._dropout is None:
            return ["a sequence is absent, and the model was trained without sequence dropout"]
        pattern = Pattern.of(present, self.channel_names)
        return [f"the model was never trained on {pattern} alone: {self._dropout.why_not(present)}"]

    def preprocess(self, images: Mapping[int, sitk.Image] | Mapping[str, sitk.Image]) -> Preprocessed:
        """Images by channel, all of one grid, that hold more than one value -> what the network takes.

        A channel is its number, or a sequence's name or alias (``require_channel``). Cropping and normalisation are
        those of the images that are there. Raises Fault where a name is unknown or ambiguous, two mean one channel, or
        there is no image.
        """
        channels = by_channel(images, self.channel_names)
        predictor = self.predictor
        preprocessor = predictor.configuration_manager.preprocessor_class(verbose=False)
        with self._steps_of_nnunet("preprocessing"):
            data, _, properties = preprocessor.run_case_npy(
                stacked(channels, len(self.channel_names)),
                None,
                properties_of(next(iter(channels.values()))),
                predictor.plans_manager,
                predictor.configuration_manager,
                predictor.dataset_json,
            )
        present = tuple(channel in channels for channel in range(len(self.channel_names)))
        return Preprocessed(torch.from_numpy(data), properties, present)

    def logits(self, case: Preprocessed, *, warn: Callable[[str], object] = log.warning) -> torch.Tensor:
        """(classes, Z, Y, X) on the preprocessed grid: nnU-Net's sliding window, mirroring and ensemble.

        A case that fits into one tile is predicted without nnU-Net's Gaussian weights: there they cancel but for their
        rounding in float16. One for which the device has not enough memory is predicted on the CPU; ``warn`` is told.
        """
        self.predictor.use_gaussian = not self._fits_one_tile(case.data)
        with self._steps_of_nnunet("prediction"), case_present(self._network, case.present):
            try:
                return self.predictor.predict_logits_from_preprocessed_data(case.data).cpu()
            except torch.OutOfMemoryError:
                warn(f"{self.predictor.device} has not enough memory for this case: it was predicted on the CPU")
            with _on_the_cpu(self.predictor):
                return self.predictor.predict_logits_from_preprocessed_data(case.data)

    def segmentation(self, logits: torch.Tensor, case: Preprocessed) -> Segmentation:
        """Back on the grid of the images, by nnU-Net's export."""
        predictor = self.predictor
        with self._steps_of_nnunet("export"):
            labels, probabilities = convert_predicted_logits_to_segmentation_with_correct_shape(
                logits,
                predictor.plans_manager,
                predictor.configuration_manager,
                predictor.label_manager,
                case.properties,
                return_probabilities=True,
            )
        return Segmentation(labels, probabilities)

    def predict(self, images: Mapping[int, sitk.Image] | Mapping[str, sitk.Image]) -> Segmentation:
        """Images by channel -> the segmentation. Raises Fault as ``preprocess`` does."""
        case = self.preprocess(images)
        log.debug("predicting from %s", Pattern.of(case.present, self.channel_names))
        return self.segmentation(self.logits(case), case)

    def probability(self, segmentation: Segmentation, labels: Sequence[int]) -> NDArray[np.floating]:
        """(Z, Y, X): of the label, or the region of several labels. Raises Fault where the model has no such region."""
        manager = self.predictor.label_manager
        if not manager.has_regions:
            known = manager.all_labels
            if not set(labels) <= set(known):
                raise Fault(f"the model has no label {labels}", remedy=f"Choose among {known}.")
            return segmentation.probabilities[list(labels)].sum(axis=0)
        regions = [
            set(region) if isinstance(region, (tuple, list)) else {region} for region in manager.foreground_regions
        ]
        if set(labels) not in regions:
            raise Fault(f"the model has no region {set(labels)}", remedy=f"Choose among {regions}.")
        return segmentation.probabilities[regions.index(set(labels))]

    def _steps_of_nnunet(self, step: str) -> AbstractContextManager[None]:
        """Within it whatever goes wrong is the case's Fault: nnU-Net takes the values of the plans unchecked."""
        remedy = "Look at the images, and see that this file is the one that nnU-Net wrote (seqdropout model verify)."
        return blamed_on(self.folder / "plans.json", f"nnU-Net's {step} by these plans", remedy)

    def _fits_one_tile(self, data: torch.Tensor) -> bool:
        """Whether nnU-Net's sliding window has one position, for a 2D patch one in each slice."""
        patch = self.predictor.configuration_manager.patch_size
        return all(size <= tile for size, tile in zip(data.shape[-len(patch) :], patch, strict=True))

    @property
    def _network(self) -> nn.Module:
        network = self.predictor.network
        return network._orig_mod if isinstance(network, OptimizedModule) else network


@contextmanager
def _on_the_cpu(predictor: nnUNetPredictor) -> Iterator[None]:
    device, everything = predictor.device, predictor.perform_everything_on_device
    predictor.device, predictor.perform_everything_on_device = torch.device("cpu"), False
    try:
        yield
    finally:
        predictor.device, predictor.perform_everything_on_device = device, everything
