"""Makes a DICOM Segmentation with highdicom: a binary frame for every plane of a segment that is not empty."""

from collections.abc import Sequence
from copy import deepcopy

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import MRImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from dataset_conversion.dicom.headers.geometry import step_mm
from dataset_conversion.dicom.headers.slices import DicomSlice
from dataset_conversion.dicom.results import references
from dataset_conversion.dicom.results.identity import identity_of, undate
from dataset_conversion.dicom.results.segments import CATEGORY, Maker, Segment, colour
from dataset_conversion.dicom.results.source import Source

SERIES_NUMBER = 9001


def segmentation_of(
    voxels: NDArray[np.integer], segments: Sequence[Segment], source: Source, maker: Maker
) -> hd.seg.Segmentation:
    """voxels: (plane, row, column), on the source's planes. segments: one or more, none of them empty."""
    stand_ins = _stand_ins(source)
    result = hd.seg.Segmentation(
        source_images=stand_ins,
        pixel_array=_pixels(voxels, segments),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(i, segment, maker) for i, segment in enumerate(segments)],
        series_instance_uid=generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=maker.name,
        manufacturer_model_name=maker.model,
        software_versions=maker.version,
        device_serial_number=maker.fingerprint,
        content_label="AUTOMATIC",
        series_description=f"{maker.name}: segmentation",
    )
    by_uid = {image.SOPInstanceUID: plane for image, plane in zip(stand_ins, source.planes, strict=True)}
    if source.key:
        _refer_to_nothing(result)
    else:
        _refer(result, by_uid)
    return result


def _stand_ins(source: Source) -> list[Dataset]:
    """A header for each plane, whatever files the planes are in, with its place and the identity of the results.

    highdicom reads them in place of the source's own, in which a value may break the standard, and which may be several
    files of frames. Their UIDs are replaced by the source's afterwards.
    """
    common = identity_of(source)
    common.SOPClassUID, common.Modality = MRImageStorage, "MR"
    common.SliceThickness = _ds(step_mm(source.series))
    images = []
    for plane in source.planes:
        image = deepcopy(common)
        image.SOPInstanceUID = generate_uid()
        image.Columns, image.Rows = plane.size[:2]
        image.PixelSpacing = [_ds(mm) for mm in plane.spacing[1::-1]]
        image.ImagePositionPatient = [_ds(mm) for mm in plane.position]
        image.ImageOrientationPatient = [_ds(x) for x in (*plane.direction[0::3], *plane.direction[1::3])]
        images.append(image)
    return images


def _ds(number: float) -> str:
    return format_number_as_ds(float(number))


def _pixels(voxels: NDArray[np.integer], segments: Sequence[Segment]) -> NDArray:
    """(plane, row, column) numbers of segments; where they overlap (plane, row, column, segment), 0 or 1."""
    values = [value for segment in segments for value in segment.values]
    if len(values) > len({*values}):
        return np.stack([np.isin(voxels, segment.values) for segment in segments], axis=-1).astype(np.uint8)
    numbers = np.zeros(max(*values, int(voxels.max())) + 1, np.uint16)
    for i, segment in enumerate(segments, 1):
        numbers[list(segment.values)] = i
    return numbers[voxels]


def _description(i: int, segment: Segment, maker: Maker) -> hd.seg.SegmentDescription:
    algorithm = hd.AlgorithmIdentificationSequence(
        name=maker.name,
        family=codes.DCM.ArtificialIntelligence,
        version=maker.version,
        parameters={"model": maker.model, "run": maker.details},
    )
    return hd.seg.SegmentDescription(
        segment_number=i + 1,
        segment_label=segment.label,
        segmented_property_category=Code(*CATEGORY),
        segmented_property_type=Code(*segment.kind),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        display_color=hd.color.CIELabColor.from_rgb(*colour(i)),
    )


def _refer(result: Dataset, by_uid: dict[str, DicomSlice]) -> None:
    """Names the source's instances in place of the stand-ins."""
    files = references.of_files(by_uid.values())
    result.SourceImageSequence = files
    result.ReferencedSeriesSequence[0].ReferencedInstanceSequence = deepcopy(files)
    for groups in result.PerFrameFunctionalGroupsSequence:
        image = groups.DerivationImageSequence[0].SourceImageSequence[0]
        # several frames of one plane share one item
        if plane := by_uid.get(image.ReferencedSOPInstanceUID):
            image.update(references.of_plane(plane))


def _refer_to_nothing(result: Dataset) -> None:
    del result.SourceImageSequence, result.ReferencedSeriesSequence
    for groups in result.PerFrameFunctionalGroupsSequence:
        groups.DerivationImageSequence = []
    undate(result)
