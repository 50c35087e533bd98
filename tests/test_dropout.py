"""What the transforms do to a patch, and what the first layer of a network receives."""

from collections import Counter

import numpy as np
import pytest
import torch
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from scipy.stats import chisquare
from torch import nn

from nnunet_seqdropout.dropout import (
    RecordPresence,
    SequenceDropout,
    present_sequences,
    rescale_in_evaluation,
    rescaling_factor,
)
from nnunet_seqdropout.subsets import subset_probabilities


def sample(present=(True, True, True, True), shape=(5, 16, 16)) -> dict[str, torch.Tensor]:
    image = torch.randn(len(present), *shape) + 3
    image[~torch.tensor(present)] = 0
    return {"image": image, "segmentation": torch.zeros(1, *shape, dtype=torch.int16)}


def drawn_subset(transformed: dict) -> tuple[bool, ...]:
    return tuple(present_sequences(transformed["image"][None])[0].tolist())


def test_the_factor_is_that_of_the_paper():
    present = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]], dtype=torch.bool)
    assert torch.equal(rescaling_factor(present), torch.tensor([1, 4 / 3, 2, 4, 1]))


def test_dropout_zeroes_the_dropped_and_multiplies_the_rest():
    np.random.seed(0)
    image = sample()["image"]
    for _ in range(20):
        data = RecordPresence()(image=image.clone())
        dropped = SequenceDropout()(**data)["image"]
        kept = present_sequences(dropped[None])[0]
        torch.testing.assert_close(dropped[kept], image[kept] * (4 / kept.sum()))


def test_dropout_leaves_the_image_it_was_given():
    data = RecordPresence()(**sample())
    before = data["image"].clone()
    SequenceDropout("independent", drop_probability=0.9)(image=data["image"], present=data["present"])
    assert torch.equal(data["image"], before)


def test_a_patch_of_background_counts_as_complete():
    assert RecordPresence()(image=torch.zeros(3, 5, 8, 8))["present"].tolist() == [True, True, True]


@pytest.mark.parametrize("law", ["uniform_subsets", "independent", "uniform_number"])
@pytest.mark.parametrize("always_keep", [None, (False, False, True, False)])
def test_drawn_frequencies_follow_the_law(law, always_keep):
    np.random.seed(1)
    present = (True, True, True, False)
    dropout = SequenceDropout(law, drop_probability=0.25, always_keep=always_keep)
    data = RecordPresence()(**sample(present, shape=(1, 2, 2)))
    counts = Counter(tuple(dropout.get_parameters(**data)["kept"].tolist()) for _ in range(4000))
    expected = subset_probabilities(present, law=law, drop_probability=0.25, always_keep=always_keep)
    assert counts.keys() == expected.keys()
    observed = [counts[subset] for subset in expected]
    assert chisquare(observed, [4000 * p for p in expected.values()]).pvalue > 1e-3


def stock_pipeline(regions=None) -> ComposeTransforms:
    return nnUNetTrainer.get_training_transforms(
        [5, 16, 16], (-3.1, 3.1), None, (1, 2), True, use_mask_for_norm=[False] * 4, regions=regions
    )


def test_noise_revives_an_absent_sequence_in_the_stock_pipeline():
    """Why presence is recorded first and dropout comes last: without them a zero channel comes back."""
    np.random.seed(2)
    torch.manual_seed(2)
    absent = (True, False, True, True)
    assert any(drawn_subset(stock_pipeline()(**sample(absent)))[1] for _ in range(100))


def test_an_absent_sequence_never_comes_back_over_hundreds_of_patches():
    np.random.seed(3)
    torch.manual_seed(3)
    pipeline = ComposeTransforms([RecordPresence(), stock_pipeline(), SequenceDropout()])
    seen = Counter(drawn_subset(pipeline(**sample((True, False, True, True)))) for _ in range(400))
    assert not any(subset[1] for subset in seen)
    assert len(seen) == 7


class DrawingLoader:
    """A data loader of nnU-Net's kind: an iterator whose batches are drawn in a forked worker."""

    def __init__(self) -> None:
        self.dropout = SequenceDropout()
        self.present = torch.ones(4, dtype=torch.bool)

    def set_thread_id(self, thread_id: int) -> None:
        self.thread_id = thread_id

    def __iter__(self):
        return self

    def __next__(self) -> dict:
        drawn = [self.dropout.get_parameters(present=self.present)["kept"].tolist() for _ in range(30)]
        return {"worker": self.thread_id, "drawn": drawn}


def test_two_forked_workers_draw_different_subsets():
    augmenter = NonDetMultiThreadedAugmenter(DrawingLoader(), None, num_processes=2, num_cached=4, seeds=None)
    by_worker: dict[int, list] = {}
    while len(by_worker) < 2:  # the first worker may draw many batches before the second has started
        batch = next(augmenter)
        by_worker.setdefault(batch["worker"], batch["drawn"])
    augmenter._finish()
    first, second = by_worker.values()
    assert first != second


class Receives(nn.Module):
    """A network that answers with what it received."""

    def __init__(self) -> None:
        super().__init__()
        self.register_forward_pre_hook(rescale_in_evaluation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_in_evaluation_the_network_receives_the_zeros_and_the_factor_and_nothing_else():
    x = torch.randn(2, 4, 5, 8, 8)
    x[1, 0] = 0
    received = Receives().eval()(x)
    assert torch.equal(received[0], x[0])
    assert torch.equal(received[1, 0], torch.zeros(5, 8, 8))
    torch.testing.assert_close(received[1, 1:], x[1, 1:] * (4 / 3))


def test_in_training_the_network_receives_its_input_as_it_is():
    x = torch.randn(2, 4, 5, 8, 8)
    x[1, 0] = 0
    assert torch.equal(Receives().train()(x), x)


def test_a_tile_without_any_sequence_passes_unchanged():
    x = torch.zeros(1, 4, 8, 8)
    assert torch.equal(Receives().eval()(x), x)


def test_training_and_inference_apply_the_same_factor():
    np.random.seed(4)
    image = sample((True, False, True, True))["image"]
    data = RecordPresence()(image=image)
    in_training = SequenceDropout("independent", drop_probability=0)(**data)["image"]
    torch.testing.assert_close(Receives().eval()(image[None])[0], in_training)
