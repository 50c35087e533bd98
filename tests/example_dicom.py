"""A series of DICOM files, for the tests of ``dicom``."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")

AXIAL = (1, 0, 0, 0, 1, 0)
numbers = count(1)


def write_series(
    folder: Path,
    description: str,
    *,
    patient: str = "HOSP-4711",
    number: int = 1,
    agent: str | None = None,
    inversion_time_ms: float | None = None,
    positions_mm: Sequence[float] | np.ndarray = (0, 1.5, 3, 4.5, 6),
    orientation: Sequence[float] = AXIAL,
    day: str = "20200304",
    uid: str | None = None,
) -> str:
    """Slices of 6 rows and 8 columns, (1, 0.5) mm, at ``positions_mm`` along their normal; returns the series' UID."""
    folder.mkdir(parents=True, exist_ok=True)
    uid = uid or pydicom.uid.generate_uid()
    study, frame = (pydicom.uid.generate_uid(entropy_srcs=[patient, day, kind]) for kind in ("study", "frame"))
    normal = np.cross(orientation[:3], orientation[3:])
    for k, position in enumerate(positions_mm):
        meta = pydicom.dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
        meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        one = pydicom.dataset.FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        one.PatientName, one.PatientID, one.PatientBirthDate = "Doe^Jane", patient, "19610203"
        one.InstitutionName, one.ReferringPhysicianName, one.ImageComments = "Charite", "Smith", "Doe, Jane"
        one.StudyDate, one.StudyTime, one.AcquisitionTime = day, "101112", "101112"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, uid, frame
        one.Modality, one.Manufacturer, one.MRAcquisitionType = "MR", "GE MEDICAL SYSTEMS", "3D"
        one.SeriesDescription, one.SeriesNumber, one.InstanceNumber = description, number, k + 1
        one.ContrastBolusAgent, one.InversionTime = agent, inversion_time_ms
        one.Rows, one.Columns, one.PixelSpacing, one.SliceThickness = 6, 8, [1.0, 0.5], 1.5
        one.ImageOrientationPatient = [round(float(x), 8) for x in orientation]
        one.ImagePositionPatient = [round(float(x), 6) for x in np.array([-10, -20, 30]) + position * normal]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation = 15, 1
        one.PixelData = (np.arange(48, dtype=np.int16) + 100 * k + 7 * number).tobytes()
        one.save_as(folder / f"IM{next(numbers):06d}", enforce_file_format=True)
    return uid
