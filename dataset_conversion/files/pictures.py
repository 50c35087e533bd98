"""Turns voxels into grey levels and pictures into WebP, for the pages in HTML."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def grey_window(voxels: NDArray, *, cut_percent: float, most_samples: int | None = None) -> tuple[float, float]:
    """The values shown black and white; ``cut_percent`` of the voxels that are not 0 are cut off at either end.

    0 is black, unless there are negative values, of which the darkest are. Of more than ``most_samples`` voxels every
    so many are looked at. An image that is 0 everywhere has the window (0, 0).
    """
    values = voxels[voxels != 0]
    if not len(values):
        return 0.0, 0.0
    step = 1 if most_samples is None else 1 + len(values) // most_samples
    low, high = np.percentile(values[::step], (cut_percent, 100 - cut_percent))
    return min(0.0, float(low)), float(high)


def grey_levels(voxels: NDArray, window: tuple[float, float]) -> NDArray[np.uint8]:
    """From 0, black, to 255, white."""
    low, high = window
    # a window without width, of an image that is 0 everywhere, makes it black
    return np.round(255 * np.clip((voxels - low) / max(high - low, 1e-12), 0, 1)).astype(np.uint8)


def webp(picture: Image.Image, **options: object) -> bytes:
    """The picture as WebP; options: those of Pillow's encoder."""
    stream = io.BytesIO()
    picture.save(stream, "WEBP", **options)
    return stream.getvalue()
