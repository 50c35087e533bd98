"""Writes a DICOM result into a file; what the libraries say of values of a header is not repeated."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.dicom.headers.header_file import without_quotations
from dataset_conversion.dicom.results.segmentation import segmentation_of
from dataset_conversion.dicom.results.segments import Maker, Segment
from dataset_conversion.dicom.results.source import Source
from dataset_conversion.dicom.results.structure_set import structure_set_of
from dataset_conversion.faults import Fault

OBJECTS = {"segmentation": segmentation_of, "structure set": structure_set_of}


def write_result(
    file: Path, kind: str, voxels: NDArray[np.integer], segments: Sequence[Segment], source: Source, maker: Maker
) -> None:
    """kind: of ``OBJECTS``. The rest as these take it. Raises Fault where the header does not allow to make one."""
    source.require_identified()
    with without_quotations():
        try:
            OBJECTS[kind](voxels, segments, source, maker).save_as(file, enforce_file_format=True)
        except OSError:
            raise
        except Exception as error:
            problem = f"no DICOM {kind} can be made on {source.series} ({type(error).__name__})"
            raise Fault(problem, remedy="Predict without --dicom-seg and --rtstruct.") from None
