"""Reads DICOM results by the standard's text, without highdicom, and puts what they hold onto the grid of an image."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from matplotlib.path import Path as Polygon

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom", reason="highdicom is not installed: there are no DICOM results to read")

DCIODVFY = shutil.which("dciodvfy")


@dataclass(frozen=True)
class SourcePlane:
    """A slice of the source, as its own header says. axes: row cosines and column cosines. spacing: between columns,
    between rows."""

    uid: str
    frame: int
    position: np.ndarray
    axes: np.ndarray
    spacing: np.ndarray
    size: tuple[int, int]

    def centres_mm(self) -> np.ndarray:
        """(rows, columns, 3)."""
        columns, rows = self.size
        r, c = np.mgrid[:rows, :columns]
        return self.position + (np.stack([c, r], axis=-1) * self.spacing) @ self.axes


def source_planes(folder: Path) -> list[SourcePlane]:
    """Of every classic or enhanced file below a folder."""
    found = []
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        one = pydicom.dcmread(file, stop_before_pixels=True)
        frames = one.get("PerFrameFunctionalGroupsSequence")
        for number, frame in enumerate(frames or [one], 1 if frames else 0):
            found.append(
                SourcePlane(
                    str(one.get("SOPInstanceUID", "")),
                    number,
                    np.array(_value(one, frame, "PlanePositionSequence", "ImagePositionPatient"), float),
                    np.reshape(_value(one, frame, "PlaneOrientationSequence", "ImageOrientationPatient"), (2, 3)) * 1.0,
                    np.array(_value(one, frame, "PixelMeasuresSequence", "PixelSpacing"), float)[::-1],
                    (one.Columns, one.Rows),
                )
            )
    return found


def segmentation_masks(file: Path, like: sitk.Image) -> dict[str, np.ndarray]:
    """Label of each segment -> its mask on the grid of an image (PS3.3, A.51 and C.8.20)."""
    one = pydicom.dcmread(file)
    assert (one.Modality, one.SegmentationType, one.BitsAllocated) == ("SEG", "BINARY", 1)
    labels = {item.SegmentNumber: item.SegmentLabel for item in one.SegmentSequence}
    bits = np.unpackbits(np.frombuffer(one.PixelData, np.uint8), bitorder="little")
    n = one.Rows * one.Columns
    masks = {label: np.zeros(sitk.GetArrayViewFromImage(like).shape, bool) for label in labels.values()}
    for k, frame in enumerate(one.PerFrameFunctionalGroupsSequence):
        plane = SourcePlane(
            "",
            0,
            np.array(_value(one, frame, "PlanePositionSequence", "ImagePositionPatient"), float),
            np.reshape(_value(one, frame, "PlaneOrientationSequence", "ImageOrientationPatient"), (2, 3)) * 1.0,
            np.array(_value(one, frame, "PixelMeasuresSequence", "PixelSpacing"), float)[::-1],
            (one.Columns, one.Rows),
        )
        number = _value(one, frame, "SegmentIdentificationSequence", "ReferencedSegmentNumber")
        pixels = bits[k * n : (k + 1) * n].reshape(one.Rows, one.Columns).astype(bool)
        _put(masks[labels[number]], like, plane.centres_mm()[pixels])
    return masks


def referenced_planes(file: Path) -> Iterator[tuple[np.ndarray, str, int]]:
    """Of each frame of a segmentation: its position, and the instance and frame that it names as its source."""
    one = pydicom.dcmread(file)
    for frame in one.PerFrameFunctionalGroupsSequence:
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        position = np.array(_value(one, frame, "PlanePositionSequence", "ImagePositionPatient"), float)
        yield position, str(image.ReferencedSOPInstanceUID), int(image.get("ReferencedFrameNumber", 0))


def structure_masks(file: Path, planes: list[SourcePlane], like: sitk.Image) -> dict[str, np.ndarray]:
    """Name of each ROI -> the voxels whose centres lie in an odd number of its contours on the slice that each names.

    Where a contour names none: on the slice in whose plane it lies.
    """
    one = pydicom.dcmread(file)
    names = {item.ROINumber: item.ROIName for item in one.StructureSetROISequence}
    by_name = {(plane.uid, plane.frame): plane for plane in planes}
    masks = {}
    for roi in one.ROIContourSequence:
        mask = masks[names[roi.ReferencedROINumber]] = np.zeros(sitk.GetArrayViewFromImage(like).shape, bool)
        inside: dict[int, np.ndarray] = {}
        for contour in roi.ContourSequence:
            assert contour.ContourGeometricType == "CLOSED_PLANAR"
            points = np.reshape(contour.ContourData, (-1, 3)).astype(float)
            assert len(points) == contour.NumberOfContourPoints
            if "ContourImageSequence" in contour:
                image = contour.ContourImageSequence[0]
                plane = by_name[image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber", 0)]
            else:
                plane = min(planes, key=lambda one: float(np.abs(_above(one, points)).max()))
            assert np.abs(_above(plane, points)).max() < 1e-3
            k = next(k for k, one in enumerate(planes) if one is plane)
            inside[k] = inside.get(k, np.zeros(plane.size[::-1], bool)) ^ _filled(plane, points)
        for k, filled in inside.items():
            _put(mask, like, planes[k].centres_mm()[filled])
    return masks


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def errors_of(file: Path) -> list[str]:
    """What dicom3tools' validator finds wrong."""
    assert DCIODVFY is not None
    said = run([DCIODVFY, "-new", file], capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    assert any(name in lines for name in ("Segmentation", "RTStructureSet"))
    return [line for line in lines if line.startswith("Error")]


def _above(plane: SourcePlane, points: np.ndarray) -> np.ndarray:
    return (points - plane.position) @ np.cross(*plane.axes)


def _filled(plane: SourcePlane, points: np.ndarray) -> np.ndarray:
    """Which centres of the slice's pixels lie in the polygon."""
    polygon, centres = ((mm - plane.position) @ plane.axes.T for mm in (points, plane.centres_mm().reshape(-1, 3)))
    closed = Polygon(np.concatenate([polygon, polygon[:1]]), closed=True)
    near = ((centres >= polygon.min(axis=0)) & (centres <= polygon.max(axis=0))).all(axis=1)
    inside = np.zeros(len(centres), bool)
    inside[near] = closed.contains_points(centres[near])
    return inside.reshape(plane.size[::-1])


def _put(mask: np.ndarray, like: sitk.Image, points: np.ndarray) -> None:
    """Marks the voxels at whose centres the points (n, 3) lie. Fails where one is at no centre, or two at one."""
    axes = np.reshape(like.GetDirection(), (3, 3)) * like.GetSpacing()
    places = np.linalg.solve(axes, (points - like.GetOrigin()).T)[::-1]
    index = np.rint(places).astype(int)
    assert np.abs(index - places).max(initial=0) < 1e-2
    assert not mask[tuple(index)].any()
    mask[tuple(index)] = True


def _value(one: Any, frame: Any, sequence: str, keyword: str) -> Any:
    """Of the frame's own groups, of those that all share, or of a file without groups."""
    for groups in (frame, *one.get("SharedFunctionalGroupsSequence", ())):
        if sequence in groups:
            return groups[sequence].value[0][keyword].value
    return one[keyword].value
