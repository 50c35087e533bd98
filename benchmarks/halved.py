"""Resamples BraTS cases to 2 mm voxels, an eighth as many, so that two cores can train on them.

    python -m benchmarks.halved BRATS_FOLDER TARGET

Images are averaged over 2 x 2 x 2 voxels where all eight hold tissue, and 0 elsewhere; a label voxel is the most
frequent of the eight, the higher one where two are equally frequent. File names stay.
"""

import argparse
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from tqdm import tqdm

from dataset_conversion.files.images.image_io import read_image, write_image
from dataset_conversion.files.staging import staged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder above the cases")
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    write_halved(arguments.source, arguments.target)


def write_halved(source: Path, target: Path) -> None:
    """Those that are there are left alone."""
    for file in tqdm(sorted(source.rglob("*.nii.gz")), desc="Halving", unit="file"):
        folder = target / file.parent.relative_to(source)
        if not (folder / file.name).is_file():
            with staged(folder) as stage:
                write_image(halved(read_image(file), is_label=file.name.endswith("seg.nii.gz")), stage / file.name)


def halved(image: sitk.Image, *, is_label: bool) -> sitk.Image:
    blocks = _blocks(sitk.GetArrayFromImage(image))
    voxels = _most_frequent(blocks) if is_label else np.where((blocks != 0).all(axis=-1), blocks.mean(axis=-1), 0)
    half = sitk.GetImageFromArray(voxels.astype(np.uint8 if is_label else np.float32))
    half.SetSpacing([2 * spacing for spacing in image.GetSpacing()])
    half.SetOrigin(image.TransformContinuousIndexToPhysicalPoint([0.5] * 3))
    half.SetDirection(image.GetDirection())
    return half


def _blocks(voxels: NDArray) -> NDArray:
    """(Z, Y, X) -> (Z // 2, Y // 2, X // 2, 8)."""
    z, y, x = (n // 2 for n in voxels.shape)
    cut = voxels[: 2 * z, : 2 * y, : 2 * x].reshape(z, 2, y, 2, x, 2)
    return cut.transpose(0, 2, 4, 1, 3, 5).reshape(z, y, x, 8)


def _most_frequent(blocks: NDArray) -> NDArray:
    values = np.unique(blocks)[::-1]
    counts = np.stack([(blocks == value).sum(axis=-1) for value in values])
    return values[counts.argmax(axis=0)]


if __name__ == "__main__":
    main()
