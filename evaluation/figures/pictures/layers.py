"""Encodes the layers of one slice as pictures: grey background, probability, and voxels by agreement."""

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from dataset_conversion.files.pictures import webp
from evaluation.figures.colours import FALSE_NEGATIVE, FALSE_POSITIVE, PROBABILITY, TRUE_POSITIVE

LARGEST_SIDE = 288
"""Pixels of the background's longer side; a larger one is made smaller. The other layers keep every voxel."""
LOWEST_DRAWN, STEP = 0.05, 0.05
"""Probabilities below are transparent; those above are drawn in steps, which makes the picture small."""
OPACITY = 204
"""Of the voxels' colours, of 255: the image shows through, and the colours stay apart."""
_QUALITY = 82


def background_layer(grey: NDArray[np.uint8]) -> bytes:
    """One slice, (Y, X), lossy."""
    picture = Image.fromarray(grey)
    largest = max(picture.size)
    if largest > LARGEST_SIDE:
        height, width = (max(1, round(n * LARGEST_SIDE / largest)) for n in grey.shape)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return webp(picture, quality=_QUALITY, method=4)


def probability_layer(probability: NDArray) -> bytes:
    """One slice, (Y, X), of values from 0 to 1; transparent below 0.05."""
    steps = np.floor(np.clip(probability, 0, 1) / STEP + 1e-6).astype(np.intp)
    return webp(Image.fromarray(_COLOURS[steps]), lossless=True, method=4)


def agreement_layer(reference: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> bytes:
    """One slice, (Y, X): true positive, false negative and false positive voxels; transparent where neither mask is."""
    colours = np.zeros((*reference.shape, 4), np.uint8)
    for voxels, colour in (
        (reference & predicted, TRUE_POSITIVE),
        (reference & ~predicted, FALSE_NEGATIVE),
        (predicted & ~reference, FALSE_POSITIVE),
    ):
        colours[voxels] = [*(round(255 * part) for part in to_rgb(colour)), OPACITY]
    return webp(Image.fromarray(colours), lossless=True, method=4)


def probability_colours() -> list[tuple[float, str]]:
    """The colours of the probability map for a colour bar: where a step begins, and its colour in CSS."""
    return [
        (round(i * STEP, 2), f"rgba({red}, {green}, {blue}, {alpha / 255:.2f})")
        for i, (red, green, blue, alpha) in enumerate(_COLOURS[:-1].tolist())
    ]


def _table_of_colours() -> NDArray[np.uint8]:
    """A colour with its opacity for every step from 0 to 1, (steps + 1, 4); more probable is more opaque."""
    begins = np.arange(round(1 / STEP) + 1) * STEP
    colours = matplotlib.colormaps[PROBABILITY](0.3 + 0.7 * begins)
    colours[:, 3] = np.where(begins < LOWEST_DRAWN - 1e-9, 0, 0.35 + 0.5 * begins)
    return np.round(255 * colours).astype(np.uint8)


_COLOURS = _table_of_colours()
