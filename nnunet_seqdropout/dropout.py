"""Implements sequence dropout: in training whole MRI sequences are set to zero, and the remaining ones rescaled."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform, ImageOnlyTransform
from torch import nn

from nnunet_seqdropout.settings import require_one_of
from nnunet_seqdropout.subsets import Presence, SubsetLaw, subset_probabilities

Rescale = Literal["paper", "sqrt", "none"]
"""The factor of the sequences present: the paper's N/(N-k), its square root, which keeps the variance of the first
layer's sum rather than its mean, or 1."""

_EXPONENTS: Mapping[Rescale, float] = {"paper": 1.0, "sqrt": 0.5, "none": 0.0}


def present_sequences(x: torch.Tensor) -> torch.Tensor:
    """Which sequences of a batch are not zero everywhere: (B, N, *spatial) -> (B, N) bool."""
    return x.ne(0).flatten(2).any(-1)


def sequences_to_draw_from(x: torch.Tensor) -> torch.Tensor:
    """As ``present_sequences``, but a patch that is zero throughout, background alone, counts as complete."""
    present = present_sequences(x)
    return present | ~present.any(-1, keepdim=True)


def factor(n_present: int, n_sequences: int, rescale: Rescale = "paper") -> float:
    """The factor of the sequences present, N/(N-k) for k absent of N; 1 where none is, or none is absent.

    It keeps the pixel statistics of the input relatively constant (Grøvik et al., Neural Network Details): 4/3 with
    one of four sequences absent, 2 with two.
    """
    return (n_sequences / max(n_present, 1)) ** _EXPONENTS[rescale] if n_present else 1.0


def rescaling_factor(present: torch.Tensor, rescale: Rescale = "paper") -> torch.Tensor:
    """``factor`` of every sample: (B, N) bool -> (B,) float32."""
    n_present = present.sum(-1)
    ratio = present.shape[-1] / n_present.clamp(min=1)
    return torch.where(n_present > 0, ratio ** _EXPONENTS[rescale], 1.0)


def keep_and_rescale(x: torch.Tensor, kept: torch.Tensor, rescale: Rescale = "paper") -> torch.Tensor:
    """Zeroes all sequences but those kept and multiplies these by their factor: (B, N, *spatial), (B, N) -> like x."""
    # (B, N) is broadcast over the spatial axes
    tail = (1,) * (x.ndim - 2)
    scaled = x * rescaling_factor(kept, rescale).to(x.dtype).view(-1, 1, *tail)
    # a product with 0 would leave NaN where a dropped sequence is NaN or infinite
    return torch.where(kept.view(*kept.shape, *tail), scaled, 0)


class RescaleInEvaluation:
    """Forward pre-hook: in evaluation mode a network receives its input rescaled by what is absent from it.

    In training mode it receives the input as it is: ``SequenceDropout`` has rescaled it. "Absent" is a sequence that
    is zero everywhere in the input, unless ``case_present`` says what the whole case has: a tile may well show nothing
    of a sequence that the case has. Raises ValueError for an unknown ``rescale``.
    """

    def __init__(self, rescale: Rescale = "paper") -> None:
        require_one_of("rescale", rescale, _EXPONENTS)
        self.rescale: Rescale = rescale
        self.present: torch.Tensor | None = None

    def __call__(self, network: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        (x,) = inputs
        if network.training:
            return (x,)
        present = present_sequences(x) if self.present is None else self.present.to(x.device).expand(len(x), -1)
        return (keep_and_rescale(x, present, self.rescale),)


def add_rescaling(network: nn.Module, rescale: Rescale) -> None:
    """From now on the network receives its input rescaled when it predicts; ``rescaling_of`` tells how."""
    network.register_forward_pre_hook(RescaleInEvaluation(rescale))


def rescaling_of(network: nn.Module) -> Rescale | None:
    """How the network rescales its input; None: it was trained without sequence dropout and takes it as it is."""
    return next((hook.rescale for hook in _rescaling_hooks(network)), None)


@contextmanager
def case_present(network: nn.Module, present: Sequence[bool]) -> Iterator[None]:
    """Within it, the network knows which sequences the case has, and does not infer it from the tile that it is given.

    nnU-Net's predictor, which calls the network on one tile after another, has no argument for it.
    """
    hooks = _rescaling_hooks(network)
    for hook in hooks:
        hook.present = torch.tensor([list(present)])
    try:
        yield
    finally:
        for hook in hooks:
            hook.present = None


def _rescaling_hooks(network: nn.Module) -> list[RescaleInEvaluation]:
    return [hook for hook in network._forward_pre_hooks.values() if isinstance(hook, RescaleInEvaluation)]


class RecordPresence(BasicTransform):
    """First in the pipeline: notes which sequences of the patch are there, before noise makes an absent one nonzero."""

    def apply(self, data_dict: dict, **params: object) -> dict:
        """Adds ``present``, (N,) bool, to the sample: see ``sequences_to_draw_from``."""
        return {**data_dict, "present": sequences_to_draw_from(data_dict["image"][None])[0]}


class SequenceDropout(ImageOnlyTransform):
    """Last in the pipeline: draws a subset of the sequences present, zeroes all others, rescales by ``factor``.

    Needs ``present`` from ``RecordPresence``. Draws with numpy, which nnU-Net reseeds in every worker.

    always_keep: (N,) flags of the sequences that are never dropped where they are present. weights: see
    ``subset_probabilities``. ``strength`` is the share of the samples in which anything may be dropped, 1 unless a
    trainer warms the dropout up; it lies in shared memory, where the augmentation workers see it change.
    """

    def __init__(
        self,
        law: SubsetLaw = "uniform_subsets",
        *,
        drop_probability: float = 0.25,
        always_keep: Sequence[bool] | None = None,
        weights: Mapping[Presence, float] | None = None,
        rescale: Rescale = "paper",
    ) -> None:
        super().__init__()
        require_one_of("rescale", rescale, _EXPONENTS)
        self.law = law
        self.drop_probability = drop_probability
        self.always_keep = None if always_keep is None else tuple(always_keep)
        self.weights = None if weights is None else dict(weights)
        self.rescale: Rescale = rescale
        self.strength = torch.ones(()).share_memory_()
        # a data set has few patterns of presence, each of which comes up in many samples
        self._known: dict[Presence, dict[Presence, float]] = {}

    def probabilities(self, present: Presence) -> dict[Presence, float]:
        """See ``subset_probabilities``, also for what it raises."""
        if present not in self._known:
            self._known[present] = subset_probabilities(
                present,
                law=self.law,
                drop_probability=self.drop_probability,
                always_keep=self.always_keep,
                weights=self.weights,
            )
        return self._known[present]

    def draw(self, present: Presence, generator: Any = np.random) -> Presence:
        """A subset of the sequences present. generator: numpy's own, or one of numpy's generators."""
        probabilities = self.probabilities(present)
        candidates = list(probabilities)
        # an index, since choice would make an array of the tuples
        return candidates[generator.choice(len(candidates), p=list(probabilities.values()))]

    def get_parameters(self, **data_dict: torch.Tensor) -> dict[str, torch.Tensor]:
        present = tuple(data_dict["present"].tolist())
        strength = self.strength.item()
        drops = strength >= 1 or np.random.random() < strength  # no number is drawn once the warm-up is over
        return {"kept": torch.tensor(self.draw(present) if drops else present)}

    def _apply_to_image(self, img: torch.Tensor, *, kept: torch.Tensor) -> torch.Tensor:
        return keep_and_rescale(img[None], kept[None], self.rescale)[0]
