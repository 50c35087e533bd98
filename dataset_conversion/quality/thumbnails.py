"""Draws one axial slice of a patient as thumbnails: each sequence in grey, the outline of the label over it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from dataset_conversion.files.images.grids import require_same_grid
from dataset_conversion.files.images.image_io import read_image
from dataset_conversion.files.pictures import grey_levels, grey_window, webp

LONGER_SIDE = 224
"""Pixels; very noisy images take 20 kB each, 165 patients with four 17 MB."""
CONTOUR = (240, 228, 66)
"""Yellow of Okabe and Ito (2008), told apart from grey with any colour vision; a dark rim parts it from white."""
_LINE, _RIM = 2, 1
_QUALITY = 80
_SAMPLES = 1_000_000
CUT_PERCENT = 0.5
"""Of the voxels that are not 0, shown white; of negative ones, shown black."""


@dataclass(frozen=True)
class Thumbnails:
    """The pictures are WebP, all of one size. grey: by sequence, None where the image is 0 everywhere.

    cut_off: by sequence the share of the head, in this slice, where the sequence is 0 and so was not measured.
    contour: transparent but for the label's outline, None where the label is empty or there is none.
    place: slice ``place[0]`` of ``place[1]``, counted from 1 at the feet. label_mm3: None without a label.
    """

    grey: Mapping[str, bytes | None]
    cut_off: Mapping[str, float]
    contour: bytes | None
    place: tuple[int, int]
    label_mm3: float | None


def thumbnails(images: Mapping[str, Path], label: Path | None) -> Thumbnails:
    """Reads every file once and keeps one slice: that of the label's largest area, without a label the head's middle.

    Axes are turned, not resampled, so that the patient's right is on the left. Raises Fault where a file cannot be
    read, or lies on another grid than the others.
    """
    files = {"label": label, **images} if label else {**images}
    first, grid, z = next(iter(files.values())), None, None
    contour, label_mm3 = None, None
    grey: dict[str, bytes | None] = {}
    slices: dict[str, NDArray] = {}
    for name, file in files.items():
        image = sitk.DICOMOrient(read_image(file), "LPS")
        grid = image if grid is None else grid
        require_same_grid(grid, image, files=(first, file))
        voxels, spacing = sitk.GetArrayViewFromImage(image), image.GetSpacing()
        pixel_mm = (spacing[1], spacing[0])
        is_label, is_empty = file is label, not voxels.any()
        if is_label:
            label_mm3 = float(np.count_nonzero(voxels) * np.prod(spacing))
        elif is_empty:
            grey[name] = None
        if is_empty:
            continue
        if z is None:
            z = largest_slice(voxels != 0) if is_label else middle_of_head(voxels)
        if is_label:
            contour = contour_picture(voxels[z] != 0, pixel_mm)
        else:
            slices[name] = voxels[z].copy()
            window = grey_window(voxels, cut_percent=CUT_PERCENT, most_samples=_SAMPLES)
            grey[name] = grey_picture(slices[name], window, pixel_mm)
    n_slices = grid.GetSize()[2] if grid is not None else 0
    place = (n_slices // 2 if z is None else z + 1, n_slices)
    return Thumbnails(grey, cut_off(slices), contour, place, label_mm3)


def largest_slice(mask: NDArray[np.bool_]) -> int:
    """The slice, of (Z, Y, X), with the largest area; of several the lowest."""
    return int(mask.sum(axis=(1, 2)).argmax())


def middle_of_head(voxels: NDArray) -> int:
    """The slice, of (Z, Y, X), through the centre of all voxels that are brighter than the mean."""
    bright = (voxels > voxels.mean()).sum(axis=(1, 2))
    slices = np.arange(len(bright))
    return round(float(np.average(slices, weights=bright))) if bright.any() else len(bright) // 2


def cut_off(slices: Mapping[str, NDArray]) -> dict[str, float]:
    """Of what is brighter than the mean in any sequence, the share where this one is exactly 0; slices (Y, X)."""
    if not slices:
        return {}
    head = np.any([pixels > pixels.mean() for pixels in slices.values()], axis=0)
    return {name: float((pixels[head] == 0).mean()) if head.any() else 0.0 for name, pixels in slices.items()}


def grey_picture(pixels: NDArray, window: tuple[float, float], pixel_mm: tuple[float, float]) -> bytes:
    """One slice, (Y, X), with square pixels; ``pixel_mm`` is (height, width)."""
    picture = Image.fromarray(grey_levels(pixels, window))
    picture = picture.resize(_size(pixels.shape, pixel_mm), Image.Resampling.LANCZOS)
    return webp(picture, quality=_QUALITY, method=4)


def contour_picture(mask: NDArray[np.bool_], pixel_mm: tuple[float, float]) -> bytes:
    """The outline of a mask, (Y, X), in the size of ``grey_picture``; it runs around the mask and covers none of it."""
    size = _size(mask.shape, pixel_mm)
    inside = np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)) > 0
    square = np.ones((3, 3), bool)
    line = ndimage.binary_dilation(inside, square, _LINE)
    rim = ndimage.binary_dilation(line, square, _RIM)
    colours = np.zeros((*inside.shape, 4), np.uint8)
    colours[rim] = (0, 0, 0, 160)
    colours[line] = (*CONTOUR, 255)
    colours[inside] = 0
    return webp(Image.fromarray(colours), lossless=True, exact=True, method=6)


def _size(shape: tuple[int, ...], pixel_mm: tuple[float, float]) -> tuple[int, int]:
    """Width and height in pixels of one size in mm."""
    height_mm, width_mm = np.multiply(shape, pixel_mm).tolist()
    scale = LONGER_SIDE / max(height_mm, width_mm)
    return max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
