"""Reads the probability of one label or region from a map of it, or from all classes as nnU-Net saves them."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.grids import on_grid_of
from dataset_conversion.files.images.headers import stored_geometry
from dataset_conversion.files.images.image_io import read_image

HIGHEST = 1 + 1e-3
"""Sums of probabilities are rounded, too, and so may lie this little above 1."""

_BROKEN = (
    *(OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, TokenError),
)
"""Errors raised for a damaged archive, which may also look encrypted or declare an array too large for memory."""

_AGAIN = "Predict this case again."


@dataclass(frozen=True)
class ReferenceGrid:
    """The grid of a reference, on which all else must lie. file: whose grid it is, for error messages.

    trust_geometry: what has its size lies on it, whatever the headers say.
    """

    image: sitk.Image
    file: Path
    trust_geometry: bool = False

    def take(self, image: sitk.Image, file: Path) -> sitk.Image:
        """The image with this geometry. Raises Fault where it lies on another grid."""
        return on_grid_of(self.image, image, files=(self.file, file), trust_geometry=self.trust_geometry)


def read_map(file: Path, grid: ReferenceGrid) -> NDArray[np.floating]:
    """``<case>_prob.nii.gz``, (Z, Y, X). Raises Fault where it cannot be used or lies on another grid."""
    return _from_0_to_1(sitk.GetArrayFromImage(grid.take(read_image(file), file)), file)


def read_npz(
    file: Path, label_map: Path, grid: ReferenceGrid, *, labels: Sequence[int], regions: Sequence[set[int]]
) -> NDArray[np.floating]:
    """``<case>.npz`` of nnU-Net, whose grid is that of the label map beside it; the probability of a label or region.

    regions: those that the model has, in the order of its channels; none where it has labels. Raises Fault where the
    file cannot be used, lies on another grid, or does not hold the label or region.
    """
    try:
        with zipfile.ZipFile(file) as archive, archive.open("probabilities.npy") as stream:
            probabilities = np.lib.format.read_array(stream, allow_pickle=False)
    except _BROKEN as error:
        raise Fault(f"not a probability file of nnU-Net ({error})", file=file, remedy=_AGAIN) from error
    header = stored_geometry(label_map)
    if probabilities.shape[1:] != (expected := header.GetSize()[::-1]):
        raise Fault(f"shape {probabilities.shape[1:]}, but {label_map} has {expected}", file=file, remedy=_AGAIN)
    channels = _channels(labels, regions)
    if not channels or max(channels) >= len(probabilities):
        named = ",".join(map(str, labels))
        raise Fault(f"no probability of {named}", file=file, remedy="Choose a label or region of the model.")
    of_target = probabilities[channels[0]] if len(channels) == 1 else probabilities[channels].sum(axis=0)
    values = _from_0_to_1(of_target, file)
    ours, theirs = ((i.GetSize(), i.GetSpacing(), i.GetOrigin(), i.GetDirection()) for i in (grid.image, header))
    return values if ours == theirs else _moved(values, label_map, grid)


def _channels(labels: Sequence[int], regions: Sequence[set[int]]) -> list[int]:
    """Those that hold the target: its labels' classes, or the one region that nnU-Net was trained on."""
    return [i for i, region in enumerate(regions) if region == set(labels)] if regions else list(labels)


def _from_0_to_1(values: NDArray[np.floating], file: Path) -> NDArray[np.floating]:
    if values.dtype.kind in "biu":
        values = values.astype(np.float32)
    if values.dtype not in (np.float16, np.float32, np.float64):
        raise Fault(f"its values have the type {values.dtype}", file=file, remedy=_AGAIN)
    if not (values.min() >= 0 and values.max() <= HIGHEST):
        problem = f"its values go from {values.min():g} to {values.max():g}"
        raise Fault(problem, file=file, remedy="Give probabilities between 0 and 1.")
    return values


def _moved(values: NDArray[np.floating], label_map: Path, grid: ReferenceGrid) -> NDArray[np.floating]:
    """Values that lie on the label map's grid, on the reference's. Raises Fault as ``on_grid_of`` does."""
    image = sitk.GetImageFromArray(values.astype(np.float32) if values.dtype == np.float16 else values)
    image.CopyInformation(read_image(label_map))
    return sitk.GetArrayFromImage(grid.take(image, label_map))
