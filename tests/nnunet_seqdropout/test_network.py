"""The 2.5D network: its windows, its slabs, and the ways in which it is trained and run."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch.nn.parallel import DistributedDataParallel
from window_by_window import slice_by_slice

from nnunet_seqdropout.dropout import RescaleInEvaluation
from nnunet_seqdropout.network import DeepLabV3Slab, cpu_computes_in_bfloat16

ADVERTISED = ["resnet18", "resnet50", "mobilenetv3_large_100", "efficientnet_b0"]
PAPER: dict = {}
PLUS = {"decoder": (4, 2, 1), "output_stride": 16, "atrous_rates": (1, 2, 3)}
both_heads = pytest.mark.parametrize("head", [PAPER, PLUS], ids=["paper", "plus"])


def network(n_sequences=3, n_classes=2, **settings) -> DeepLabV3Slab:
    torch.manual_seed(0)
    return DeepLabV3Slab(n_sequences, n_classes, **{"backbone": "resnet18", "bfloat16_on_cpu": False, **settings})


@both_heads
@pytest.mark.parametrize("depth", [1, 3, 5, 12])
@pytest.mark.parametrize("n_slices", [1, 3, 5])
@torch.inference_mode()
def test_a_slab_is_segmented_as_its_windows_one_by_one(head, depth, n_slices):
    net = network(n_slices=n_slices, windows_per_batch=4, **head).eval()
    slab = torch.randn(2, 3, depth, 37, 45)
    result = net(slab)
    assert result.shape == (2, 2, depth, 37, 45)
    torch.testing.assert_close(result, slice_by_slice(net, slab), rtol=1e-4, atol=1e-5)


@both_heads
@torch.inference_mode()
def test_a_slice_depends_on_its_five_slices_and_on_no_other(head):
    net = network(**head).eval()
    slab = torch.randn(1, 3, 14, 32, 32)
    before = net(slab)
    slab[:, :, 6] += 1
    changed = (net(slab) != before).any(dim=(0, 1, 3, 4))
    assert changed.nonzero().flatten().tolist() == [4, 5, 6, 7, 8]


@both_heads
@torch.inference_mode()
def test_slices_that_are_only_padding_cost_nothing_and_change_nothing(head):
    net = network(windows_per_batch=4, **head).eval()
    slab = torch.zeros(1, 3, 60, 32, 32)
    slab[:, :, 20:24] = torch.randn(1, 3, 4, 32, 32)
    computed = []
    net.head.register_forward_hook(lambda module, inputs, output: computed.append(len(output)))
    result = net(slab)
    # the four slices, the two on either side that see them, and one empty window for all others
    assert sum(computed) == 4 + 4 + 1
    assert max(computed) <= 4
    torch.testing.assert_close(result, slice_by_slice(net, slab), rtol=1e-4, atol=1e-5)


@both_heads
def test_training_mode_takes_a_window_to_its_centre_slice(head):
    assert network(**head).train()(torch.randn(2, 3, 5, 40, 33)).shape == (2, 2, 1, 40, 33)


@pytest.mark.parametrize("mode", ["train", "window"])
def test_a_window_of_another_depth_is_refused(mode):
    net = network().train(mode == "train")
    net.window_mode = mode == "window"
    with pytest.raises(ValueError, match="A window has 5 slices"):
        net(torch.randn(2, 3, 7, 32, 32))


@both_heads
def test_training_works_with_a_batch_of_one(head):
    net = network(**head).train()
    net(torch.randn(1, 3, 5, 32, 32)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@both_heads
@pytest.mark.parametrize("backbone", ADVERTISED)
@pytest.mark.parametrize("output_stride", [8, 16])
def test_any_backbone_that_dilates_trains_without_an_unused_parameter(head, backbone, output_stride):
    net = network(backbone=backbone, **{**head, "output_stride": output_stride}).train()
    features = []
    net.encoder.register_forward_hook(lambda module, inputs, output: features.append(output[-1]))
    net(torch.randn(2, 3, 5, 64, 64)).sum().backward()
    assert features[0].shape[-2:] == (64 // output_stride, 64 // output_stride)
    assert [name for name, p in net.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "vgg11"}, "'vgg11' with output stride 8"),
        ({"backbone": "densenet121"}, "'densenet121' with output stride 8"),
        ({"backbone": "no_such_net"}, "'no_such_net'.*Choose a timm backbone"),
        ({"output_stride": 4}, "choose 8 or 16"),
        ({"n_slices": 4}, "give an odd number"),
        ({**PLUS, "decoder": (2, 4)}, "from coarse to fine"),
        ({**PLUS, "decoder": (16, 4)}, "from coarse to fine"),
        ({**PLUS, "decoder": (4, 3)}, "'resnet18' has no features for the decoder at stride 3"),
        ({**PLUS, "backbone": "no_such_net"}, "'no_such_net'.*Choose a timm backbone"),
        ({"deep_supervision": True}, "deep supervision switched off"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        network(**settings)


def test_the_atrous_rates_are_those_asked_for():
    convolutions = network(atrous_rates=(6, 12)).head[0].convs
    assert [branch[0].dilation for branch in convolutions[1:-1]] == [(6, 6), (12, 12)]


def test_the_network_works_in_channels_last():
    net = network()
    received = []
    net.encoder.register_forward_pre_hook(lambda module, inputs: received.append(inputs[0]))
    net.train()(torch.randn(2, 3, 5, 32, 32))
    assert received[0].shape == (2, 15, 32, 32)
    assert received[0].is_contiguous(memory_format=torch.channels_last)
    assert net.encoder.conv1.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(not cpu_computes_in_bfloat16(), reason="this CPU has no bfloat16 instructions")
@torch.inference_mode()
def test_bfloat16_on_the_cpu_is_switched_by_the_attribute():
    exact, fast = network().eval(), network(bfloat16_on_cpu=True).eval()
    slab = torch.randn(1, 3, 6, 32, 32)
    assert not torch.equal(exact(slab), fast(slab))
    assert fast(slab).dtype == torch.float32
    torch.testing.assert_close(exact(slab), fast(slab), rtol=0.1, atol=0.05)


@both_heads
@pytest.mark.parametrize("mode", ["train", "slab", "window"])
def test_autocast_around_the_network_is_respected(head, mode):
    """CUDA's AMP is an outer autocast; the CPU's stands in for it here."""
    net = network(**head).train(mode == "train")
    net.window_mode = mode == "window"
    computed = []
    net.head.register_forward_hook(lambda module, inputs, output: computed.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        result = net(torch.randn(2, 3, 5, 32, 32))
    assert computed == [torch.bfloat16]
    assert result.dtype == torch.float32


@both_heads
@pytest.mark.slow
def test_torch_compile_gives_the_same_in_training_and_evaluation(head):
    net = network(**head)
    net.register_forward_pre_hook(RescaleInEvaluation())
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    compiled = torch.compile(net)
    window, slab = torch.randn(2, 3, 5, 32, 32), torch.randn(1, 3, 9, 32, 32)
    for absent in (window[0, 1], slab[0, 2]):
        absent.zero_()
    net.train()
    torch.testing.assert_close(compiled(window), net(window), rtol=1e-3, atol=1e-4)
    net.eval()
    with torch.inference_mode():
        torch.testing.assert_close(compiled(slab), net(slab), rtol=1e-3, atol=1e-4)
        net.window_mode = True
        torch.testing.assert_close(compiled(window), net(window), rtol=1e-3, atol=1e-4)


def _two_steps(rank: int, folder: str, head: dict) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    net = network(**head).train()
    net.register_forward_pre_hook(RescaleInEvaluation())
    parallel = DistributedDataParallel(net)
    options = {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": True}
    loss = DC_and_CE_loss(options, {}, dice_class=MemoryEfficientSoftDiceLoss)
    optimizer = torch.optim.SGD(parallel.parameters(), 1e-2, momentum=0.99, nesterov=True)
    torch.manual_seed(rank)
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        target = torch.randint(0, 2, (2, 1, 1, 32, 32)).float()
        loss(parallel(torch.randn(2, 3, 5, 32, 32)), target).backward()
        optimizer.step()
    unused = [name for name, p in net.named_parameters() if p.grad is None]
    weights = {name: p.detach() for name, p in net.named_parameters()}
    torch.save({"unused": unused, "weights": weights}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@both_heads
def test_two_processes_hold_equal_weights_after_two_steps(head, tmp_path):
    mp.spawn(_two_steps, args=(str(tmp_path), head), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert first["unused"] == second["unused"] == []
    start = dict(network(**head).named_parameters())
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name])
    assert any(not torch.equal(weight, start[name]) for name, weight in first["weights"].items())


@both_heads
@pytest.mark.parametrize("backbone", ADVERTISED)
def test_synchronised_batch_norm_changes_nothing_but_the_batch_norm(head, backbone):
    """nnU-Net converts the network with torch's function under DDP; timm's own layers would lose their activations."""
    net = network(backbone=backbone, **head).eval()
    slab = torch.randn(1, 3, 3, 32, 32)
    with torch.inference_mode():
        before = net(slab)
        converted = torch.nn.SyncBatchNorm.convert_sync_batchnorm(net)
        torch.testing.assert_close(converted(slab), before)
    kinds = {type(m) for m in converted.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)}
    assert kinds == {torch.nn.SyncBatchNorm}


@both_heads
@torch.inference_mode()
def test_a_slab_without_any_image_is_segmented_too(head):
    net = network(**head).eval()
    slab = torch.zeros(1, 3, 4, 32, 32)
    torch.testing.assert_close(net(slab), slice_by_slice(net, slab))


@pytest.mark.parametrize(("decoder", "stride"), [((4,), 4), ((4, 2), 2), ((4, 2, 1), 1)])
def test_the_decoder_ends_at_its_last_stride(decoder, stride):
    net = network(**{**PLUS, "decoder": decoder}).train()
    sizes = []
    net.head.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-2:]))
    assert net(torch.randn(2, 3, 5, 64, 48)).shape == (2, 2, 1, 64, 48)
    assert sizes == [(64 // stride, 48 // stride)]


@torch.inference_mode()
def test_the_decoder_is_given_the_encoders_maps_and_the_image():
    net = network(**PLUS).eval()
    net.window_mode = True
    received = []
    net.head.register_forward_pre_hook(lambda module, inputs: received.append(inputs))
    window = torch.randn(1, 3, 5, 64, 64)
    net(window)
    ((deepest, (at_4, at_2, image)),) = received
    # ResNet-18: 64 channels after its first layer and its stem, 512 after its last
    assert [tuple(m.shape) for m in (deepest, at_4, at_2)] == [(1, 512, 4, 4), (1, 64, 16, 16), (1, 64, 32, 32)]
    assert torch.equal(image, window.flatten(1, 2))


@both_heads
@torch.inference_mode()
def test_batches_of_one_size_give_the_same(head, monkeypatch):
    """On a GPU the last batch is filled up; the switch stands in for one here."""
    net = network(windows_per_batch=4, **head).eval()
    slab = torch.randn(1, 3, 9, 32, 32)
    slab[:, :, :4] = 0
    before = net(slab)
    monkeypatch.setattr(DeepLabV3Slab, "_equal_batches", staticmethod(lambda device: True))
    computed = []
    net.head.register_forward_hook(lambda module, inputs, output: computed.append(len(output)))
    torch.testing.assert_close(net(slab), before, rtol=1e-4, atol=1e-5)
    # five slices, the two before them that see them, one empty window
    assert computed == [4, 4]


def test_batches_are_filled_up_on_a_gpu_only():
    assert [DeepLabV3Slab._equal_batches(torch.device(name)) for name in ("cpu", "mps", "cuda")] == [False, False, True]


@torch.inference_mode()
def test_with_equal_batches_torch_compile_compiles_once_for_volumes_of_any_depth(monkeypatch):
    monkeypatch.setattr(DeepLabV3Slab, "_equal_batches", staticmethod(lambda device: True))
    compiled = []

    def count(graph, inputs):
        compiled.append(graph)
        return graph.forward

    torch._dynamo.reset()
    net = torch.compile(network(windows_per_batch=4).eval(), backend=count)
    for depth in (9, 4, 6):
        net(torch.randn(1, 3, depth, 32, 32))
    assert len(compiled) == 1


def test_the_papers_network_has_the_parameters_that_it_had_before_there_was_a_decoder():
    """Counted at commit 8262918: ``sum(p.numel())`` of 15 channels and two classes, and its first and last names."""
    weights = network().state_dict()
    names = list(weights)
    assert (names[0], names[-1], len(names)) == ("encoder.conv1.weight", "head.4.bias", 164)
    assert sum(p.numel() for p in network().parameters()) == 15_936_834
