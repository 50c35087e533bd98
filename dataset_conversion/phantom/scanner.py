"""Simulates the scans of a head, and the label that is drawn on them."""

from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from dataset_conversion.phantom.anatomy import Head


def scan(
    head: Head,
    brightness: Mapping[str, float],
    grid: sitk.Image,
    motion: sitk.Euler3DTransform,
    rng: np.random.Generator,
) -> sitk.Image:
    """One series as the scanner delivers it: partial volume, bias field, Rician noise, an arbitrary gain; int16."""
    mixed = np.zeros_like(head.brain)
    for tissue, value in brightness.items():
        mixed += head.fractions[tissue] * np.float32(value)
    ideal = sitk.GetArrayFromImage(_onto(grid, mixed, head, motion))
    brain = sitk.Resample(_on_head_grid(head.brain, head), grid, motion.GetInverse(), sitk.sitkLinear)
    inside = sitk.GetArrayFromImage(brain) >= 0.5
    white = brightness["white"]
    seen = ideal * _draw_bias_field(ideal.shape, rng)
    noise = white / rng.uniform(15, 35) * rng.standard_normal((2, *ideal.shape))
    magnitude = np.sqrt((seen + noise[0]) ** 2 + noise[1] ** 2)
    gain = rng.uniform(300, 900) / white
    image = sitk.GetImageFromArray(np.round(np.clip(gain * magnitude, 1, 32767) * inside).astype(np.int16))
    image.CopyInformation(grid)
    return image


def drawn_label(head: Head, grid: sitk.Image) -> sitk.Image:
    """Voxels at least half filled by a lesion, with its necrosis; a lesion that fills none is its centre's voxel."""
    filled = _onto(grid, head.fractions["enhancing"] + head.fractions["necrosis"], head, sitk.Euler3DTransform())
    label = sitk.Cast(filled >= 0.5, sitk.sitkUInt8)
    objects, _ = ndimage.label(sitk.GetArrayViewFromImage(label), np.ones((3, 3, 3)))
    for lesion in head.lesions:
        index = label.TransformPhysicalPointToIndex(lesion.centre_mm)
        z, y, x = index[::-1]
        if not objects[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2].any():
            label[index] = 1
    return label


def _onto(grid: sitk.Image, volume: np.ndarray, head: Head, motion: sitk.Euler3DTransform) -> sitk.Image:
    """A map of the head as voxels of this grid see it: averaged over a voxel's width, at where the head lies."""
    smoothing_mm = 0.42 * float(np.mean(grid.GetSpacing()))
    averaged = ndimage.gaussian_filter(volume, smoothing_mm, truncate=3)
    return sitk.Resample(_on_head_grid(averaged, head), grid, motion.GetInverse(), sitk.sitkLinear)


def _on_head_grid(volume: np.ndarray, head: Head) -> sitk.Image:
    image = sitk.GetImageFromArray(volume)
    image.CopyInformation(head.grid)
    return image


def _draw_bias_field(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A smooth factor around 1, some 15 % up and down, from three slow waves."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij")
    waves = sum(
        np.cos(sum(f * a for f, a in zip(rng.uniform(-2.5, 2.5, 3), axes, strict=True)) + rng.uniform(0, 2 * np.pi))
        for _ in range(3)
    )
    return np.exp(0.07 * waves)
