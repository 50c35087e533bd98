"""Adds sequence dropout to any of nnU-Net's trainers."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from dataset_conversion.files.texts.dataset_json import stored_names
from dataset_conversion.sequences import Pattern
from nnunet_seqdropout.dropout import (
    RecordPresence,
    Rescale,
    SequenceDropout,
    add_rescaling,
    keep_and_rescale,
    sequences_to_draw_from,
)
from nnunet_seqdropout.plans import Plans, with_settings
from nnunet_seqdropout.settings import require_not_negative
from nnunet_seqdropout.subsets import SubsetLaw, subsets
from nnunet_seqdropout.training.configured import ConfiguredTrainer

VALIDATION_SEED = 20210122
"""The seed of the subsets drawn for the online validation."""


class WithSequenceDropout(ConfiguredTrainer):
    """Adds sequence dropout to whatever network the trainer trains (Grøvik et al., Neural Network Details).

    In its online validation, which chooses ``checkpoint_best``, sequences are absent, too: the subsets are drawn by the
    same law, the same ones in every epoch. All that it logs, the Dice of the patients with a pattern included, is of
    these subsets. The final validation sees all that a patient has, as in nnU-Net.

    subset_law, drop_probability: see ``subsets.subset_probabilities``. always_keep: names of channels that are never
    dropped. subset_weights: under the law "weights", availability pattern -> weight, such as {"t1_pre+flair": 0}.
    rescale: see ``dropout.factor``. dropout_warmup_epochs: how many epochs it takes until every sample is subject to
    dropout. Raises ValueError for an unknown name or law, a droppable CT channel and a cascade.
    """

    subset_law: ClassVar[SubsetLaw] = "uniform_subsets"
    drop_probability: ClassVar[float] = 0.25
    always_keep: ClassVar[tuple[str, ...]] = ()
    subset_weights: ClassVar[Mapping[str, float]] = {}
    rescale: ClassVar[Rescale] = "paper"
    dropout_warmup_epochs: ClassVar[int] = 0

    def rewrite_plans(self, plans: Plans) -> Plans:
        self._refuse_what_cannot_be_dropped()
        self._dropout = self._configured_dropout()
        self._dropout.probabilities((True,) * len(self._sequences))
        return with_settings(
            super().rewrite_plans(plans),
            sequences=list(self._sequences),
            subset_law=self.subset_law,
            drop_probability=self.drop_probability,
            always_keep=list(self.always_keep),
            subset_weights=dict(self.subset_weights),
            rescale=self.rescale,
            dropout_warmup_epochs=self.dropout_warmup_epochs,
        )

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """nnU-Net's planned network, which receives its input rescaled when it predicts; same state dict keys."""
        network = super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        # a model from before this setting has the paper's
        add_rescaling(network, plans_manager.plans.get("seqdropout", {}).get("rescale", "paper"))
        return network

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> BasicTransform:
        stock = super().get_training_transforms(*args, **kwargs)
        # the workers draw batches before the first epoch starts
        self._warm_up_dropout()
        return ComposeTransforms([RecordPresence(), stock, self._dropout])

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self._warm_up_dropout()

    def _warm_up_dropout(self) -> None:
        self._dropout.strength.fill_(min(1.0, (self.current_epoch + 1) / (self.dropout_warmup_epochs + 1)))

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._validation_subsets = np.random.default_rng([VALIDATION_SEED, self.local_rank])

    def validation_step(self, batch: dict) -> dict:
        """nnU-Net's, on a drawn subset of each sample's sequences; the network rescales them as in prediction."""
        present = sequences_to_draw_from(batch["data"])
        kept = torch.tensor([self._dropout.draw(tuple(p), self._validation_subsets) for p in present.tolist()])
        return super().validation_step({**batch, "data": keep_and_rescale(batch["data"], kept, "none")})

    def _configured_dropout(self) -> SequenceDropout:
        known = {str(Pattern.of(p, self._sequences)): p for p in subsets([True] * len(self._sequences))}
        if unknown := self.subset_weights.keys() - known.keys():
            raise ValueError(f"subset_weights names {', '.join(unknown)}; name subsets such as {' or '.join(known)}.")
        return SequenceDropout(
            self.subset_law,
            drop_probability=self.drop_probability,
            always_keep=[name in self.always_keep for name in self._sequences],
            weights={known[name]: weight for name, weight in self.subset_weights.items()},
            rescale=self.rescale,
        )

    def _refuse_what_cannot_be_dropped(self) -> None:
        if self.is_cascaded:
            raise ValueError(f"{self.configuration_name} is a cascade; train 2d or 3d_fullres with sequence dropout.")
        require_not_negative("dropout_warmup_epochs", self.dropout_warmup_epochs)
        for name in self.always_keep:
            if name not in self._sequences:
                raise ValueError(f"always_keep names '{name}'; this data set has {', '.join(self._sequences)}.")
        for name, stored in zip(self._sequences, stored_names(self.dataset_json["channel_names"]), strict=True):
            if stored.lower() == "ct" and name not in self.always_keep:
                raise ValueError(
                    f"Channel '{name}' is normalised as CT, which turns the zeros of an absent image into another "
                    "constant: it cannot be dropped. Add it to always_keep, or rename it in dataset.json."
                )
