"""Brings an image onto the grid of another one."""

import SimpleITK as sitk


def resample(
    image: sitk.Image, reference: sitk.Image, transform: sitk.Transform, *, is_label: bool = False
) -> sitk.Image:
    """The image on the reference's grid, its type kept, 0 outside its field of view; linear, for labels the nearest."""
    kind = image.GetPixelID()
    if is_label:
        return sitk.Resample(image, reference, transform, sitk.sitkNearestNeighbor, 0.0, kind)
    exact = sitk.Resample(image, reference, transform, sitk.sitkLinear, 0.0, sitk.sitkFloat64)
    # SimpleITK would cut the decimals off
    return sitk.Cast(exact if kind in (sitk.sitkFloat32, sitk.sitkFloat64) else sitk.Round(exact), kind)
