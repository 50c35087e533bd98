"""Tells from a model's plans which patterns of sequences its training could draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dataset_conversion.faults import Fault
from dataset_conversion.sequences import Pattern
from nnunet_seqdropout.dropout import Rescale
from nnunet_seqdropout.models.rescaling import REMEDY, our_settings, rescaling_of_plans
from nnunet_seqdropout.subsets import Presence, SubsetLaw, subset_probabilities


@dataclass(frozen=True)
class DropoutLaw:
    """What ``plans.json`` says of the dropout that a model was trained with; see ``WithSequenceDropout``."""

    sequences: tuple[str, ...]
    law: SubsetLaw
    drop_probability: float = 0.25
    always_keep: tuple[str, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    rescale: Rescale = "paper"

    @cached_property
    def drawn(self) -> frozenset[Presence]:
        """The patterns that a patient with all sequences may be shown with."""
        weights = {Pattern.parse(shown).flags(self.sequences): weight for shown, weight in self.weights.items()}
        probabilities = subset_probabilities(
            (True,) * len(self.sequences),
            law=self.law,
            drop_probability=self.drop_probability,
            always_keep=[name in self.always_keep for name in self.sequences],
            weights=weights,
        )
        return frozenset(present for present, probability in probabilities.items() if probability > 0)

    def why_not(self, present: Sequence[bool]) -> str:
        """Why a pattern is none of those drawn, in words."""
        absent = {name for name, there in zip(self.sequences, present, strict=True) if not there}
        if kept := [name for name in self.always_keep if name in absent]:
            return f"always_keep is {', '.join(self.always_keep)}, and {', '.join(kept)} is absent"
        if self.law == "weights":
            return "its weight in subset_weights is 0"
        return f"drop_probability is {self.drop_probability:g}"


def dropout_of_plans(plans: Mapping[str, Any], channel_names: Sequence[str]) -> DropoutLaw | None:
    """None for a model that was trained without dropout. Raises Fault where the plans say what cannot be."""
    ours = our_settings(plans)
    if "subset_law" not in ours:
        return None
    rescale = rescaling_of_plans(plans)
    try:
        law = DropoutLaw(
            tuple(ours.get("sequences", channel_names)),
            ours["subset_law"],
            ours.get("drop_probability", 0.25),
            tuple(ours.get("always_keep", ())),
            ours.get("subset_weights", {}),
            rescale,
        )
        if len(law.sequences) != len(channel_names):
            raise ValueError(f"sequences is {law.sequences}, channel_names in dataset.json {tuple(channel_names)}")
        law.drawn  # noqa: B018 - raises where a value cannot be
    except ValueError as error:
        raise Fault(f"the key seqdropout of plans.json cannot be read ({error})", remedy=REMEDY) from error
    return law


def can_be_drawn(law: DropoutLaw | None, present: Sequence[bool]) -> bool:
    """Whether training could show the model exactly these sequences of a patient who has all; without dropout: all."""
    return all(present) if law is None else tuple(present) in law.drawn
