"""Optimisers that a trainer may choose between, on nnU-Net's polynomial schedule with or without a warm-up."""

from collections.abc import Iterable
from typing import Literal

import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from torch import nn

OptimizerType = Literal["sgd", "adamw"]
ADAMW_WEIGHT_DECAY = 0.01


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


def adamw(parameters: Iterable[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, learning_rate, weight_decay=ADAMW_WEIGHT_DECAY)
