"""Defines the settings of a synthetic cohort, and the grids of its series."""

from dataclasses import dataclass

import SimpleITK as sitk

from dataset_conversion.phantom.anatomy import Head
from dataset_conversion.phantom.lesions import Hospital

FIELD_OF_VIEW_MM, SLAB_MM = 192.0, 160.0
_SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
_AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class PhantomSettings:
    """Numbers of patients, and grids. ``like_paper``: Table 2's grids, with motion between the series."""

    train: int = 24
    val: int = 4
    test: int = 8
    size: int = 96
    seed: int = 0
    like_paper: bool = False

    @property
    def voxel_mm(self) -> float:
        """Width of a voxel; with ``like_paper`` about that of the finest series."""
        return 0.9 if self.like_paper else FIELD_OF_VIEW_MM / self.size


LIKE_PAPER = PhantomSettings(train=100, val=10, test=55, size=256, like_paper=True)


def series_grid(head: Head, hospital: Hospital, series: str, settings: PhantomSettings) -> sitk.Image:
    """An empty image on the series' grid, centred on the head."""
    size, spacing, direction = grid_of(hospital, series, settings)
    grid = sitk.Image(size, sitk.sitkUInt8)
    grid.SetSpacing(spacing)
    grid.SetDirection(direction)
    centre = head.grid.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in head.grid.GetSize()])
    offset = grid.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in size])
    grid.SetOrigin([c - o for c, o in zip(centre, offset, strict=True)])
    return grid


def grid_of(hospital: Hospital, series: str, settings: PhantomSettings) -> tuple[tuple[int, ...], tuple, tuple]:
    """Size, spacing and direction; the paper's are those of Table 2."""
    if not settings.like_paper:
        size, voxel_mm = settings.size, settings.voxel_mm
        return (size, size, round(SLAB_MM / voxel_mm)), (voxel_mm,) * 3, _AXIAL
    if series == "bravo":
        return (256, 256, 160), (240 / 256, 240 / 256, 1.0), _AXIAL
    if hospital == "A":
        # of the 270-320 slices, those through the brain
        in_plane_mm = (240 if series == "flair" else 250) / 256
        return (256, 256, 176), (in_plane_mm, in_plane_mm, 1.0), _SAGITTAL
    return (256, 256, 208 if series == "flair" else 192), (230 / 256, 230 / 256, 0.9), _SAGITTAL
