"""Learning rates counted by hand: nnU-Net's schedule, and the warm-up that leads to it."""

import pytest
import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from torch import nn

from nnunet_seqdropout.training.optimisers import WarmedUpPolyLR


def sgd() -> torch.optim.Optimizer:
    """Two groups of parameters."""
    return torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))]} for _ in range(2)], 7.0)


def rate_at(scheduler, step: int) -> float:
    scheduler.step(step)
    rates = {group["lr"] for group in scheduler.optimizer.param_groups}
    assert rates == set(scheduler.get_last_lr())
    return rates.pop()


def test_a_warm_up_of_three_steps_takes_quarters_of_the_schedule():
    # nnU-Net: 0.01 x (1 - step/10)^0.9
    full = [0.01 * (1 - step / 10) ** 0.9 for step in range(5)]
    scheduler = WarmedUpPolyLR(sgd(), 0.01, 10, 3)
    expected = [full[0] / 4, full[1] / 2, full[2] * 3 / 4, full[3], full[4]]
    assert [rate_at(scheduler, step) for step in range(5)] == pytest.approx(expected)
    assert expected[0] == 0.0025


def test_without_warm_up_it_is_the_schedule_of_nnunet():
    ours, stock = WarmedUpPolyLR(sgd(), 0.01, 20, 0), PolyLRScheduler(sgd(), 0.01, 20)
    assert [rate_at(ours, step) for step in range(20)] == [rate_at(stock, step) for step in range(20)]


@pytest.mark.parametrize("step", [0, 2, 3, 7])
def test_a_resumed_training_has_the_learning_rate_of_its_epoch(step):
    whole, resumed = (WarmedUpPolyLR(sgd(), 0.01, 10, 3) for _ in range(2))
    for before in range(step):
        whole.step(before)
    assert rate_at(resumed, step) == rate_at(whole, step)


def test_asking_twice_for_an_epoch_warms_it_up_once():
    scheduler = WarmedUpPolyLR(sgd(), 0.01, 10, 3)
    assert rate_at(scheduler, 1) == rate_at(scheduler, 1)
