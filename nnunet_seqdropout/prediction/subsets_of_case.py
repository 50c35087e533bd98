"""Predicts one case with every subset of its sequences and measures each against its reference."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.sequences import Pattern
from evaluation.inputs.folders import Folders
from evaluation.patient import Grid, Rules, evaluate_patient
from nnunet_seqdropout.prediction.case import CaseInput
from nnunet_seqdropout.prediction.model import Model, Preprocessed


@dataclass(frozen=True)
class SubsetsOfCase:
    """thresholds: for every pattern, whose it is and its value; empty takes the most probable label."""

    model: Model
    folders: Folders
    patterns: Sequence[Sequence[bool]]
    thresholds: Mapping[str, tuple[str, float]]
    min_volumes_mm3: Sequence[float]

    @property
    def never_trained(self) -> list[str]:
        """The patterns that training could not draw."""
        names = self.model.channel_names
        return [str(Pattern.of(p, names)) for p in self.patterns if not self.model.pattern_trained(p)]

    def rows(self, case: str, found: CaseInput, measuring: ThreadPoolExecutor) -> list[dict]:
        """A row per pattern that the case has; while one pattern is measured the next is predicted."""
        images = found.read().by_channel
        first = next(iter(images.values()))
        against = _Against(*self.folders.reference_on(first, case), Grid.of(first))
        rows: list[dict] = []
        ahead: Future | None = None
        for present, prepared in self._prepared(images):
            logits = self.model.logits(prepared)
            if ahead is not None:
                rows.append(ahead.result())
            shown = str(Pattern.of(present, self.model.channel_names))
            known = {"case": case, "pattern": shown, "n_present": sum(present)}
            ahead = measuring.submit(self._row, known, prepared, logits, against)
        if ahead is None:
            raise Fault(
                "the case lacks a sequence of every pattern", remedy="Give a pattern whose sequences the case has."
            )
        return [*rows, ahead.result()]

    def _prepared(self, images: Mapping[int, sitk.Image]) -> Iterator[tuple[Sequence[bool], Preprocessed]]:
        complete = self.model.preprocess(images)
        for present in self.patterns:
            kept = [channel for channel, there in enumerate(present) if there]
            if set(kept) <= images.keys():
                yield present, without(self.model, complete, images, kept)

    def _row(self, known: dict, prepared: Preprocessed, logits: torch.Tensor, against: "_Against") -> dict[str, Any]:
        segmentation = self.model.segmentation(logits, prepared)
        labels = self.folders.target.labels
        probability = self.model.probability(segmentation, labels)
        value, predicted = np.nan, None
        if self.thresholds:
            value = self.thresholds[known["pattern"]][1]
        else:
            predicted = np.isin(segmentation.labels, labels)
        result = evaluate_patient(
            against.reference,
            probability=probability,
            predicted=predicted,
            mask=against.mask,
            grid=against.grid,
            rules=Rules(value, self.min_volumes_mm3),
        )
        return {**known, "threshold": value, **result.measures}


@dataclass(frozen=True)
class _Against:
    """What the predictions of a case are compared with. mask: the voxels that count, None where all do."""

    reference: NDArray[np.bool_]
    mask: NDArray[np.bool_] | None
    grid: Grid


def without(
    model: Model, complete: Preprocessed, images: Mapping[int, sitk.Image], kept: Sequence[int]
) -> Preprocessed:
    """The case with only these sequences.

    Where the same voxels are not zero in the subset as in all images, nnU-Net crops both alike and normalises and
    resamples every channel for itself: the others are zeroed. Otherwise the subset is preprocessed anew.
    """
    present = tuple(channel in kept for channel in range(len(model.channel_names)))
    if present == complete.present:
        return complete
    if np.array_equal(_nonzero(images, kept), _nonzero(images, list(images))):
        data = torch.where(torch.tensor(present).view(-1, 1, 1, 1), complete.data, 0)
        return Preprocessed(data, complete.properties, present)
    return model.preprocess({channel: images[channel] for channel in kept})


def _nonzero(images: Mapping[int, sitk.Image], channels: Sequence[int]) -> NDArray[np.bool_]:
    return np.any([sitk.GetArrayViewFromImage(images[channel]) != 0 for channel in channels], axis=0)
