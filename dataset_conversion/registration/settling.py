"""Gives a volume one storage order and rounds its position, so that a file's form does not change what is found.

A header holds single precision, and how it rounds depends on the order in which the axes are stored. A search of many
steps makes tenths of a millimetre of the tenth digit.
"""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from dataset_conversion.files.images.storage_order import stored_as, stored_like

ORDER = "LPS"
# not decimal: round numbers, of which headers are full, would lie where a rounding turns up or down
PLACE_MM = 0.0123457
ANGLE_RAD = 1.23457e-4
SPACING_MM = 1.23457e-5


def settled(image: sitk.Image, reference: sitk.Image | None = None) -> sitk.Image:
    """A copy of a volume, its axes as those of a settled reference, without one in ``ORDER``.

    Its centre, its angles and its spacings are multiples of fixed steps: of a head no voxel moves by 0.05 mm. Itself,
    where it is no volume.
    """
    if image.GetDimension() != 3:
        return image
    ordered = stored_as(ORDER, image) if reference is None else stored_like(reference, image)
    middle = (np.array(ordered.GetSize()) - 1) / 2
    centre = _rounded(ordered.TransformContinuousIndexToPhysicalPoint(middle.tolist()), PLACE_MM)
    spacing = np.maximum(_rounded(ordered.GetSpacing(), SPACING_MM), SPACING_MM)
    axes = np.reshape(ordered.GetDirection(), (3, 3))
    # -1 where the axes are those of a mirror, which no rotation makes
    side = np.sign(np.linalg.det(axes))
    turn = Rotation.from_matrix(side * axes).as_rotvec()
    direction = side * Rotation.from_rotvec(_rounded(turn, ANGLE_RAD)).as_matrix()
    copy = sitk.Image(ordered)
    copy.SetSpacing(spacing.tolist())
    copy.SetDirection(direction.ravel().tolist())
    copy.SetOrigin((centre - direction @ (spacing * middle)).tolist())
    return copy


def _rounded(values: Sequence[float], step: float) -> np.ndarray:
    return np.round(np.asarray(values) / step) * step
