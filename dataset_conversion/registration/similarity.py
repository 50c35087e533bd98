"""Measures the alignment of two series of one head by their normalised mutual information."""

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from dataset_conversion.faults import Fault

SAMPLES, BINS, SEED = 50_000, 32, 1
SMALLEST_OVERLAP = 0.2


def clipped(image: sitk.Image) -> sitk.Image:
    """Brightness from 0 to 1; of the voxels that are not 0, the darkest and brightest 0.5 % are cut off.

    Raises Fault for an image that is no volume or holds one value only.
    """
    remedy = "Remove this series from the patient's folder."
    if image.GetDimension() != 3:
        raise Fault(f"this is no volume (size {image.GetSize()})", remedy=remedy)
    voxels = sitk.GetArrayViewFromImage(image)
    if voxels.min() == voxels.max():
        raise Fault(f"every voxel is {voxels.min()}", remedy=remedy)
    # the zeros around the head would dominate the percentiles; the window includes 0 all the same
    dark, bright = (float(limit) for limit in np.percentile(voxels[voxels != 0], (0.5, 99.5)))
    return sitk.IntensityWindowing(sitk.Cast(image, sitk.sitkFloat32), min(dark, 0.0), max(bright, 0.0), 0.0, 1.0)


def similarity(reference: sitk.Image, moving: sitk.Image, transform: sitk.Transform) -> float:
    """Normalised mutual information (Studholme, Hill and Hawkes 1999) of clipped images: 1, nothing in common, to 2.

    1 as well where the moving image covers less than a fifth of the reference's volume, and where both are constant in
    what they share, 0/0: their mutual information is 0. Measured at random points, the same in every call, because on
    the reference's voxels a transform that needs no interpolation would be favoured.
    """
    # points between the voxels, (samples, 3) in x, y, z
    index = np.random.default_rng(SEED).random((SAMPLES, 3)) * np.subtract(reference.GetSize(), 1)
    points = index @ _axes(reference).T + reference.GetOrigin()
    # the transform is affine: where it sends the origin and three unit vectors defines it
    origin, *ends = (np.array(transform.TransformPoint(p)) for p in [*np.zeros((1, 3)).tolist(), *np.eye(3).tolist()])
    ours, theirs = _brightness(reference, points), _brightness(moving, points @ np.subtract(ends, origin) + origin)
    shared = np.isfinite(theirs)
    if shared.mean() < SMALLEST_OVERLAP:
        return 1.0
    joint, _, _ = np.histogram2d(ours[shared], theirs[shared], BINS, ((0, 1), (0, 1)))
    together = _entropy(joint)
    return (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / together if together > 0 else 1.0


def gain(reference: sitk.Image, moving: sitk.Image, transform: sitk.Euler3DTransform, *, step: float) -> float:
    """By how much the similarity exceeds that of the best of twelve transforms, each one step away.

    A step is ``step`` mm along, or ``step`` degrees about, one axis, either way. Negative: some step is better.
    """
    # parameters of the transform: three angles in radians, then the translation in mm
    unit = step * np.array([np.deg2rad(1.0)] * 3 + [1.0] * 3)
    rivals = []
    for move in [*np.diag(unit), *np.diag(-unit)]:
        rival = sitk.Euler3DTransform(transform)
        rival.SetParameters((move + transform.GetParameters()).tolist())
        rivals.append(similarity(reference, moving, rival))
    return similarity(reference, moving, transform) - max(rivals)


def _axes(image: sitk.Image) -> NDArray[np.float64]:
    return np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()


def _brightness(image: sitk.Image, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolated at points (N, 3), mm; NaN outside the field of view."""
    # x, y, z; the array's axes are z, y, x
    index = np.linalg.inv(_axes(image)) @ (points - image.GetOrigin()).T
    return ndimage.map_coordinates(sitk.GetArrayViewFromImage(image), index[::-1], float, order=1, cval=np.nan)


def _entropy(counts: NDArray[np.float64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
