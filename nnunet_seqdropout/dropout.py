"""Sequence dropout: whole MRI sequences become zero in training, and what is left is rescaled."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform, ImageOnlyTransform
from torch import nn

from nnunet_seqdropout.subsets import Presence, SubsetLaw, subset_probabilities

_cached_probabilities = lru_cache(maxsize=1024)(subset_probabilities)


def present_sequences(x: torch.Tensor) -> torch.Tensor:
    """Which sequences of a batch are not zero everywhere: (B, N, *spatial) -> (B, N) bool."""
    return x.ne(0).flatten(2).any(-1)


def rescaling_factor(present: torch.Tensor) -> torch.Tensor:
    """The paper's N/(N-k) for k absent of N sequences: (B, N) bool -> (B,) float32.

    It keeps the pixel statistics of the input relatively constant (Grøvik et al., Neural Network Details): 4/3 with
    one of four sequences absent, 2 with two. Nothing absent gives exactly 1; so does nothing present, where there is
    nothing to rescale.
    """
    n_present = present.sum(-1)
    return torch.where(n_present > 0, present.shape[-1] / n_present.clamp(min=1), 1.0)


def keep_and_rescale(x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Zeroes all sequences but those kept and multiplies these by N/(N-k): (B, N, *spatial), (B, N) -> like x."""
    tail = (1,) * (x.ndim - 2)
    scaled = x * rescaling_factor(kept).to(x.dtype).view(-1, 1, *tail)
    return torch.where(kept.view(*kept.shape, *tail), scaled, 0)


def rescale_in_evaluation(network: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    """Forward pre-hook: in evaluation mode a network receives its input rescaled by what is absent from it.

    In training mode it receives the input as it is: ``SequenceDropout`` has rescaled it. "Absent" is a sequence that
    is zero over the whole piece that nnU-Net hands over, (B, N, *spatial); a piece without any passes unchanged.
    Whoever knows the whole case says who is present: ``network.present_in_case``, (1, N) bool.
    """
    (x,) = inputs
    if network.training:
        return (x,)
    known = getattr(network, "present_in_case", None)
    present = present_sequences(x) if known is None else known.to(x.device).expand(len(x), -1)
    return (keep_and_rescale(x, present),)


class RecordPresence(BasicTransform):
    """First in the pipeline: notes which sequences of the patch are there, before noise revives an absent one."""

    def apply(self, data_dict: dict, **params: object) -> dict:
        """Adds ``present``, (N,) bool, to the sample. A patch that is zero throughout counts as complete."""
        present = present_sequences(data_dict["image"][None])[0]
        return {**data_dict, "present": present if present.any() else torch.ones_like(present)}


class SequenceDropout(ImageOnlyTransform):
    """Last in the pipeline: draws a subset of the sequences present, zeroes all others, rescales by N/(N-k).

    Needs ``present`` from ``RecordPresence``. Draws with numpy, which nnU-Net reseeds in every worker.

    always_keep: (N,) flags of the sequences that are never dropped where they are present.
    """

    def __init__(
        self,
        law: SubsetLaw = "uniform_subsets",
        *,
        drop_probability: float = 0.25,
        always_keep: Sequence[bool] | None = None,
    ) -> None:
        super().__init__()
        self.law = law
        self.drop_probability = drop_probability
        self.always_keep = None if always_keep is None else tuple(always_keep)

    def probabilities(self, present: Presence) -> dict[Presence, float]:
        """See ``subset_probabilities``, also for what it raises."""
        return _cached_probabilities(
            present, law=self.law, drop_probability=self.drop_probability, always_keep=self.always_keep
        )

    def get_parameters(self, **data_dict: torch.Tensor) -> dict[str, torch.Tensor]:
        probabilities = self.probabilities(tuple(data_dict["present"].tolist()))
        candidates = list(probabilities)
        drawn = np.random.choice(len(candidates), p=list(probabilities.values()))
        return {"kept": torch.tensor(candidates[drawn])}

    def _apply_to_image(self, img: torch.Tensor, *, kept: torch.Tensor) -> torch.Tensor:
        return keep_and_rescale(img[None], kept[None])[0]
