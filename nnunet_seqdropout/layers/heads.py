"""Defines the heads of the 2.5D networks: that of DeepLabV3, and that of DeepLabV3+ with its decoder."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import ASPP, DeepLabHead

LOW_LEVEL_CHANNELS = 48
"""Number of channels to which low-level features are reduced (Chen et al. 2018, section 4.1)."""

CHANNELS_PER_STRIDE = 32
"""The decoder is as wide as nnU-Net's U-Net at the same stride: 128 channels at 4, 64 at 2, 32 at full resolution."""


class PooledBatchNorm2d(nn.BatchNorm2d):
    """Batch norm for the 1x1 map of image-level pooling: alone in its batch, a sample takes the running statistics."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)


def deeplab_head(in_channels: int, num_classes: int, atrous_rates: Sequence[int]) -> DeepLabHead:
    """torchvision's DeepLabV3 head, (B, in_channels, h, w) -> (B, num_classes, h, w), fit for a batch of one."""
    head = DeepLabHead(in_channels, num_classes, tuple(atrous_rates))
    _fit_for_a_batch_of_one(head[0])
    return head


def _fit_for_a_batch_of_one(aspp: ASPP) -> None:
    image_pooling = aspp.convs[-1]
    image_pooling[2] = PooledBatchNorm2d(image_pooling[2].num_features)


class DeepLabV3PlusHead(nn.Module):
    """ASPP and a decoder that refines its map step by step (Chen et al. 2018, arXiv:1802.02611, Fig. 2).

    ``forward`` takes the encoder's last map and one map of low-level features for each step, coarse to fine, and
    returns logits at the stride of the last step: (B, C, h, w), [(B, C1, h1, w1), ...] -> (B, num_classes, hn, wn).

    low_level: stride -> channels of its features, coarse to fine. Stride 1 is the image itself, which is no feature
    yet: a 3x3 convolution makes some of it, where a 1x1 convolution reduces the encoder's.
    """

    def __init__(
        self, in_channels: int, num_classes: int, atrous_rates: Sequence[int], low_level: Mapping[int, int]
    ) -> None:
        super().__init__()
        self.aspp = ASPP(in_channels, list(atrous_rates))
        _fit_for_a_batch_of_one(self.aspp)
        channels, steps = 256, []  # of torchvision's ASPP
        for stride, low_level_channels in low_level.items():
            width, kernel_size = CHANNELS_PER_STRIDE * stride, 3 if stride == 1 else 1
            steps.append(RefiningStep(channels, low_level_channels, width, kernel_size))
            channels = width
        self.steps = nn.ModuleList(steps)
        self.classify = nn.Conv2d(channels, num_classes, 1)

    def forward(self, deepest: torch.Tensor, low_level: Sequence[torch.Tensor]) -> torch.Tensor:
        x = self.aspp(deepest)
        for step, features in zip(self.steps, low_level, strict=True):
            x = step(x, features)
        return self.classify(x)


class RefiningStep(nn.Module):
    """One step of the decoder: enlarge bilinearly, join with low-level features, convolve twice.

    (B, in_channels, h, w), (B, low_level_channels, H, W) -> (B, out_channels, H, W).
    """

    def __init__(self, in_channels: int, low_level_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.reduce = _convolution(low_level_channels, min(LOW_LEVEL_CHANNELS, out_channels), kernel_size)
        joined = in_channels + min(LOW_LEVEL_CHANNELS, out_channels)
        self.fuse = nn.Sequential(_convolution(joined, out_channels, 3), _convolution(out_channels, out_channels, 3))

    def forward(self, x: torch.Tensor, low_level: torch.Tensor) -> torch.Tensor:
        enlarged = F.interpolate(x, size=low_level.shape[-2:], mode="bilinear", align_corners=False)
        return self.fuse(torch.cat([enlarged, self.reduce(low_level)], dim=1))


def _convolution(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
