"""Label maps as DICOM Segmentation and RT Structure Set lie on the voxels of the source, and say whose they are."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dicom_oracle as oracle
import numpy as np
import pytest
import SimpleITK as sitk
from example_dicom import OBLIQUE, ORIENTATIONS, SAGITTAL, Stack, pydicom, write_classic, write_enhanced

from dataset_conversion.dicom.headers.header_file import without_quotations
from dataset_conversion.dicom.results.files import write_result
from dataset_conversion.dicom.results.segments import Maker, Segment, occupied
from dataset_conversion.dicom.results.source import Source
from dataset_conversion.dicom.series import find_series
from dataset_conversion.dicom.volume import find_dcm2niix, volume_of
from dataset_conversion.faults import Fault

WRITERS = {"classic": write_classic, "enhanced": write_enhanced}
MAKER = Maker("0.1.0", "Dataset001_Mets/SeqDropoutPlusTrainer__nnUNetPlans__2d", "0123456789abcdef", "fold 0 01234567")
KEY = b"a key for tests, long enough"
LESIONS = (Segment("lesion 1", (1,)), Segment("lesion 2", (2,)))
IDENTIFYING = (b"Doe", b"Jane", b"HOSP-4711", b"19610203", b"Charit", b"20200304", b"101112", b"Smith")


@dataclass(frozen=True)
class Written:
    """The results of two lesions, full of holes, on a series; labels: the label map on the grid of dcm2niix."""

    folder: Path
    source: Source
    labels: sitk.Image
    segments: Sequence[Segment]

    @property
    def files(self) -> tuple[Path, Path]:
        return self.folder / "seg.dcm", self.folder / "rtstruct.dcm"

    def masks(self) -> dict[str, np.ndarray]:
        voxels = sitk.GetArrayFromImage(self.labels)
        return {segment.label: np.isin(voxels, segment.values) for segment in self.segments}


@pytest.fixture
def write(tmp_path):
    """``write()`` the results on the one series below ``in``."""

    def call(
        key: bytes = b"", segments: Sequence[Segment] = LESIONS, order: str = "LPS", labels: sitk.Image | None = None
    ) -> Written:
        (series,) = find_series(tmp_path / "in")
        source = Source(series, "P_0123456789" if key else "", key)
        if labels is None:
            grid = volume_of(series, find_dcm2niix())
            values = np.random.default_rng(0).choice(3, size=grid.GetSize()[::-1], p=(0.4, 0.4, 0.2))
            labels = sitk.GetImageFromArray(values.astype(np.uint8))
            labels.CopyInformation(grid)
        labels = sitk.DICOMOrient(labels, order)
        written = Written(tmp_path, source, labels, segments)
        voxels = source.on_planes(labels)
        for file, kind in zip(written.files, ("segmentation", "structure set"), strict=True):
            write_result(file, kind, voxels, segments, source, MAKER)
        return written

    return call


def require_exact(written: Written) -> None:
    """Fails unless both results hold each segment's voxels and no others, by readers that know nothing of ours."""
    planes = oracle.source_planes(written.folder / "in")
    seg, rtstruct = written.files
    for found in (
        oracle.segmentation_masks(seg, written.labels),
        oracle.structure_masks(rtstruct, planes, written.labels),
    ):
        assert found.keys() == written.masks().keys()
        for label, mask in written.masks().items():
            assert oracle.dice(found[label], mask) == 1


def require_valid(written: Written) -> None:
    if oracle.DCIODVFY is not None:
        assert [oracle.errors_of(file) for file in written.files] == [[], []]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("positions_mm", [(0, 1.5, 3, 4.5, 6), (6, 4.5, 3, 1.5, 0)], ids=["rising", "falling"])
@pytest.mark.parametrize("key", [b"", KEY], ids=["", "key"])
def test_every_voxel_lies_where_the_source_has_it(tmp_path, write, kind, orientation, positions_mm, key):
    WRITERS[kind](tmp_path / "in", Stack(orientation=ORIENTATIONS[orientation], positions_mm=positions_mm))
    written = write(key)
    require_exact(written)
    require_valid(written)


@pytest.mark.parametrize("order", ["PIR", "RAS", "ASL"])
def test_so_it_does_in_whatever_order_the_label_map_is_stored(tmp_path, write, order):
    write_classic(tmp_path / "in", Stack(orientation=OBLIQUE))
    require_exact(write(order=order))


@pytest.mark.parametrize("kind", WRITERS)
def test_each_frame_names_the_slice_of_the_source_that_lies_there(tmp_path, write, kind):
    WRITERS[kind](tmp_path / "in", Stack(orientation=SAGITTAL, positions_mm=(6, 4.5, 3, 1.5, 0)))
    written = write()
    of_source = {(one.uid, one.frame): one.position for one in oracle.source_planes(tmp_path / "in")}
    named = [*oracle.referenced_planes(written.files[0])]
    assert {(uid, frame) for _, uid, frame in named} == of_source.keys()
    for position, uid, frame in named:
        np.testing.assert_allclose(position, of_source[uid, frame], atol=1e-4)
    seg, rtstruct = (pydicom.dcmread(file) for file in written.files)
    series = seg.ReferencedSeriesSequence[0]
    (study,) = rtstruct.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence
    uids = {uid for uid, _ in of_source}
    assert {one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence} == uids
    contour_images = study.RTReferencedSeriesSequence[0].ContourImageSequence
    assert {one.ReferencedSOPInstanceUID for one in contour_images} == uids
    (source,) = find_series(tmp_path / "in")
    assert series.SeriesInstanceUID == study.RTReferencedSeriesSequence[0].SeriesInstanceUID == source.uid
    assert seg.FrameOfReferenceUID == source.frame_of_reference
    assert rtstruct.StructureSetROISequence[0].ReferencedFrameOfReferenceUID == source.frame_of_reference


def test_a_series_of_several_files_of_frames(tmp_path, write):
    for position_mm in (0, 1.5, 3, 4.5, 6):
        write_enhanced(tmp_path / "in", Stack(uid="1.2.3", positions_mm=(position_mm,)))
    written = write()
    require_exact(written)
    require_valid(written)
    assert len({uid for _, uid, frame in oracle.referenced_planes(written.files[0]) if frame == 1}) == 5


def test_regions_may_overlap(tmp_path, write):
    write_classic(tmp_path / "in", Stack(orientation=OBLIQUE))
    written = write(segments=[Segment("whole tumour", (1, 2)), Segment("necrosis", (2,))])
    require_exact(written)
    require_valid(written)
    codes = [
        item.SegmentedPropertyTypeCodeSequence[0].CodeValue
        for item in pydicom.dcmread(written.files[0]).SegmentSequence
    ]
    assert codes == ["108369006", "6574001"]


def test_what_they_say_of_their_content_and_their_maker(tmp_path, write):
    write_classic(tmp_path / "in", Stack())
    seg, rtstruct = (pydicom.dcmread(file) for file in write().files)
    for number, item in enumerate(seg.SegmentSequence, 1):
        (category,), (kind,) = item.SegmentedPropertyCategoryCodeSequence, item.SegmentedPropertyTypeCodeSequence
        assert (category.CodeValue, category.CodingSchemeDesignator) == ("49755003", "SCT")
        assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("14799000", "SCT")
        assert (item.SegmentNumber, item.SegmentLabel) == (number, f"lesion {number}")
        assert (item.SegmentAlgorithmType, item.SegmentAlgorithmName) == ("AUTOMATIC", "nnunet_seqdropout")
        (algorithm,) = item.SegmentationAlgorithmIdentificationSequence
        assert algorithm.AlgorithmVersion == "0.1.0"
        assert MAKER.model in algorithm.AlgorithmParameters
        assert MAKER.details in algorithm.AlgorithmParameters
    rois = zip(
        rtstruct.StructureSetROISequence, rtstruct.ROIContourSequence, rtstruct.RTROIObservationsSequence, strict=True
    )
    for number, (roi, contours, observation) in enumerate(rois, 1):
        assert (roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm) == (number, f"lesion {number}", "AUTOMATIC")
        assert contours.ReferencedROINumber == observation.ReferencedROINumber == number
        assert len(contours.ROIDisplayColor) == 3
        assert observation.RTROIIdentificationCodeSequence[0].CodeValue == "14799000"
        assert observation.RTROIInterpretedType == ""
    assert rtstruct.ROIContourSequence[0].ROIDisplayColor != rtstruct.ROIContourSequence[1].ROIDisplayColor
    for one in (seg, rtstruct):
        assert (one.Manufacturer, one.ManufacturerModelName) == ("nnunet_seqdropout", MAKER.model)
        assert (one.PatientName, one.PatientID, one.PatientBirthDate) == ("Doe^Jane", "HOSP-4711", "19610203")
        assert (one.StudyDate, one.StudyTime) == ("20200304", "101112")
        assert "InstitutionName" not in one
    assert (
        seg.StudyInstanceUID
        == rtstruct.StudyInstanceUID
        == pydicom.dcmread(next((tmp_path / "in").iterdir())).StudyInstanceUID
    )


def uids_in(folder: Path) -> set[bytes]:
    """All UIDs of instances, series, studies and frames of reference."""
    names = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
    return {
        str(one[name].value).encode()
        for one in (pydicom.dcmread(file, stop_before_pixels=True) for file in folder.iterdir())
        for name in names
    }


@pytest.mark.parametrize("kind", WRITERS)
def test_under_a_pseudonym_nothing_leads_back_to_the_patient(tmp_path, write, kind):
    WRITERS[kind](tmp_path / "in", Stack(tags={"StudyID": "Doe", "AccessionNumber": "Doe", "StudyDescription": "Doe"}))
    written = write(KEY)
    today = date.today().strftime("%Y%m%d").encode()
    for file in written.files:
        content = file.read_bytes()
        for word in (*IDENTIFYING, *uids_in(tmp_path / "in"), today):
            assert word not in content
        one = pydicom.dcmread(file)
        assert one.PatientID == one.PatientName == "P_0123456789"
        assert one.PatientIdentityRemoved == "YES"
        assert not {"ReferencedSOPInstanceUID", "ReferencedSeriesSequence"} & {item.keyword for item in one.iterall()}
        dates = {item.keyword: item.value for item in one.iterall() if item.VR in ("DA", "DT") and item.value}
        assert dates in ({"ContentDate": "19000101"}, {})


def test_under_one_key_all_results_of_a_study_lie_in_one_frame_of_reference(tmp_path, write):
    write_classic(tmp_path / "in", Stack())
    names = ("StudyInstanceUID", "FrameOfReferenceUID")
    seg, rtstruct = (pydicom.dcmread(file) for file in write(KEY).files)
    again, _ = (pydicom.dcmread(file) for file in write(KEY).files)
    other, _ = (pydicom.dcmread(file) for file in write(KEY * 2).files)
    assert [seg[name] for name in names] == [again[name] for name in names]
    assert seg.StudyInstanceUID == rtstruct.StudyInstanceUID
    assert rtstruct.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID == seg.FrameOfReferenceUID
    assert not {seg[name].value for name in names} & {other[name].value for name in names}
    assert len({one.SOPInstanceUID for one in (seg, rtstruct, again, other)}) == 4


def test_names_in_any_script_are_kept_and_values_that_break_the_standard_are_not(tmp_path, write, caplog, capfd):
    tags = {
        **{"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller", "PatientSex": b"female"},
        **{"StudyDate": b"2020.03.04 ", "PatientBirthDate": b"unknown ", "StudyTime": b"10:11"},
    }
    write_classic(tmp_path / "in", Stack(tags=tags))
    written = write()
    require_valid(written)
    for file in written.files:
        one = pydicom.dcmread(file)
        assert (str(one.PatientName), one.PatientSex, one.StudyDate, one.PatientBirthDate) == ("Müller", "", "", "")
    # highdicom and pydicom quote what they find odd
    assert "Müller" not in "".join([caplog.text, *capfd.readouterr()])


def test_the_libraries_say_nothing_of_headers(caplog):
    with without_quotations():
        for name in ("pydicom", "highdicom", "highdicom.base"):
            logging.getLogger(name).error("odd value: Doe^Jane")
    assert "Doe" not in caplog.text


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "StudyInstanceUID", "SOPInstanceUID"])
def test_a_source_that_cannot_be_referred_to_is_refused_without_a_key(tmp_path, write, keyword):
    write_classic(tmp_path / "in", Stack(tags={keyword: None}))
    with pytest.raises(Fault, match=f"has no {keyword}"):
        write()
    assert not [*tmp_path.glob("*.dcm")]
    require_exact(write(KEY))


def test_a_label_map_that_lies_elsewhere_is_refused(tmp_path, write):
    write_classic(tmp_path / "in", Stack())
    written = write()
    moved = sitk.Image(written.labels)
    moved.SetOrigin(np.add(moved.GetOrigin(), (0, 0, 1.5)).tolist())
    with pytest.raises(Fault, match="origin"):
        written.source.on_planes(moved)


def test_segments_without_a_voxel_are_known():
    assert occupied(np.array([[[0, 2]]]), [Segment("a", (1,)), Segment("b", (1, 2))]) == [Segment("b", (1, 2))]


@pytest.mark.parametrize(
    ("name", "label", "code"),
    [
        ("lesion 1", "lesion 1", "14799000"),
        ("Oedema", "Oedema", "79654002"),
        ("glioma", "glioma", "108369006"),
        ("a\\b\n" + 70 * "c", "a_b_" + 60 * "c", "14799000"),
    ],
)
def test_the_label_and_the_kind_of_a_segment(name, label, code):
    assert (Segment(name, (1,)).label, Segment(name, (1,)).kind[0]) == (label, code)


def test_hundreds_of_lesions_of_thousands_of_points(tmp_path, write):
    """More contours than an explicit transfer syntax could hold in one value, numbers beyond those of a byte."""
    write_classic(tmp_path / "in", Stack(positions_mm=range(50)))
    (series,) = find_series(tmp_path / "in")
    grid = volume_of(series, find_dcm2niix())
    values = np.arange(1, 301).repeat(8)[: np.prod(grid.GetSize())].reshape(grid.GetSize()[::-1])
    labels = sitk.GetImageFromArray(values.astype(np.int32))
    labels.CopyInformation(grid)
    written = write(segments=[Segment(f"lesion {n}", (n,)) for n in range(1, 301)], labels=labels)
    require_exact(written)


def test_real_enhanced_images(real_data, tmp_path, write):
    """The three largest bright parts of a head, sagittal: ragged sheets of fat with holes, many pieces on a slice."""
    (tmp_path / "in").symlink_to(real_data / "dicom" / "xa30_t1")
    (series,) = find_series(tmp_path / "in")
    grid = volume_of(series, find_dcm2niix())
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(grid > 900))
    segments = [Segment(f"lesion {n}", (n,)) for n in (1, 2, 3)]
    written = write(segments=segments, labels=parts * sitk.Cast(parts < 4, parts.GetPixelID()))
    require_exact(written)
    require_valid(written)
