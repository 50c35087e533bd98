"""A patient as the scanner hands him over: the second series on a grid of its own, after he moved."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage


def head(shape=(48, 56, 52)) -> np.ndarray:
    """A smooth head of several tissues, 3 mm voxels."""
    rng = np.random.default_rng(3)
    z, y, x = (np.linspace(-1, 1, n) for n in shape)
    inside = (z[:, None, None] / 0.8) ** 2 + (y[:, None] / 0.85) ** 2 + (x / 0.75) ** 2 < 1
    tissue = ndimage.gaussian_filter(rng.standard_normal(shape), 3)
    return (inside * (3 + np.digitize(tissue, np.quantile(tissue, [0.3, 0.6, 0.85])))).astype(np.float32)


def write_moved_patient(folder: Path) -> None:
    """bravo and the label on one grid; flair, in other grey values, shifted by (6, -4, 3) mm and 5 degrees turned."""
    folder.mkdir(parents=True)
    tissue = sitk.GetImageFromArray(head())
    tissue.SetSpacing([3, 3, 3])
    bravo = sitk.Cast(tissue * 100 + sitk.AdditiveGaussianNoise(tissue * 0, 5, 0, 1), sitk.sitkInt16)
    sitk.WriteImage(sitk.Mask(bravo, tissue > 0), str(folder / "bravo.nii.gz"))
    label = sitk.Cast(tissue == 6, sitk.sitkUInt8)
    sitk.WriteImage(label, str(folder / "seg.nii.gz"))
    motion = sitk.Euler3DTransform(tissue.TransformContinuousIndexToPhysicalPoint([25.5, 27.5, 23.5]))
    motion.SetRotation(0, 0, float(np.deg2rad(5)))
    motion.SetTranslation([6, -4, 3])
    grid = sitk.Image([50, 54, 50], sitk.sitkFloat32)
    grid.SetSpacing([3, 3, 3])
    values = sitk.Cast(sitk.Resample(tissue, grid, motion.GetInverse(), sitk.sitkLinear), sitk.sitkFloat32)
    sitk.WriteImage(sitk.Cast(sitk.Mask(900 - values * 100, values > 1), sitk.sitkInt16), str(folder / "flair.nii.gz"))
