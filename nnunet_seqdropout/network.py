"""Defines the 2.5D networks, which read a few contiguous slices and segment the middle one."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from nnunet_seqdropout.layers.encoder import dilated_encoder, level_of
from nnunet_seqdropout.layers.heads import DeepLabV3PlusHead, deeplab_head


def cpu_computes_in_bfloat16() -> bool:
    """Whether this CPU has bfloat16 instructions; without them bfloat16 is emulated, and slow."""
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


class DeepLabV3Slab(nn.Module):
    """2.5D DeepLabV3 (Grøvik et al., Fig. 1) or, with a decoder, DeepLabV3+: ``n_slices`` slices of every sequence,
    stacked as colour channels.

    In evaluation mode a slab goes in and a slab comes out, (B, sequences, Z, H, W) -> (B, classes, Z, H, W): slices
    beyond the slab are zeros, every window of ``n_slices`` slices is formed, ``windows_per_batch`` at a time.
    In training mode, and in evaluation while ``window_mode`` is set, a window goes in and its centre slice comes out,
    (B, sequences, n_slices, H, W) -> (B, classes, 1, H, W). Logits are float32.

    backbone, output_stride: see ``dilated_encoder``. atrous_rates: dilations of the ASPP branches.
    decoder: strides at which low-level features refine the result, coarse to fine, such as (4, 2) or (4, 2, 1), where
    1 is the image itself; none is the paper's network, whose result is enlarged from ``output_stride`` at once.
    bfloat16_on_cpu: compute in bfloat16 on a CPU that has it. deep_supervision: nnU-Net passes it; must be False.

    Raises ValueError for an even ``n_slices``, for strides that do not go from coarse to fine, and for a window of
    another depth.
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
        decoder: Sequence[int] = (),
        windows_per_batch: int = 16,
        bfloat16_on_cpu: bool = True,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        if n_slices < 1 or n_slices % 2 == 0:
            raise ValueError(f"n_slices is {n_slices}: a window needs a centre slice, give an odd number.")
        if deep_supervision:
            raise ValueError("DeepLabV3 has one output: train it with deep supervision switched off.")
        if list(decoder) != sorted({*decoder}, reverse=True) or any(s not in range(1, output_stride) for s in decoder):
            raise ValueError(f"decoder is {tuple(decoder)}: give strides from coarse to fine, such as (4, 2, 1).")
        self.n_slices = n_slices
        self.num_classes = num_classes
        self.windows_per_batch = windows_per_batch
        self.bfloat16_on_cpu = bfloat16_on_cpu
        self.window_mode = False
        self.decoder = tuple(decoder)
        in_channels = input_channels * n_slices
        of_encoder = [stride for stride in decoder if stride > 1]
        self.encoder: Any = dilated_encoder(backbone, in_channels, output_stride, low_level=of_encoder)
        channels = self.encoder.feature_info.channels()
        self.levels = {stride: level_of(self.encoder, stride) for stride in of_encoder}
        self.head: Any
        if decoder:
            low_level = {s: channels[self.levels[s]] if s in self.levels else in_channels for s in decoder}
            self.head = DeepLabV3PlusHead(channels[-1], num_classes, atrous_rates, low_level)
        else:
            self.head = deeplab_head(channels[-1], num_classes, atrous_rates)
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
        empty = ~padded.ne(0).any(dim=(1, 3, 4)).unfold(1, self.n_slices, 1).any(dim=-1)  # (B, Z)
        logits = x.new_empty((x.shape[0], x.shape[2], self.num_classes, *x.shape[3:]), dtype=torch.float32)
        one_empty = empty.nonzero()[:1]
        chosen = torch.cat([(~empty).nonzero(), one_empty])  # (windows to compute, 2): sample, slice
        for batch in chosen.split(self.windows_per_batch):
            samples, slices = batch.unbind(1)
            shown = windows[samples, slices]
            if self._equal_batches(x.device):
                shown = F.pad(shown, (*[0] * 9, self.windows_per_batch - len(batch)))
            logits[samples, slices] = self._segment_windows(shown)[: len(batch)]
        if len(one_empty):
            logits[empty] = logits[tuple(one_empty[0])].clone()
        return logits.transpose(1, 2)

    @staticmethod
    def _equal_batches(device: torch.device) -> bool:
        """Whether the last batch is filled up with windows whose result is thrown away: on a GPU cuDNN tunes, and
        torch.compile compiles, anew for every size of a batch. Elsewhere each window would cost its time."""
        return device.type == "cuda"

    def _segment_windows(self, windows: torch.Tensor) -> torch.Tensor:
        """(B, sequences, n_slices, H, W) -> logits of the centre slices, (B, classes, H, W)."""
        stacked = windows.flatten(1, 2).contiguous(memory_format=torch.channels_last)
        with self._precision(stacked.device):
            features = self.encoder(stacked)
            low_level = [self._low_level(stacked, features)] if self.decoder else []
            logits = self.head(features[-1], *low_level)
        return F.interpolate(logits.float(), size=windows.shape[-2:], mode="bilinear", align_corners=False)

    def _low_level(self, image: torch.Tensor, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [features[self.levels[stride]] if stride in self.levels else image for stride in self.decoder]

    def _precision(self, device: torch.device) -> AbstractContextManager:
        if device.type == "cpu" and self.bfloat16_on_cpu and cpu_computes_in_bfloat16():
            return torch.autocast("cpu", torch.bfloat16)
        return nullcontext()
