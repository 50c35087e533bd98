"""Describes a case that can be predicted: what is known before it is read, and its images."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.dicom.results.source import Source
from dataset_conversion.files.images.grids import with_geometry_of
from dataset_conversion.files.images.storage_order import stored_like


@dataclass(frozen=True)
class CaseImages:
    """The images of a case that say something, by channel, all on one grid.

    results_like: results are stored as this image is. warnings: what was said of the images. preparation: what was done
    to them before, for the record; nothing where they were taken as they are. synthetic: whether the patient is known
    to be made up. source: the DICOM series that results lie on, where DICOM results are to refer to it. identity: as
    that of the case.
    """

    by_channel: Mapping[int, sitk.Image]
    results_like: sitk.Image
    warnings: tuple[str, ...] = ()
    preparation: Mapping[str, Any] = field(default_factory=dict)
    synthetic: bool = False
    source: Source | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)

    def as_result(self, voxels: NDArray) -> sitk.Image:
        """Voxels (Z, Y, X) on the grid of the images -> the image of a result."""
        result = sitk.GetImageFromArray(voxels)
        result.CopyInformation(next(iter(self.by_channel.values())))
        return with_geometry_of(self.results_like, stored_like(self.results_like, result))


@dataclass(frozen=True)
class Preview:
    """What is known of a case before it is read: the channels that have a file, and the voxels of the results."""

    channels: Collection[int]
    n_voxels: int


class CaseInput(Protocol):
    """A case that can be predicted."""

    @property
    def notes(self) -> Sequence[str]:
        """What to know of it before it is read."""

    def preview(self) -> Preview:
        """By names and headers, before a model is loaded. Raises Fault where the case cannot be used."""

    def read(self) -> CaseImages:
        """Raises Fault where no image says something, one cannot be read, or they do not come to lie on one grid."""

    def identity(self) -> dict[str, Any]:
        """What tells its inputs from others in a record, without reading a voxel."""

    def without(self, channels: Collection[int]) -> "CaseInput":
        """The case, as if these channels had not been acquired."""


@dataclass(frozen=True)
class CaseRead:
    """A case that was read before it was its turn: the images are handed over once, and no longer held then."""

    case: CaseInput
    held: list[CaseImages]

    @property
    def notes(self) -> Sequence[str]:
        return self.case.notes

    def preview(self) -> Preview:
        return self.case.preview()

    def read(self) -> CaseImages:
        return self.held.pop() if self.held else self.case.read()

    def identity(self) -> dict[str, Any]:
        return self.case.identity()

    def without(self, channels: Collection[int]) -> CaseInput:
        return self.case.without(channels)
