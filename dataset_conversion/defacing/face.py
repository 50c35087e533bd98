"""Removes the face from all series of a patient by one mask, computed from a brain mask by distances in mm.

Defacing is not anonymisation: the brain, the skull and the file's header can still identify the patient.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.plurals import n_of

MARGIN_MM = 10.0
"""Margin around the brain that is kept; the orbits begin beyond it."""
FARTHEST_MM = 20.0
"""Scalp and skull above and behind the brain are thinner than this."""
LARGEST_MM = 800
"""Larger than any field of view: images that together need more are not registered to each other."""
TISSUE_SHARE = 0.2
"""Share of the brain's median signal below which a voxel is air with noise."""
LEAST_REMOVED_ML = 1.0


def grid_around(images: Sequence[sitk.Image]) -> sitk.Image:
    """Zeros on a 1 mm grid along the LPS axes that holds all images wholly; Fault where they reach over 800 mm."""
    corners = np.concatenate([_corners(image) for image in images])
    low, high = corners.min(axis=0), corners.max(axis=0)
    # less a thousandth, the rounding of oblique corners
    size = [max(1, int(n)) for n in np.ceil(high - low - 1e-3)]
    if max(size) > LARGEST_MM:
        raise Fault(
            f"the images together reach over {max(size)} mm",
            remedy="Register them first, and check the origins in their headers.",
        )
    grid = sitk.Image(size, sitk.sitkUInt8)
    grid.SetOrigin((low + 0.5).tolist())
    return grid


def face_mask(
    brain: sitk.Image,
    series: Sequence[sitk.Image],
    *,
    margin_mm: float = MARGIN_MM,
    farthest_mm: float = FARTHEST_MM,
) -> sitk.Image:
    """What to remove (1), on a 1 mm grid around the brain mask and all series; the series must be registered to it.

    A point goes when it lies more than ``margin_mm`` from the brain on the face's side of the plane through the brain's
    centroid that leans back by 45 degrees (LPS: -y - z > 0). On that side are eyes, nose, mouth, chin and ears; the
    forehead is pared down to the margin. Seen from the centroid the eyes lie a little below the horizontal and the ears
    about straight down, so that they stay on that side in a head that nods by 30 degrees. And a point goes on any side
    when it lies more than ``farthest_mm`` from the brain: the neck, and a nose folded over to behind the head.
    Raises Fault where the brain mask is empty, or too far from the series for one grid.
    """
    inside = _sample(brain > 0.5, grid_around([brain, *series]))
    if not sitk.GetArrayViewFromImage(inside).any():
        raise Fault("the brain mask is empty", remedy="Give a brain mask, or choose another extractor.")
    away = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(inside, squaredDistance=False, useImageSpacing=True))
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(inside)
    y, z = (
        inside.GetOrigin()[axis] - shape.GetCentroid(1)[axis] + np.arange(inside.GetSize()[axis]) for axis in (1, 2)
    )
    facewards = (-y[None, :, None] - z[:, None, None]) > 0
    mask = sitk.GetImageFromArray((((away > margin_mm) & facewards) | (away > farthest_mm)).astype(np.uint8))
    mask.CopyInformation(inside)
    return mask


def deface(image: sitk.Image, mask: sitk.Image) -> sitk.Image:
    """The image with nothing where the mask is 1; type and grid stay.

    Nothing is 0, or the image's lowest value where that is less.
    Raises Fault where the mask does not reach over the whole image, since what lies beyond it would stay.
    """
    indices = np.array([mask.TransformPhysicalPointToContinuousIndex(corner.tolist()) for corner in _corners(image)])
    if (indices < -0.51).any() or (indices > np.array(mask.GetSize()) - 0.49).any():
        raise Fault("the image reaches beyond the face mask", remedy="Compute the mask from all series of the patient.")
    return sitk.Mask(image, _sample(mask, image) == 0, _nothing(image))


def require_defaced(image: sitk.Image, defaced: sitk.Image, brain: sitk.Image) -> None:
    """Raises Fault where less than 1 ml of tissue was removed, or any voxel of the brain mask differs.

    Tissue is brighter than a fifth of the way from nothing to the brain's median. A brain mask that lies beside the
    image is a Fault too: nothing could be said of the brain then.
    """
    before, after = sitk.GetArrayViewFromImage(image), sitk.GetArrayViewFromImage(defaced)
    within = sitk.GetArrayFromImage(_sample(brain > 0.5, image)).astype(bool)
    if not within.any():
        raise Fault("the brain mask does not lie in this image", remedy="Register the image to the mask first.")
    changed = before != after
    if touched := int(np.count_nonzero(changed & within)):
        raise Fault(f"the defacing touched {n_of(touched, 'voxel')} of the brain", remedy="Check the brain mask.")
    nothing = _nothing(image)
    tissue = before > nothing + TISSUE_SHARE * (float(np.median(before[within])) - nothing)
    removed_ml = np.count_nonzero(changed & tissue) * float(np.prod(image.GetSpacing())) / 1000
    if removed_ml < LEAST_REMOVED_ML:
        raise Fault(
            f"the defacing removed nothing ({removed_ml:.2f} ml of tissue, expected at least {LEAST_REMOVED_ML:g} ml)",
            remedy="Check the image and the brain mask; if the image shows no face, convert it without --deface.",
        )


def deface_patient(series: Mapping[str, sitk.Image], brain: sitk.Image) -> dict[str, sitk.Image]:
    """All series of a patient, registered to the brain mask, defaced by one mask. Raises Fault if any one fails."""
    mask = face_mask(brain, list(series.values()))
    defaced = {name: deface(image, mask) for name, image in series.items()}
    for name, image in series.items():
        try:
            require_defaced(image, defaced[name], brain)
        except Fault as fault:
            raise Fault(f"{name}: {fault.problem}", remedy=fault.remedy) from fault
    return defaced


def _nothing(image: sitk.Image) -> float:
    return min(0.0, float(sitk.GetArrayViewFromImage(image).min()))


def _sample(mask: sitk.Image, grid: sitk.Image) -> sitk.Image:
    return sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor)


def _corners(image: sitk.Image) -> NDArray[np.float64]:
    """The eight outer corners of an image, in mm."""
    ends = [(-0.5, n - 0.5) for n in image.GetSize()]
    indices = [[end[side] for end, side in zip(ends, sides, strict=True)] for sides in np.ndindex(2, 2, 2)]
    return np.array([image.TransformContinuousIndexToPhysicalPoint(index) for index in indices])
