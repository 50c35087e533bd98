"""The paper's network: a 2.5D DeepLabV3 that reads a few contiguous slices and segments the one in their middle."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import timm
import torch
from timm.layers import BatchNormAct2d
from torch import nn
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import DeepLabHead


class PooledBatchNorm2d(nn.BatchNorm2d):
    """Batch norm for the 1x1 map of image-level pooling: alone in its batch, a sample takes the running statistics."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)


def dilated_encoder(backbone: str, in_channels: int, output_stride: int) -> Any:
    """timm's ``backbone`` without weights: (B, in_channels, H, W) -> a list of one map, ``output_stride`` smaller.

    Raises ValueError where timm does not know the backbone or cannot dilate it to this stride.
    """
    remedy = "Choose a timm backbone that dilates, such as resnet18, resnet50, mobilenetv3_large_100, efficientnet_b0."
    if output_stride not in (8, 16):
        raise ValueError(f"output_stride is {output_stride}: choose 8 or 16.")
    try:
        encoder: Any = timm.create_model(
            backbone, features_only=True, out_indices=(-1,), in_chans=in_channels, output_stride=output_stride
        )
    except (RuntimeError, TypeError, AssertionError) as error:
        raise ValueError(f"Backbone '{backbone}' with output stride {output_stride}: {error} {remedy}") from error
    if encoder.feature_info.reduction() != [output_stride]:
        raise ValueError(f"Backbone '{backbone}' does not dilate to output stride {output_stride}. {remedy}")
    return _with_separate_activations(encoder)


def _with_separate_activations(module: nn.Module) -> nn.Module:
    """Takes timm's BatchNormAct2d apart: torch's SyncBatchNorm conversion, which nnU-Net does under DDP, would replace
    it and drop the activation inside."""
    for name, child in module.named_children():
        if isinstance(child, BatchNormAct2d):
            norm = nn.BatchNorm2d(child.num_features, eps=child.eps, momentum=child.momentum)
            setattr(module, name, nn.Sequential(norm, child.drop, child.act))
        else:
            _with_separate_activations(child)
    return module


def deeplab_head(in_channels: int, num_classes: int, atrous_rates: Sequence[int]) -> DeepLabHead:
    """torchvision's DeepLabV3 head, (B, in_channels, h, w) -> (B, num_classes, h, w), fit for a batch of one."""
    head = DeepLabHead(in_channels, num_classes, tuple(atrous_rates))
    image_pooling = head[0].convs[-1]
    image_pooling[2] = PooledBatchNorm2d(image_pooling[2].num_features)
    return head


def cpu_computes_in_bfloat16() -> bool:
    """Whether this CPU has bfloat16 instructions; without them bfloat16 is emulated, and slow."""
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


class DeepLabV3Slab(nn.Module):
    """2.5D DeepLabV3 (Grøvik et al., Fig. 1): ``n_slices`` slices of every sequence, stacked as colour channels.

    In evaluation mode a slab goes in and a slab comes out, (B, sequences, Z, H, W) -> (B, classes, Z, H, W): slices
    beyond the slab are zeros, every window of ``n_slices`` slices is formed, ``windows_per_batch`` at a time.
    In training mode, and in evaluation while ``window_mode`` is set, a window goes in and its centre slice comes out,
    (B, sequences, n_slices, H, W) -> (B, classes, 1, H, W). Logits are float32.

    backbone, output_stride: see ``dilated_encoder``. atrous_rates: dilations of the ASPP branches.
    bfloat16_on_cpu: compute in bfloat16 on a CPU that has it. deep_supervision: nnU-Net passes it; must be False.

    Raises ValueError for an even ``n_slices`` and for a window of another depth.
    """

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        *,
        n_slices: int = 5,
        backbone: str = "resnet50",
        output_stride: int = 8,
        atrous_rates: Sequence[int] = (12, 24, 36),
        windows_per_batch: int = 16,
        bfloat16_on_cpu: bool = True,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        if n_slices < 1 or n_slices % 2 == 0:
            raise ValueError(f"n_slices is {n_slices}: a window needs a centre slice, give an odd number.")
        if deep_supervision:
            raise ValueError("DeepLabV3 has one output: train it with deep supervision switched off.")
        self.n_slices = n_slices
        self.num_classes = num_classes
        self.windows_per_batch = windows_per_batch
        self.bfloat16_on_cpu = bfloat16_on_cpu
        self.window_mode = False
        self.encoder: Any = dilated_encoder(backbone, input_channels * n_slices, output_stride)
        self.head = deeplab_head(self.encoder.feature_info.channels()[-1], num_classes, atrous_rates)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not (self.training or self.window_mode):
            return self._segment_slab(x)
        if x.shape[2] != self.n_slices:
            raise ValueError(f"A window has {self.n_slices} slices, got an input of shape {tuple(x.shape)}.")
        return self._segment_windows(x)[:, :, None]

    @torch.compiler.disable(recursive=False)
    def _segment_slab(self, x: torch.Tensor) -> torch.Tensor:
        """(B, sequences, Z, H, W) -> (B, classes, Z, H, W); windows that are zero throughout are computed once."""
        border = self.n_slices // 2
        padded = F.pad(x, (0, 0, 0, 0, border, border))
        windows = padded.unfold(2, self.n_slices, 1).permute(0, 2, 1, 5, 3, 4)  # (B, Z, sequences, n_slices, H, W)
        occupied = padded.ne(0).any(dim=(1, 3, 4)).unfold(1, self.n_slices, 1).any(dim=-1)  # (B, Z)
        logits = x.new_empty((x.shape[0], x.shape[2], self.num_classes, *x.shape[3:]), dtype=torch.float32)
        if not occupied.all():
            logits[:] = self._segment_windows(torch.zeros_like(windows[0, :1]))
        samples, slices = occupied.nonzero(as_tuple=True)
        for start in range(0, len(samples), self.windows_per_batch):
            batch = samples[start : start + self.windows_per_batch], slices[start : start + self.windows_per_batch]
            logits[batch] = self._segment_windows(windows[batch])
        return logits.transpose(1, 2)

    def _segment_windows(self, windows: torch.Tensor) -> torch.Tensor:
        """(B, sequences, n_slices, H, W) -> logits of the centre slices, (B, classes, H, W)."""
        stacked = windows.flatten(1, 2).contiguous(memory_format=torch.channels_last)
        with self._precision(stacked.device):
            logits = self.head(self.encoder(stacked)[-1])
        return F.interpolate(logits.float(), size=windows.shape[-2:], mode="bilinear", align_corners=False)

    def _precision(self, device: torch.device) -> AbstractContextManager:
        if device.type == "cpu" and self.bfloat16_on_cpu and cpu_computes_in_bfloat16():
            return torch.autocast("cpu", torch.bfloat16)
        return nullcontext()
