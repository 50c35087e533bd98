"""Voxels of all kinds can be told from each other and from grey images, with any colour vision."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from evaluation.figures.colours import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE
from evaluation.figures.pictures.layers import OPACITY

LEAST = 25
"""CIE76; 2.3 is just noticeable. With pink for the false positives it was 6."""
# Machado, Oliveira and Fernandes 2009, severity 1, of linear RGB
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
GREYS = np.linspace(0, 1, 41)[:, None] * np.ones(3)


def lab(rgb, vision):
    """CIE L*a*b* of sRGB, (n, 3), as it is seen."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.transpose(vision), 0, 1) @ TO_XYZ.T / TO_XYZ.sum(axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def shown(colour):
    """The colour over each grey of the image."""
    return OPACITY / 255 * np.array(to_rgb(colour)) + (1 - OPACITY / 255) * GREYS


@pytest.mark.parametrize("vision", VISION)
def test_voxels_differ_from_each_other_and_from_every_grey(vision):
    seen = [lab(shown(colour), VISION[vision]) for colour in (TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE)]
    greys = lab(GREYS, VISION[vision])
    for one, other in combinations(seen, 2):
        assert np.linalg.norm(one - other, axis=1).min() > LEAST
    for one in seen:
        assert np.linalg.norm(one[:, None] - greys, axis=2).min() > LEAST


def test_the_difference_is_the_one_of_the_text_books():
    """White and black lie 100 apart, sRGB's red at L*a*b* 53.2, 80.1, 67.2."""
    black, white, red = lab(np.array([[0.0, 0, 0], [1, 1, 1], [1, 0, 0]]), VISION["normal"])
    np.testing.assert_allclose(white - black, [100, 0, 0], atol=0.1)
    np.testing.assert_allclose(red, [53.2, 80.1, 67.2], atol=0.1)
