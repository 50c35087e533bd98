"""Names the geometry of an image, and computes positions in mm."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class Grid:
    """The geometry of an image: LPS, mm; the axes are x, y, z, as in a header; direction is row-major."""

    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @classmethod
    def of(cls, image: "sitk.Image") -> "Grid":
        return cls(image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def voxel_mm3(self) -> float:
        return float(np.prod(self.spacing_mm))

    def points_mm(self, positions: NDArray) -> NDArray[np.float64]:
        """(points, 3) indices z, y, x -> (points, 3) x, y, z in mm."""
        return (positions[:, ::-1] * self.spacing_mm) @ np.reshape(self.direction, (3, 3)).T + self.origin_mm
