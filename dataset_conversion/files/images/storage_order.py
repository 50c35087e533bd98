"""Brings an image that is stored in another order of axes into the order of another image, voxel by voxel.

The same head can be stored slice by slice from the feet or from the left ear, from right to left or from left to right.
Axes that are exchanged or run the other way need no interpolation.
"""

from itertools import permutations

import numpy as np
import SimpleITK as sitk


def storage_order(image: sitk.Image | sitk.ImageFileReader) -> str:
    """Where the axes of a volume point to, such as LPS: the first to the left, the second to the back, the third up."""
    return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection()[:9])


def stored_as(order: str, image: sitk.Image) -> sitk.Image:
    """The volume with its axes in this order, such as LPS; itself where it has it."""
    return image if storage_order(image) == order else sitk.DICOMOrient(image, order)


def stored_like(reference: sitk.Image | sitk.ImageFileReader, image: sitk.Image) -> sitk.Image:
    """The volume with its axes in the order and directions nearest to the reference's; itself where they are.

    Every voxel keeps its value and its place in space. What is no volume is returned as it is.
    """
    if not reference.GetDimension() == image.GetDimension() == 3:
        return image
    ours, theirs = (np.reshape(i.GetDirection(), (3, 3)) for i in (image, reference))
    cosines = theirs.T @ ours  # of the reference's axis (row) with the image's (column)
    axes = max(permutations(range(3)), key=lambda p: sum(abs(cosines[row, column]) for row, column in enumerate(p)))
    turned = [bool(cosines[row, column] < 0) for row, column in enumerate(axes)]
    if axes == (0, 1, 2) and not any(turned):
        return image
    return sitk.Flip(sitk.PermuteAxes(image, axes), turned)
