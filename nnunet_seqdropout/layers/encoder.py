"""Builds the encoder of the 2.5D networks from any timm backbone that supports dilation."""

from collections.abc import Sequence
from typing import Any

import timm
from timm.layers import BatchNormAct2d
from torch import nn

REMEDY = "Choose a timm backbone that dilates, such as resnet18, resnet50, mobilenetv3_large_100, efficientnet_b0."


def dilated_encoder(backbone: str, in_channels: int, output_stride: int, *, low_level: Sequence[int] = ()) -> Any:
    """timm's ``backbone`` without weights: (B, in_channels, H, W) -> maps, the last one ``output_stride`` smaller.

    low_level: strides of further maps that the list has to hold; ``level_of`` finds them. Without any, the list is the
    last map alone. Raises ValueError where timm does not know the backbone, cannot dilate it to this stride, or it has
    no map at a stride of ``low_level``.
    """
    if ":" in backbone:
        raise ValueError(f"Backbone '{backbone}' would be fetched from elsewhere. {REMEDY}")
    if output_stride not in (8, 16):
        raise ValueError(f"output_stride is {output_stride}: choose 8 or 16.")
    levels: dict[str, Any] = {} if low_level else {"out_indices": (-1,)}
    try:
        encoder: Any = timm.create_model(
            backbone, features_only=True, in_chans=in_channels, output_stride=output_stride, **levels
        )
    except (RuntimeError, TypeError, AssertionError) as error:
        raise ValueError(f"Backbone '{backbone}' with output stride {output_stride}: {error} {REMEDY}") from error
    strides = encoder.feature_info.reduction()
    if strides[-1] != output_stride:
        raise ValueError(f"Backbone '{backbone}' does not dilate to output stride {output_stride}. {REMEDY}")
    if absent := {*low_level} - {*strides[:-1]}:
        shown = ", ".join(map(str, sorted(absent)))
        raise ValueError(f"Backbone '{backbone}' has no features for the decoder at stride {shown}. {REMEDY}")
    return _with_separate_activations(encoder)


def level_of(encoder: Any, stride: int) -> int:
    """The position of the deepest low-level map at this stride in the encoder's list."""
    strides = encoder.feature_info.reduction()[:-1]
    return max(level for level, each in enumerate(strides) if each == stride)


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
