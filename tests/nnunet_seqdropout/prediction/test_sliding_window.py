"""What nnU-Net's predictor returns is what the network says slice by slice."""

import numpy as np
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from window_by_window import slice_by_slice


@pytest.fixture(scope="module")
def trained():
    """The one trainer of this file, once it has been trained."""
    return []


@pytest.fixture
def trainer(make_trainer, trained):
    """Trained until it knows the lesion, in float32; the tests predict with it and change nothing."""
    if not trained:
        trained.append(train(make_trainer))
    return trained[0]


def train(make_trainer):
    torch.manual_seed(0)
    np.random.seed(0)
    trainer = make_trainer("TinySeqDropout")
    type(trainer).bfloat16_on_cpu = False
    type(trainer).largest_batch = 4
    trainer.initialize()
    training, _ = trainer.get_dataloaders()
    trainer.network.train()
    for _ in range(30):
        trainer.train_step(next(training))
    return trainer


def predict(trainer, data: torch.Tensor, *, use_gaussian: bool, use_mirroring: bool) -> torch.Tensor:
    predictor = nnUNetPredictor(
        use_gaussian=use_gaussian, use_mirroring=use_mirroring, device=torch.device("cpu"), allow_tqdm=False
    )
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        None,
        trainer.dataset_json,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    return predictor.predict_sliding_window_return_logits(data).float()


@torch.inference_mode()
def reference(trainer, data: torch.Tensor, *, use_mirroring: bool) -> torch.Tensor:
    """Every slice by itself, averaged over the flips; the volume is as large as the patch in-plane."""
    flips = [(), (3,), (4,), (3, 4)] if use_mirroring else [()]
    trainer.network.eval()
    flipped_back = (slice_by_slice(trainer.network, data[None].flip(f)).flip(f) for f in flips)
    return sum(flipped_back, torch.zeros(()))[0] / len(flips)


def volume(trainer, *, absent: int | None) -> torch.Tensor:
    """A noisy ball, (4, Z, H, W), as large as the patch in-plane and shallower than the slab."""
    depth, height, width = trainer.configuration_manager.patch_size
    shape = (depth - 3, height, width)
    axes = torch.meshgrid(*[torch.linspace(-2, 2, n) for n in shape], indexing="ij")
    ball = (sum((axis**2 for axis in axes), torch.zeros(())) < 1).float()
    data = torch.randn(4, *shape, generator=torch.Generator().manual_seed(1)) * 0.4 + 3 * ball
    if absent is not None:
        data[absent] = 0
    return data


@pytest.mark.parametrize("absent", [None, 2])
@pytest.mark.parametrize("use_mirroring", [True, False])
def test_logits_equal_those_of_the_slow_reference(trainer, absent, use_mirroring):
    data = volume(trainer, absent=absent)
    ours = predict(trainer, data, use_gaussian=False, use_mirroring=use_mirroring)
    expected = reference(trainer, data, use_mirroring=use_mirroring)
    # nnU-Net accumulates in float16: relative 5e-4
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


@pytest.mark.parametrize("absent", [None, 2])
def test_labels_under_the_stock_settings_differ_in_at_most_one_voxel_of_ten_thousand(trainer, absent):
    data = volume(trainer, absent=absent)
    ours = predict(trainer, data, use_gaussian=True, use_mirroring=True).argmax(0)
    expected = reference(trainer, data, use_mirroring=True).argmax(0)
    assert 0.01 < expected.float().mean() < 0.2
    assert np.mean((ours != expected).numpy()) <= 1e-4
