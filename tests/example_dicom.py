"""Writes small DICOM series: classic or enhanced, in any orientation, compressed or not, and what lies beside them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import SimpleITK as sitk

pydicom = pytest.importorskip("pydicom")
uids = pydicom.uid
Dataset = pydicom.dataset.Dataset
generate_uid = uids.generate_uid

AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
OBLIQUE = (np.cos(0.3), np.sin(0.3), 0, -np.sin(0.3) * np.cos(0.2), np.cos(0.3) * np.cos(0.2), np.sin(0.2))
ORIENTATIONS = {"axial": AXIAL, "sagittal": SAGITTAL, "oblique": OBLIQUE}
ENCODERS: Mapping[str, Callable[[np.ndarray], bytes | bytearray]] = {
    uids.JPEG2000Lossless: lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k"),
    uids.JPEGLSLossless: lambda pixels: imagecodecs.jpegls_encode(pixels),
    uids.JPEGLosslessSV1: lambda pixels: imagecodecs.ljpeg_encode(pixels),
    uids.RLELossless: lambda pixels: _rle(pixels),
}
HTJ2K = uids.UID("1.2.840.10008.1.2.4.201")
_numbers = count(1)


@dataclass(frozen=True)
class Stack:
    """A series to be written. The voxel of slice k, row r, column c is 100 k + 8 r + c + ``first_voxel``.

    tags: of every file, by keyword; None takes one away, bytes are written as they are. tags_of: of the k-th slice (of
    a frame: its own groups).
    positions_mm: along the normal, from ``origin``.
    """

    description: str | None = "AX FLAIR"
    number: int = 1
    patient: str = "HOSP-4711"
    positions_mm: Sequence[float] = (0, 1.5, 3, 4.5, 6)
    orientation: Sequence[float] = AXIAL
    origin: Sequence[float] = (-10, -20, 30)
    tags: Mapping[str, Any] = field(default_factory=dict)
    tags_of: Callable[[int], Mapping[str, Any]] = lambda _: {}
    uid: str = ""
    sop_class: str = uids.MRImageStorage
    transfer_syntax: str = uids.ExplicitVRLittleEndian
    day: str = "20200304"
    first_voxel: int = 0
    signed: bool = False

    def pixels(self) -> np.ndarray:
        """Slice, row, column: 6 rows of 8 columns."""
        k, r, c = np.mgrid[: len(self.positions_mm), :6, :8]
        return (100 * k + 8 * r + c + self.first_voxel).astype(np.int16 if self.signed else np.uint16)

    def position(self, k: int) -> list[float]:
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return [round(float(x), 6) for x in np.array(self.origin) + self.positions_mm[k] * normal]


def write_classic(folder: Path, stack: Stack) -> list[Path]:
    """One file for each slice, 1 mm between rows and 0.5 mm between columns."""
    uid = stack.uid or generate_uid()
    files = []
    for k, pixels in enumerate(stack.pixels()):
        one = _begun(stack, uid)
        one.InstanceNumber, one.PixelSpacing, one.SliceThickness = k + 1, [1.0, 0.5], 1.5
        one.ImageOrientationPatient = [round(float(x), 8) for x in stack.orientation]
        one.ImagePositionPatient = stack.position(k)
        _tag(one, {**stack.tags, **stack.tags_of(k)})
        files.append(_saved(one, pixels[None], folder, stack))
    return files


def write_series(
    folder: Path,
    description: str,
    *,
    agent: str | None = None,
    inversion_time_ms: float | None = None,
    uid: str | None = None,
    **changes: Any,
) -> str:
    """A classic series as ``Stack`` describes it, its first voxel 7 times its number; returns the series' UID."""
    uid = uid or generate_uid()
    tags = {"ContrastBolusAgent": agent, "InversionTime": inversion_time_ms}
    stack = Stack(description, uid=uid, first_voxel=7 * changes.get("number", 1), signed=True, **changes)
    write_classic(folder, replace(stack, tags={name: tag for name, tag in tags.items() if tag is not None}))
    return uid


def write_enhanced(folder: Path, stack: Stack) -> Path:
    """All slices in one file. ``tags_of`` a slice go into the frame's own groups, by ``Sequence.Keyword``."""
    one = _begun(stack, stack.uid or generate_uid())
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = uids.EnhancedMRImageStorage
    one.NumberOfFrames, one.InstanceNumber = len(stack.positions_mm), 1
    orientation = [round(float(x), 8) for x in stack.orientation]
    shared = {
        "PlaneOrientationSequence.ImageOrientationPatient": orientation,
        "PixelMeasuresSequence.PixelSpacing": [1.0, 0.5],
        "PixelMeasuresSequence.SliceThickness": 1.5,
        "PixelMeasuresSequence.SpacingBetweenSlices": 1.5,
    }
    frames = [
        {
            "PlanePositionSequence.ImagePositionPatient": stack.position(k),
            "FrameContentSequence.StackID": "1",
            "FrameContentSequence.InStackPositionNumber": k + 1,
            "FrameContentSequence.DimensionIndexValues": [1, k + 1],
            **stack.tags_of(k),
        }
        for k in range(len(stack.positions_mm))
    ]
    one.SharedFunctionalGroupsSequence = [_groups(shared)]
    one.PerFrameFunctionalGroupsSequence = [_groups(frame) for frame in frames]
    _tag(one, stack.tags)
    return _saved(one, stack.pixels(), folder, stack)


def write_document(folder: Path, sop_class: str, *, modality: str, tags: Mapping[str, Any] = {}) -> Path:
    """An object without pixels: a report, a PDF."""
    stack = Stack(number=90, sop_class=sop_class, tags={"Modality": modality, **tags})
    one = _begun(stack, generate_uid())
    _tag(one, stack.tags)
    return _saved(one, None, folder, stack)


def without_preamble(file: Path) -> None:
    """Takes the 132 bytes away that a DICOM file begins with."""
    file.write_bytes(file.read_bytes()[132:])


def _begun(stack: Stack, uid: str) -> Any:
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = stack.sop_class, generate_uid()
    meta.TransferSyntaxUID = stack.transfer_syntax
    one = pydicom.dataset.FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    one.PatientName, one.PatientID, one.PatientBirthDate = "Doe^Jane", stack.patient, "19610203"
    one.InstitutionName, one.ReferringPhysicianName, one.ImageComments = "Charite", "Smith", "Doe, Jane"
    one.StudyDate, one.StudyTime, one.AcquisitionTime, one.ContentTime = stack.day, "101112", "101112", "101112"
    study, frame = (generate_uid(entropy_srcs=[stack.patient, stack.day, kind]) for kind in ("study", "frame"))
    one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, uid, frame
    one.Modality, one.Manufacturer, one.MRAcquisitionType = "MR", "GE MEDICAL SYSTEMS", "3D"
    one.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    one.SeriesNumber = stack.number
    if stack.description is not None:
        one.SeriesDescription = stack.description
    return one


def _tag(one: Any, tags: Mapping[str, Any]) -> None:
    for keyword, value in tags.items():
        if value is None:
            delattr(one, keyword)
        elif isinstance(value, bytes):  # as no program should write it
            tag = pydicom.tag.Tag(keyword)
            kind = pydicom.datadict.dictionary_VR(tag)
            one[tag] = pydicom.dataelem.RawDataElement(tag, kind, len(value), value, 0, False, True)
        else:
            setattr(one, keyword, value)


def _groups(values: Mapping[str, Any]) -> Any:
    groups = Dataset()
    for name, value in values.items():
        sequence, keyword = name.split(".")
        if sequence not in groups:
            setattr(groups, sequence, [Dataset()])
        setattr(groups[sequence].value[0], keyword, value)
    return groups


def _saved(one: Any, pixels: np.ndarray | None, folder: Path, stack: Stack) -> Path:
    """The file, whose name says nothing of its place. pixels: frame, row, column."""
    folder.mkdir(parents=True, exist_ok=True)
    if pixels is not None:
        one.Rows, one.Columns = pixels.shape[1:]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation = 15, int(stack.signed)
        one.PixelData = pixels.tobytes()
        if uids.UID(stack.transfer_syntax).is_compressed:
            encode = ENCODERS.get(stack.transfer_syntax, ENCODERS[uids.JPEG2000Lossless])
            one.PixelData = pydicom.encaps.encapsulate([encode(frame) for frame in pixels])
            one["PixelData"].VR = "OB"
    file = folder / f"IM{next(_numbers):06d}"
    one.save_as(file, enforce_file_format=True)
    return file


def _rle(pixels: np.ndarray) -> bytes:
    """One frame as RLE Lossless: a header of 16 numbers, then the high and the low bytes (DICOM PS3.5, annex G)."""
    high, low = (_packed(row) for row in ((pixels >> 8).astype(np.uint8), (pixels & 255).astype(np.uint8)))
    header = np.zeros(16, "<u4")
    header[:3] = 2, 64, 64 + len(high)
    return header.tobytes() + high + low


def _packed(plane: np.ndarray) -> bytes:
    """Literal runs of one row each."""
    packed = b"".join(bytes([len(row) - 1]) + row.tobytes() for row in plane)
    return packed + b"\0" * (len(packed) % 2)


@dataclass(frozen=True)
class Scanned(Stack):
    """A series of given voxels: slice, row, column."""

    voxels: np.ndarray = field(default_factory=lambda: np.zeros((1, 1, 1), np.uint16))

    def pixels(self) -> np.ndarray:
        return self.voxels


def write_image(folder: Path, image: sitk.Image, description: str, *, number: int) -> None:
    """An image whose axes are the patient's as a classic series, each slice a file."""
    x, y, z = image.GetSpacing()
    voxels = sitk.GetArrayFromImage(image).clip(0).astype(np.uint16)
    positions = [k * z for k in range(len(voxels))]
    tags = {"PixelSpacing": [y, x], "SliceThickness": z}
    where: Mapping[str, Any] = {"positions_mm": positions, "origin": image.GetOrigin(), "tags": tags}
    write_classic(folder, Scanned(description, number=number, uid=generate_uid(), voxels=voxels, **where))
