"""Brings the series of a patient onto one grid."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import SimpleITK as sitk
from matplotlib.figure import Figure

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.grids import (
    has_geometry_of,
    largest_distance_mm,
    on_same_grid,
    require_same_grid,
    with_geometry_of,
)
from dataset_conversion.files.images.storage_order import storage_order as order_of
from dataset_conversion.files.images.storage_order import stored_as, stored_like
from dataset_conversion.raw.preparing.prepared import Preparation, PreparedSeries, Unregistered
from dataset_conversion.registration.checkerboard import checkerboard
from dataset_conversion.registration.resampling import resample
from dataset_conversion.registration.rigid import Diverged, Registration, register
from dataset_conversion.registration.settling import settled


def in_one_order(
    usable: Mapping[str, PreparedSeries], order: str | None, warnings: list[str]
) -> dict[str, PreparedSeries]:
    """The series, the first with its axes in this order, the others nearest to it; the warnings say of which."""
    first = next(iter(usable.values())).image
    reference = first if order is None else stored_as(order, first)
    stored = {name: (series, stored_like(reference, series.image)) for name, series in usable.items()}
    for name, (series, image) in stored.items():
        if image is not series.image:
            warnings.append(f"{name}: stored as {order_of(series.image)}, written as {order_of(image)}")
    return {
        name: series if image is series.image else replace(series, image=image, original=None)
        for name, (series, image) in stored.items()
    }


def with_trusted_geometry(
    usable: Mapping[str, PreparedSeries], reference: str, label: sitk.Image | None, warnings: list[str]
) -> tuple[dict[str, PreparedSeries], sitk.Image | None]:
    """The series; those of the reference's size get its geometry, which the warnings mention."""
    fixed = usable[reference].image

    def on_reference(name: str, image: sitk.Image) -> sitk.Image:
        if image.GetSize() != fixed.GetSize() or on_same_grid(fixed, image):
            return image
        distance = f"up to {largest_distance_mm(fixed, image):.1f} mm from {reference}"
        warnings.append(f"{name}: its header places it {distance}, whose geometry was taken (--trust-geometry)")
        return with_geometry_of(fixed, image)

    placed = {name: (series, on_reference(name, series.image)) for name, series in usable.items()}
    label = None if label is None else on_reference("label", label)
    return {
        name: series if image is series.image else replace(series, image=image, original=None)
        for name, (series, image) in placed.items()
    }, label


def registered(
    usable: Mapping[str, PreparedSeries], reference: str, preparation: Preparation
) -> tuple[dict[str, PreparedSeries], dict[str, Callable[[], Figure]]]:
    fixed = usable[reference]
    moved = {reference: fixed}
    pictures: dict[str, Callable[[], Figure]] = {}
    for name, series in usable.items():
        if name == reference:
            continue
        if preparation.register == "never":
            _require_same_grid(fixed, series)
            moved[name] = _with_one_header(fixed, series)
            continue
        try:
            still = settled(fixed.image)
            found = register(still, settled(series.image, still))
        except Diverged as fault:
            picture = _checkerboard(fixed, series, fault.attempt, f"{name} on {reference}: failed")
            problem = f"{name}: {fault.problem}"
            raise Unregistered(problem, remedy=fault.remedy, name=name, picture=picture) from fault
        except Fault as fault:
            raise Fault(f"{name}: {fault.problem}", remedy=fault.remedy) from fault
        if found.skipped:
            moved[name] = replace(_with_one_header(fixed, series), registration=found)
            continue
        image = moved_to(series.image, fixed.image, found.transform)
        moved[name] = PreparedSeries(image, series.file, series.sha256, None, found)
        title = f"{name} on {reference}: moved by {found.translation_mm:.1f} mm, {found.rotation_deg:.1f}°"
        pictures[name] = partial(_checkerboard, fixed, series, found, title)
    return moved, pictures


def moved_to(
    image: sitk.Image, reference: sitk.Image, transform: sitk.Transform, *, is_label: bool = False
) -> sitk.Image:
    """The image on the reference's grid by the transform between the two, as it was found: settled."""
    still = settled(reference)
    moved = resample(settled(image, still), still, transform, is_label=is_label)
    return with_geometry_of(reference, stored_like(reference, moved))


def _require_same_grid(fixed: PreparedSeries, series: PreparedSeries) -> None:
    try:
        require_same_grid(fixed.image, series.image, files=(fixed.file, series.file))
    except Fault as fault:
        remedy = f"{fault.remedy} To register the series, use --register auto."
        raise Fault(fault.problem, remedy=remedy) from fault


def _with_one_header(fixed: PreparedSeries, series: PreparedSeries) -> PreparedSeries:
    """The series; if it is on the reference's grid by our tolerance, but not by nnU-Net's, with its header."""
    if has_geometry_of(fixed.image, series.image):
        return series
    return replace(series, image=with_geometry_of(fixed.image, series.image), original=None)


def _checkerboard(fixed: PreparedSeries, series: PreparedSeries, found: Registration, title: str) -> Figure:
    before, after = (resample(series.image, fixed.image, t) for t in (sitk.Transform(), found.transform))
    return checkerboard(fixed.image, before, after, title)
