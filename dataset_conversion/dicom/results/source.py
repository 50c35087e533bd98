"""Describes the DICOM series that results lie on: its planes in order, and a label map voxel by voxel on them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.dicom.headers.geometry import grid_of, position_mm
from dataset_conversion.dicom.headers.slices import DicomSeries, DicomSlice
from dataset_conversion.faults import Fault
from dataset_conversion.files.images.grids import require_same_grid
from dataset_conversion.files.images.storage_order import stored_like


@dataclass(frozen=True)
class Source:
    """A whole series, and under which name results speak of its patient.

    pseudonym, key: what takes the place of the patient's identity; then results name no instance of the series, and
    their UIDs are those of the source hashed with the key. Empty: results carry the patient's own identity.
    """

    series: DicomSeries
    pseudonym: str = ""
    key: bytes = b""

    @property
    def planes(self) -> list[DicomSlice]:
        """The slices along their normal, as those of ``on_planes``."""
        return sorted(self.series.slices, key=position_mm)

    def on_planes(self, labels: sitk.Image) -> NDArray[np.integer]:
        """(plane, row, column): a label map of the series' grid, in whatever order its axes are stored.

        Raises Fault where it lies elsewhere.
        """
        grid = grid_of(self.series)
        labels = stored_like(grid, labels)
        require_same_grid(grid, labels, files=(Path("DICOM"), Path("the label map")))
        return sitk.GetArrayFromImage(labels)

    def require_identified(self) -> None:
        """Raises Fault where results could not say which images they belong to."""
        if self.key:
            return
        uids = {
            "StudyInstanceUID": self.series.study_uid,
            "FrameOfReferenceUID": self.series.frame_of_reference,
            "SOPInstanceUID": all(one.sop_uid and one.sop_class for one in self.series.slices),
        }
        if missing := [name for name, there in uids.items() if not there]:
            problem = f"{self.series} has no {' and no '.join(missing)}: no DICOM result can refer to it"
            raise Fault(problem, remedy="Predict without --dicom-seg and --rtstruct, or with --key.")
