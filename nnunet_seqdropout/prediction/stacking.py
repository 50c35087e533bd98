"""Stacks the images of a case as nnU-Net's reader would, with zeros for the channels that are absent."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.sequences import require_channel


def by_channel(
    images: Mapping[int, sitk.Image] | Mapping[str, sitk.Image], channel_names: Sequence[str]
) -> dict[int, sitk.Image]:
    """The images by their channel's number. Raises Fault as ``Model.preprocess`` does."""
    if not images:
        raise Fault("no usable sequence", remedy="Give at least one image that is not empty.")
    numbered: dict[int, sitk.Image] = {}
    for named, image in images.items():
        channel = require_channel(named, channel_names) if isinstance(named, str) else named
        if channel in numbered:
            remedy = "Give one image for each channel."
            raise Fault(f"two images for channel {channel}, {channel_names[channel]}", remedy=remedy)
        numbered[channel] = image
    return numbered


def stacked(images: Mapping[int, sitk.Image], n_channels: int) -> NDArray[np.float32]:
    """Images of one grid, at least one -> (n_channels, Z, Y, X)."""
    first = next(iter(images.values()))
    volume = np.zeros((n_channels, *first.GetSize()[::-1]), np.float32)
    for channel, image in images.items():
        volume[channel] = sitk.GetArrayViewFromImage(image)
    return volume


def properties_of(image: sitk.Image) -> dict[str, Any]:
    """What nnU-Net's SimpleITK reader says of an image."""
    geometry = {"spacing": image.GetSpacing(), "origin": image.GetOrigin(), "direction": image.GetDirection()}
    return {"sitk_stuff": geometry, "spacing": [abs(spacing) for spacing in image.GetSpacing()[::-1]]}
