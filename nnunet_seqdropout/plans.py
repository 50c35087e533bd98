"""Rewrites nnU-Net's plans for the 2.5D network: architecture, slab depth and batch size; pure functions."""

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks

from nnunet_seqdropout.network import DeepLabV3Slab

RATES_OF_DEEPLAB, MAP_OF_DEEPLAB = (12, 24, 36), 65
"""The atrous rates of DeepLabV3 at stride 8, and the map of its crops of 513 pixels that they belong to."""

GIBIBYTE = 1024**3
SMALLEST_BATCH = 2
LARGEST_SHARE_OF_DATASET = 0.05
PLANNER_MEMORY_GB = {"nnUNetPlannerResEncM": 8, "nnUNetPlannerResEncL": 24, "nnUNetPlannerResEncXL": 40}

Plans = dict[str, Any]


@dataclass(frozen=True)
class SlabNetwork:
    """What ``DeepLabV3Slab`` is built from. settings: its keyword arguments, which the plans store."""

    n_sequences: int
    n_classes: int
    settings: Mapping[str, Any]

    def build(self) -> DeepLabV3Slab:
        return DeepLabV3Slab(self.n_sequences, self.n_classes, **self.settings)


def with_settings(plans: Mapping[str, Any], **settings: object) -> Plans:
    """A copy of the plans that says under the key ``seqdropout`` how our trainers were set."""
    changed = deepcopy(dict(plans))
    changed["seqdropout"] = {**changed.get("seqdropout", {}), **settings}
    return changed


def with_largest_batch(plans: Mapping[str, Any], configuration: str, *, planned: int, largest: int) -> Plans:
    """A copy of the plans whose batch is at most ``largest`` samples; ``planned`` is the size in force."""
    changed = deepcopy(dict(plans))
    changed["configurations"][configuration]["batch_size"] = min(planned, largest)
    return changed


def with_deeplab(
    plans: Mapping[str, Any],
    configuration: str,
    network: SlabNetwork,
    *,
    resolved: Mapping[str, Any],
    fingerprint: Mapping[str, Any],
) -> Plans:
    """A copy of the plans in which ``configuration`` trains and predicts with ``network``.

    The patch becomes ``[depth, H, W]``, as deep as the deepest volume of the data set, so that prediction takes a
    volume as one slab; data and export stay those of the 2D configuration. Applied twice it changes nothing more.

    resolved: the configuration after inheritance. fingerprint: ``dataset_fingerprint.json``.
    Raises ValueError for a configuration that is not 2D.
    """
    if len(resolved["spacing"]) != 2:
        raise ValueError(
            f"Configuration '{configuration}' is 3D; the 2.5D network takes slices of a 2D configuration. "
            "Use 2d, or nnUNetTrainerSeqDropout for 3D configurations."
        )
    # the fingerprint's shapes are in the order of the files; a 2D configuration slices the first axis after transposing
    # and does not resample along it, so that the depths are those that prediction will see
    first_axis = plans["transpose_forward"][0]
    depths = [shape[first_axis] for shape in fingerprint["shapes_after_crop"]]
    height, width = resolved["patch_size"][-2:]
    median_height, median_width = resolved["median_image_size_in_voxels"][-2:]
    batch_size = _batch_size(
        memory=_memory_target(plans) / stored_bytes_per_window(network, height, width),
        dataset=sum(depths) * median_height * median_width / (height * width),  # all slices, in patches
    )
    changed = with_settings(plans, decoder=list(network.settings.get("decoder", ())))
    changed["configurations"][configuration].update(
        patch_size=[int(max(depths)), height, width],
        batch_size=batch_size,
        architecture={
            "network_class_name": f"{DeepLabV3Slab.__module__}.{DeepLabV3Slab.__qualname__}",
            "arch_kwargs": dict(network.settings),
            "_kw_requires_import": [],
        },
    )
    return changed


def fitting_rates(height: int, width: int, output_stride: int) -> list[int]:
    """DeepLabV3's own rates, 12, 24 and 36 on a map of 65, for the map that a patch gives; no rate is below 1.

    They go by the shorter side, so that the outer taps of every branch lie inside the map where they did in the
    original. A patch of 513 at stride 16 gives 6, 12 and 18, as Chen et al. chose there.
    """
    map_size = min(height, width) / output_stride
    return [max(1, round(rate * map_size / MAP_OF_DEEPLAB)) for rate in RATES_OF_DEEPLAB]


def rates_outside(rates: Sequence[int], height: int, width: int, output_stride: int) -> list[int]:
    """The atrous rates whose outer taps lie outside the map for every pixel: such a branch is a 1x1 convolution."""
    return [rate for rate in rates if rate >= math.ceil(max(height, width) / output_stride)]


def _batch_size(*, memory: float, dataset: float) -> int:
    """What fits into the memory (in windows), at most nnU-Net's 5 % of the data set (in slices), at least two."""
    return max(SMALLEST_BATCH, int(min(memory, LARGEST_SHARE_OF_DATASET * dataset)))


def _memory_target(plans: Mapping[str, Any]) -> float:
    """Bytes of GPU memory that the planner aimed at. Plans do not store it: the planner's name tells."""
    return PLANNER_MEMORY_GB.get(plans["experiment_planner_used"], 8) * GIBIBYTE


def stored_bytes_per_window(network: SlabNetwork, height: int, width: int) -> float:
    """Bytes of float32 activations that one training window keeps for the backward pass; computed, not allocated."""
    # not 1: a sample alone in its batch takes the running statistics in the image-level pooling
    windows = 2
    stored: dict[int, torch.UntypedStorage] = {}

    def remember(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        # tensors share storages, which count once; holding them keeps their addresses from being used again
        stored[storage._cdata] = storage
        return tensor

    # the meta device computes shapes only
    with torch.device("meta"):
        built = network.build().train()
        x = torch.empty(windows, network.n_sequences, built.n_slices, height, width)
        with saved_tensors_hooks(remember, lambda tensor: tensor):
            built(x)
    # autograd also keeps weights, but these do not grow with the batch
    parameters = {p.untyped_storage()._cdata for p in built.parameters()}
    return sum(s.nbytes() for key, s in stored.items() if key not in parameters) / windows
