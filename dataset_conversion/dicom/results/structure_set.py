"""Makes an RT Structure Set with pydicom: closed planar contours of every segment on the source's planes."""

from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from dataset_conversion.dicom.headers.slices import DicomSlice
from dataset_conversion.dicom.results import references
from dataset_conversion.dicom.results.contours import outlines
from dataset_conversion.dicom.results.identity import identity_of, undate
from dataset_conversion.dicom.results.segments import Maker, Segment, colour, cropped
from dataset_conversion.dicom.results.source import Source

SERIES_NUMBER = 9002
STUDY_COMPONENT = "1.2.840.10008.3.1.2.3.1"
"""The retired SOP class of the study that a structure set refers to; the standard still names it there."""


def structure_set_of(
    voxels: NDArray[np.integer], segments: Sequence[Segment], source: Source, maker: Maker
) -> FileDataset:
    """voxels: (plane, row, column), on the source's planes. segments: none of them empty."""
    identity = identity_of(source)
    result = _begun(identity, maker)
    result.ReferencedFrameOfReferenceSequence = [_frame_of_reference(identity, source)]
    result.StructureSetROISequence = [
        _roi(i, segment, identity.FrameOfReferenceUID, maker) for i, segment in enumerate(segments)
    ]
    result.ROIContourSequence = [
        _contours(i, first, mask, source) for i, (first, mask) in enumerate(cropped(voxels, segments))
    ]
    result.RTROIObservationsSequence = [_observation(i, segment) for i, segment in enumerate(segments)]
    result.ApprovalStatus = "UNAPPROVED"
    if source.key:
        undate(result)
    return result


def _begun(identity: Dataset, maker: Maker) -> FileDataset:
    """Patient, study, series, equipment, and the structure set's own name and time."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = RTStructureSetStorage, generate_uid()
    # an explicit one has no room for contours of more than 64 KiB
    meta.TransferSyntaxUID = ImplicitVRLittleEndian
    result = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    result.update(deepcopy(identity))  # its elements would be changed with the result's
    result.SOPClassUID, result.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    result.Modality, result.SeriesInstanceUID, result.SeriesNumber = "RTSTRUCT", generate_uid(), SERIES_NUMBER
    result.SeriesDescription, result.OperatorsName = f"{maker.name}: contours", ""
    result.Manufacturer, result.ManufacturerModelName = maker.name, maker.model
    result.SoftwareVersions, result.DeviceSerialNumber = maker.version, maker.fingerprint
    now = datetime.now()
    result.InstanceCreationDate = result.StructureSetDate = result.SeriesDate = now.strftime("%Y%m%d")
    result.InstanceCreationTime = result.StructureSetTime = result.SeriesTime = now.strftime("%H%M%S")
    result.StructureSetLabel, result.InstanceNumber = "AUTOMATIC", 1
    return result


def _frame_of_reference(identity: Dataset, source: Source) -> Dataset:
    frame = Dataset()
    frame.FrameOfReferenceUID = identity.FrameOfReferenceUID
    if not source.key:
        series, study = Dataset(), Dataset()
        series.SeriesInstanceUID = identity.SeriesInstanceUID
        series.ContourImageSequence = references.of_files(source.planes)
        study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = STUDY_COMPONENT, identity.StudyInstanceUID
        study.RTReferencedSeriesSequence = [series]
        frame.RTReferencedStudySequence = [study]
    return frame


def _roi(i: int, segment: Segment, frame_of_reference: str, maker: Maker) -> Dataset:
    roi = Dataset()
    roi.ROINumber, roi.ROIName = i + 1, segment.label
    roi.ReferencedFrameOfReferenceUID = frame_of_reference
    roi.ROIGenerationAlgorithm = "AUTOMATIC"
    roi.ROIGenerationDescription = f"{maker.name} {maker.version}"[:64]
    return roi


def _contours(i: int, first: NDArray[np.int64], mask: NDArray[np.bool_], source: Source) -> Dataset:
    """mask: of the segment, from the voxel ``first`` on."""
    roi = Dataset()
    roi.ReferencedROINumber, roi.ROIDisplayColor = i + 1, list(colour(i))
    planes = source.planes[first[0] : first[0] + len(mask)]
    roi.ContourSequence = [
        _contour(polygon + first[1:], plane, refer=not source.key)
        for of_plane, plane in zip(mask, planes, strict=True)
        for polygon in outlines(of_plane)
    ]
    for number, contour in enumerate(roi.ContourSequence, 1):
        contour.ContourNumber = number
    return roi


def _contour(polygon: NDArray[np.float64], plane: DicomSlice, *, refer: bool) -> Dataset:
    """polygon: (points, 2) row and column."""
    along_rows_first = np.reshape(plane.direction, (3, 3))[:, :2]
    points = polygon[:, ::-1] * plane.spacing[:2] @ along_rows_first.T + plane.position
    contour = Dataset()
    if refer:
        contour.ContourImageSequence = [references.of_plane(plane)]
    contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
    # as one text, which pydicom would turn into thousands of objects and back
    written = "\\".join(f"{mm:.4f}" for mm in points.ravel())
    contour.add(DataElement("ContourData", "DS", written, already_converted=True))
    return contour


def _observation(i: int, segment: Segment) -> Dataset:
    """Without an interpreted type: that an outline is a target volume is for a physician to say."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = segment.kind
    observation = Dataset()
    observation.ObservationNumber = observation.ReferencedROINumber = i + 1
    observation.RTROIIdentificationCodeSequence = [code]
    observation.RTROIInterpretedType = observation.ROIInterpreter = ""
    return observation
