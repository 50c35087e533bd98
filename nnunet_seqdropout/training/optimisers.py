"""Builds the optimisers that a trainer can select, with nnU-Net's polynomial schedule and an optional warm-up."""

from collections.abc import Mapping
from typing import Literal

import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler

OptimizerType = Literal["sgd", "adamw"]

LEARNING_RATES: Mapping[OptimizerType, float] = {"sgd": 0.01, "adamw": 3e-4}
"""Unless a trainer sets another: nnU-Net's own, and what the authors' public code trains with."""

WEIGHT_DECAYS: Mapping[OptimizerType, float] = {"sgd": 3e-5, "adamw": 0.01}
"""nnU-Net's own, and torch's for AdamW."""


class WarmedUpPolyLR(PolyLRScheduler):
    """nnU-Net's schedule, whose first w = ``warmup_steps`` steps rise to it: 1/(w+1), 2/(w+1), ... of its value."""

    def __init__(self, optimizer: torch.optim.Optimizer, initial_lr: float, max_steps: int, warmup_steps: int) -> None:
        self.warmup_steps = warmup_steps
        super().__init__(optimizer, initial_lr, max_steps)

    def step(self, current_step: int | None = None) -> None:
        super().step(current_step)
        if current_step is not None and current_step < self.warmup_steps:
            for group in self.optimizer.param_groups:
                group["lr"] *= (current_step + 1) / (self.warmup_steps + 1)
            self._last_lr = [group["lr"] for group in self.optimizer.param_groups]
