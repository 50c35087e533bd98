"""What the transforms do to a patch, and what the first layer of a network receives."""

from collections import Counter
from math import sqrt
from typing import Any

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
    Rescale,
    SequenceDropout,
    add_rescaling,
    case_present,
    factor,
    keep_and_rescale,
    present_sequences,
    rescaling_factor,
    rescaling_of,
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


# of four sequences, by how many are there; one absent: 4/3, two: 2, three: 4
FACTORS: dict[Rescale, list[float]] = {
    "paper": [1, 4, 2, 4 / 3, 1],
    "sqrt": [1, 2, sqrt(2), sqrt(4 / 3), 1],
    "none": [1, 1, 1, 1, 1],
}


@pytest.mark.parametrize("rescale", FACTORS)
def test_the_factor_is_the_papers_or_its_root_or_none(rescale):
    expected = FACTORS[rescale]
    assert [factor(n, 4, rescale) for n in range(5)] == pytest.approx(expected)
    present = torch.tensor([[i < n for i in range(4)] for n in range(5)])
    torch.testing.assert_close(rescaling_factor(present, rescale), torch.tensor(expected, dtype=torch.float32))


def test_an_unknown_rescaling_is_refused():
    unknown: Any = "squared"
    for refused in (lambda: SequenceDropout(rescale=unknown), lambda: add_rescaling(nn.Identity(), unknown)):
        with pytest.raises(ValueError, match="rescale is 'squared': choose one of paper, sqrt, none"):
            refused()


def test_the_root_of_the_factor_keeps_the_variance_of_a_sum_over_the_sequences():
    """Independent sequences of variance 1: the sum of four has variance 4, that of two 2, times sqrt(2)^2 again 4."""
    x = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0))
    for n_present in (1, 2, 3):
        summed = (x[:, :n_present] * factor(n_present, 4, "sqrt")).sum(1)
        assert summed.var().item() == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("rescale", FACTORS)
def test_dropout_multiplies_what_it_keeps_by_the_factor_chosen(rescale):
    np.random.seed(0)
    image = sample()["image"]
    dropout = SequenceDropout(rescale=rescale)
    seen = set()
    for _ in range(40):
        dropped = dropout(image=image.clone(), present=torch.ones(4, dtype=torch.bool))["image"]
        kept = present_sequences(dropped[None])[0]
        seen.add(int(kept.sum()))
        torch.testing.assert_close(dropped[kept], image[kept] * FACTORS[rescale][int(kept.sum())])
    assert seen == {1, 2, 3, 4}


def test_dropout_zeroes_the_dropped_and_multiplies_the_rest():
    np.random.seed(0)
    image = sample()["image"]
    for _ in range(20):
        data = RecordPresence()(image=image.clone())
        dropped = SequenceDropout()(**data)["image"]
        kept = present_sequences(dropped[None])[0]
        torch.testing.assert_close(dropped[kept], image[kept] * (4 / kept.sum()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_what_is_kept_and_rescaled_stays_of_its_type(dtype):
    # one of four dropped: 4/3, as near as the type comes to it
    kept = torch.tensor([[True, False, True, True]])
    rescaled = keep_and_rescale(torch.ones(1, 4, 2, 2, dtype=dtype), kept)
    assert rescaled.dtype == dtype
    assert rescaled[0, :, 0, 0].tolist() == torch.tensor([4 / 3, 0, 4 / 3, 4 / 3]).to(dtype).tolist()


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


def test_drawn_frequencies_follow_the_weights():
    np.random.seed(1)
    # weights 2, 0 and 1 for each of the other five: 2/7 and 1/7
    dropout = SequenceDropout("weights", weights={(True, True, True): 2, (False, False, True): 0})
    present = torch.ones(3, dtype=torch.bool)
    counts = Counter(tuple(dropout.get_parameters(present=present)["kept"].tolist()) for _ in range(4000))
    assert (False, False, True) not in counts
    expected = [4000 * (2 if all(subset) else 1) / 7 for subset in counts]
    assert len(counts) == 6
    assert chisquare(list(counts.values()), expected).pvalue > 1e-3


def test_without_strength_everything_that_is_there_is_kept():
    dropout = SequenceDropout("independent", drop_probability=0.9)
    dropout.strength.fill_(0)
    present = torch.tensor([True, False, True, True])
    assert all(torch.equal(dropout.get_parameters(present=present)["kept"], present) for _ in range(50))


def test_the_strength_is_the_share_of_samples_in_which_anything_may_be_dropped():
    np.random.seed(5)
    dropout = SequenceDropout()
    dropout.strength.fill_(0.25)
    present = torch.ones(4, dtype=torch.bool)
    whole = sum(dropout.get_parameters(present=present)["kept"].all().item() for _ in range(4000))
    # three quarters are left alone, and one of the 15 subsets drawn for the rest is the full one
    expected = 4000 * (3 / 4 + 1 / 4 / 15)
    assert chisquare([whole, 4000 - whole], [expected, 4000 - expected]).pvalue > 1e-3


def test_at_full_strength_nothing_but_the_subset_is_drawn():
    """So that a seed gives the same training as before there was a warm-up."""
    present = torch.ones(4, dtype=torch.bool)
    dropout = SequenceDropout()
    candidates = list(dropout.probabilities((True,) * 4))
    np.random.seed(6)
    ours = [tuple(dropout.get_parameters(present=present)["kept"].tolist()) for _ in range(20)]
    np.random.seed(6)
    assert ours == [candidates[np.random.choice(15, p=[1 / 15] * 15)] for _ in range(20)]


def test_a_generator_of_ones_own_leaves_numpys_alone():
    np.random.seed(7)
    before = np.random.get_state(legacy=False)["state"]["key"].copy()
    drawn = [SequenceDropout().draw((True,) * 4, np.random.default_rng(3)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], before)


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


def test_a_forked_worker_sees_the_strength_change():
    loader = DrawingLoader()
    loader.dropout.strength.fill_(0)
    augmenter = NonDetMultiThreadedAugmenter(loader, None, num_processes=1, num_cached=1, seeds=None)
    assert all(all(kept) for kept in next(augmenter)["drawn"])
    loader.dropout.strength.fill_(1)
    # a few batches were drawn before; of 30 samples at full strength 28 lack something
    assert any(not all(kept) for _ in range(20) for kept in next(augmenter)["drawn"])
    augmenter._finish()


class Receives(nn.Module):
    """A network that answers with what it received."""

    def __init__(self, rescale: Rescale = "paper") -> None:
        super().__init__()
        add_rescaling(self, rescale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_in_evaluation_the_network_receives_the_zeros_and_the_factor_and_nothing_else():
    x = torch.randn(2, 4, 5, 8, 8)
    x[1, 0] = 0
    received = Receives().eval()(x)
    assert torch.equal(received[0], x[0])
    assert torch.equal(received[1, 0], torch.zeros(5, 8, 8))
    torch.testing.assert_close(received[1, 1:], x[1, 1:] * (4 / 3))


@pytest.mark.parametrize("rescale", FACTORS)
def test_what_the_network_receives_in_evaluation_is_rescaled_as_chosen(rescale):
    network, x = Receives(rescale).eval(), torch.randn(4, 4, 5, 8, 8)
    for n_present in range(1, 5):
        x[n_present - 1, n_present:] = 0
    received = network(x)
    for n_present in range(1, 5):
        torch.testing.assert_close(received[n_present - 1], x[n_present - 1] * FACTORS[rescale][n_present])
    # who is there may be known of the whole case, also where the piece is empty in one of them
    with case_present(network, [True, True, False, False]):
        torch.testing.assert_close(network(x[:1])[0, 0], x[0, 0] * FACTORS[rescale][2])
    torch.testing.assert_close(network(x[:1])[0, 0], x[0, 0] * FACTORS[rescale][1])
    assert rescaling_of(network) == rescale


def test_a_network_trained_without_dropout_rescales_nothing():
    network = nn.Identity()
    network.register_forward_pre_hook(lambda module, inputs: inputs)
    assert rescaling_of(network) is None


def test_in_training_the_network_receives_its_input_as_it_is():
    x = torch.randn(2, 4, 5, 8, 8)
    x[1, 0] = 0
    assert torch.equal(Receives().train()(x), x)


def test_a_tile_without_any_sequence_passes_unchanged():
    x = torch.zeros(1, 4, 8, 8)
    assert torch.equal(Receives().eval()(x), x)


@pytest.mark.parametrize("rescale", FACTORS)
def test_training_and_inference_apply_the_same_factor(rescale):
    np.random.seed(4)
    image = sample((True, False, True, True))["image"]
    data = RecordPresence()(image=image)
    in_training = SequenceDropout("independent", drop_probability=0, rescale=rescale)(**data)["image"]
    torch.testing.assert_close(Receives(rescale).eval()(image[None])[0], in_training)
