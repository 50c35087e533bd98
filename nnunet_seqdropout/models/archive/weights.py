"""Stores the weights of a checkpoint as safetensors, which can hold no code, and makes a checkpoint of them again."""

from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from nnunet_seqdropout.models.archive.container import Stored
from nnunet_seqdropout.models.checkpoints import Checkpoint


def stored(checkpoint: Checkpoint) -> tuple[Stored, bytes]:
    """A tensor that several names have, as the encoder of nnU-Net's decoder does, is stored once."""
    first: dict[tuple, str] = {}
    same_as: dict[str, str] = {}
    kept: dict[str, torch.Tensor] = {}
    for name, tensor in checkpoint.weights.items():
        # an empty tensor has no place of its own
        place = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()) if tensor.numel() else (name,)
        owner = first.setdefault(place, name)
        if owner == name:
            kept[name] = tensor.contiguous()
        else:
            same_as[name] = owner
    axes = checkpoint.mirroring_axes
    return Stored(None if axes is None else tuple(axes), same_as), save(kept)


def restored(content: bytes, stored: Stored, *, trainer: str, configuration: str) -> dict[str, object]:
    """What nnU-Net's predictor takes of a checkpoint; no log, no state of an optimiser. Raises ValueError."""
    try:
        weights: dict[str, torch.Tensor] = load(content)
    except SafetensorError as error:
        raise ValueError(f"its weights cannot be read: {error}") from error
    weights |= {name: weights[owner] for name, owner in _pairs(stored.same_as)}
    return {
        "network_weights": weights,
        "trainer_name": trainer,
        "init_args": {"configuration": configuration},
        "inference_allowed_mirroring_axes": None if stored.mirroring_axes is None else tuple(stored.mirroring_axes),
    }


def _pairs(same_as: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(str(name), str(owner)) for name, owner in same_as.items()]
