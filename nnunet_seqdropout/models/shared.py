"""Reduces what lies in a model folder to what another hospital needs: no paths, no patients; and its fingerprint."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from dataset_conversion.faults import Fault
from dataset_conversion.files.hashing import sha256_of
from nnunet_seqdropout.models.checkpoints import Checkpoint

_PLANS = (
    *("dataset_name", "plans_name", "image_reader_writer", "transpose_forward", "transpose_backward"),
    *("original_median_spacing_after_transp", "original_median_shape_after_transp", "experiment_planner_used"),
    *("label_manager", "foreground_intensity_properties_per_channel", "configurations", "seqdropout"),
)
_DATASET_JSON = (
    "channel_names",
    "labels",
    "regions_class_order",
    "file_ending",
    "overwrite_image_reader_writer",
    "preparation",
)
_OF_THRESHOLDS = ("fp_budget", "forced")
_PATH = re.compile(r"[/~\\]|[A-Za-z]:[\\/]|file:")


def shared_plans(plans: Mapping[str, Any], configuration: str) -> dict[str, Any]:
    """nnU-Net's keys and ours, and of the configurations this one with those that it inherits from."""
    configurations, chain = plans["configurations"], [configuration]
    while (parent := configurations[chain[-1]].get("inherits_from")) is not None and parent not in chain:
        chain.append(parent)
    kept = {name: value for name, value in configurations.items() if name in chain}
    return {**{key: plans[key] for key in _PLANS if key in plans}, "configurations": kept}


def shared_dataset_json(dataset_json: Mapping[str, Any]) -> dict[str, Any]:
    """What prediction reads of it."""
    return {key: dataset_json[key] for key in _DATASET_JSON if key in dataset_json}


def shared_thresholds(thresholds: Mapping[str, Any]) -> dict[str, Any]:
    """Without the folders of the validation patients."""
    settings = {key: value for key, value in thresholds["settings"].items() if key in _OF_THRESHOLDS}
    return {**thresholds, "settings": settings}


def require_no_paths(content: Mapping[str, Any], named: str) -> None:
    """Raises Fault where a text in it looks like a path of this machine."""
    for key, text in _texts(content, ""):
        if _PATH.match(text):
            remedy = "Take it out of the file of this name in the model folder, and export again."
            raise Fault(f"{named} holds a path at {key}: {text}", remedy=remedy)


def _texts(content: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _texts(str(name), f"{key}.{name}".lstrip("."))
            yield from _texts(value, f"{key}.{name}".lstrip("."))
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _texts(value, key)
    elif isinstance(content, str):
        yield key, content


def weights_sha256(weights: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes, in the order of the names; not over how a file packs them."""
    parts = []
    for name, tensor in sorted(weights.items()):
        values = tensor.detach().contiguous().flatten().view(torch.uint8).numpy()
        parts.append([name, str(tensor.dtype), [*tensor.shape], sha256_of(values.tobytes())])
    return sha256_of(json.dumps(parts))


def fingerprint(
    plans: Mapping[str, Any],
    dataset_json: Mapping[str, Any],
    configuration: str,
    checkpoints: Mapping[str, Checkpoint],
) -> str:
    """SHA-256 over what the probabilities depend on: the same model has the same one under any name, on any machine.

    Names of data set, plans and trainer, and the thresholds, are no part of it. checkpoints: by ``fold_0/NAME``.
    """
    what = {key: value for key, value in shared_plans(plans, configuration).items() if not key.endswith("_name")}
    each = {
        name: [weights_sha256(checkpoint.weights), checkpoint.mirroring_axes]
        for name, checkpoint in checkpoints.items()
    }
    content = [what, shared_dataset_json(dataset_json), configuration, each]
    return sha256_of(json.dumps(content, sort_keys=True))
