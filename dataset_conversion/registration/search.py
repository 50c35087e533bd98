"""Searches the rigid motion under which two series of one head are most alike."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import SimpleITK as sitk

from dataset_conversion.registration.similarity import BINS, SAMPLES, SEED

LEVELS_MM = (8.0, 4.0, 1.0)
"""Widths of the voxels that the search sees, one level after the other; wider voxels stay as they are."""
BLUR_VOXELS = 0.8
HEAD_RADIUS_MM = 70.0


@contextmanager
def in_one_thread() -> Iterator[None]:
    """Runs SimpleITK in one thread: its metric sums per thread, so that the last bits depend on their number."""
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


def coarsened(image: sitk.Image, width_mm: float) -> sitk.Image:
    return sitk.BinShrink(image, factors(image, width_mm))


def factors(image: sitk.Image, width_mm: float) -> list[int]:
    return [max(1, round(width_mm / spacing)) for spacing in image.GetSpacing()]


def blurred(image: sitk.Image) -> sitk.Image:
    """Blurs the voxels: unblurred, images on one grid match best where their voxels coincide, not their heads."""
    return sitk.DiscreteGaussian(image, [(BLUR_VOXELS * spacing) ** 2 for spacing in image.GetSpacing()])


def search(
    reference: sitk.Image,
    moving: sitk.Image,
    start: sitk.Euler3DTransform,
    *,
    levels_mm: Sequence[float] = LEVELS_MM,
) -> sitk.Euler3DTransform:
    """Climbs the mutual information (Mattes et al. 2003), coarse to fine; stays where the images cease to overlap."""
    transform = sitk.Euler3DTransform(start)
    for width_mm in levels_mm:
        fixed, other = coarsened(reference, width_mm), coarsened(moving, width_mm)
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(BINS)
        # gradients are only needed at the sampled points, not of the whole images
        method.MetricUseFixedImageGradientFilterOff()
        method.MetricUseMovingImageGradientFilterOff()
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(min(1.0, SAMPLES / fixed.GetNumberOfPixels()), SEED)
        method.SetInterpolator(sitk.sitkLinear)
        # from half a voxel of this level down to 0.01 mm
        method.SetOptimizerAsRegularStepGradientDescent(width_mm / 2, minStep=0.01, numberOfIterations=100)
        # a step of 1 moves the head's surface by about 1 mm, be it a rotation or a translation
        method.SetOptimizerScales([HEAD_RADIUS_MM**2] * 3 + [1.0] * 3)
        method.SetInitialTransform(transform, inPlace=True)
        try:
            method.Execute(fixed, other)
        except RuntimeError:  # too few of the sampled points lie inside the moving image
            break
    return transform


def starts(reference: sitk.Image, moving: sitk.Image, rest: sitk.Euler3DTransform) -> Iterator[sitk.Euler3DTransform]:
    yield rest
    moments = sitk.CenteredTransformInitializerFilter.MOMENTS
    yield sitk.Euler3DTransform(sitk.CenteredTransformInitializer(reference, moving, rest, moments))
