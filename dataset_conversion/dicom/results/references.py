"""Names source instances in DICOM results: the file of a plane and, where it holds several frames, the frame."""

from collections.abc import Iterable

from pydicom.dataset import Dataset

from dataset_conversion.dicom.headers.slices import DicomSlice


def of_plane(plane: DicomSlice) -> Dataset:
    reference = _of_file(plane)
    if plane.frame:
        reference.ReferencedFrameNumber = plane.frame
    return reference


def of_files(planes: Iterable[DicomSlice]) -> list[Dataset]:
    """Each file once, whole."""
    return [_of_file(plane) for plane in {plane.sop_uid: plane for plane in planes}.values()]


def _of_file(plane: DicomSlice) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = plane.sop_class, plane.sop_uid
    return reference
