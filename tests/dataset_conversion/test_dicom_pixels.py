"""Every voxel of a DICOM file comes out where its header says, or the file is refused by name of what is odd."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from example_dicom import (
    ENCODERS,
    ORIENTATIONS,
    SAGITTAL,
    Stack,
    generate_uid,
    uids,
    without_preamble,
    write_classic,
    write_enhanced,
)

from nnunet_seqdropout.cli.command import main

SLICES_MM = {"rising": (0, 1.5, 3, 4.5, 6), "falling": (6, 4.5, 3, 1.5, 0)}
WRITERS = {"classic": write_classic, "enhanced": write_enhanced}
UNCOMPRESSED = (uids.ExplicitVRLittleEndian, uids.ImplicitVRLittleEndian)


@pytest.fixture
def convert(tmp_path):
    def call(*options: str) -> int:
        where = ("-o", str(tmp_path / "out"), "--key", str(tmp_path / "key"))
        return main(["dicom", str(tmp_path / "in"), *where, *options])

    return call


def image_in(folder: Path, name: str = "flair") -> sitk.Image:
    (file,) = folder.glob(f"out/*/{name}.nii.gz")
    return sitk.ReadImage(str(file))


def problem_in(folder: Path) -> str:
    (case,) = json.loads((folder / "out" / "summary.json").read_text())["cases"].values()
    return case["problem"]


def misplaced(stack: Stack, image: sitk.Image, scale: float = 1) -> int:
    """How many voxels of the stack are not where the header puts them: an oracle that knows neither DICOM nor NIfTI."""
    voxels, pixels, found = sitk.GetArrayFromImage(image), stack.pixels() * scale, 0
    row, column = np.reshape(stack.orientation, (2, 3))
    for (k, r, c), value in np.ndenumerate(pixels):
        point = np.array(stack.position(k)) + 0.5 * c * row + 1.0 * r * column
        x, y, z = image.TransformPhysicalPointToIndex(point.tolist())
        found += voxels[z, y, x] != value
    return found


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("order", SLICES_MM)
def test_every_voxel_lies_where_its_header_says(tmp_path, convert, kind, orientation, order):
    stack = Stack(positions_mm=SLICES_MM[order], orientation=ORIENTATIONS[orientation])
    WRITERS[kind](tmp_path / "in", stack)
    assert convert() == 0
    image = image_in(tmp_path)
    assert sorted(image.GetSize()) == [5, 6, 8]
    assert misplaced(stack, image) == 0


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("syntax", [*UNCOMPRESSED, *ENCODERS], ids=lambda uid: uids.UID(uid).keyword)
def test_compressed_pixels_are_read(tmp_path, convert, kind, syntax):
    stack = Stack(transfer_syntax=syntax, orientation=SAGITTAL)
    WRITERS[kind](tmp_path / "in", stack)
    assert convert() == 0
    assert misplaced(stack, image_in(tmp_path)) == 0


def test_pixels_that_dcm2niix_cannot_read_are_refused_by_the_name_of_their_syntax(tmp_path, convert):
    write_classic(tmp_path / "in", Stack(transfer_syntax=uids.DeflatedExplicitVRLittleEndian))
    assert convert() == 1
    assert problem_in(tmp_path) == (
        "dcm2niix made 0 images of series 1 (5 slices), whose pixels are stored as Deflated Explicit VR Little Endian"
    )
    assert not [*tmp_path.glob("out/*/*")]


def test_files_without_a_preamble_are_read(tmp_path, convert):
    stack = Stack(orientation=SAGITTAL)
    for file in write_classic(tmp_path / "in", stack):
        without_preamble(file)
    assert convert() == 0
    assert misplaced(stack, image_in(tmp_path)) == 0


@pytest.mark.parametrize("kind", WRITERS)
def test_a_slope_is_applied(tmp_path, convert, kind):
    sequence = "" if kind == "classic" else "PixelValueTransformationSequence."
    stack = Stack(tags_of=lambda _: {f"{sequence}RescaleSlope": 1.5, f"{sequence}RescaleIntercept": 0})
    WRITERS[kind](tmp_path / "in", stack)
    assert convert() == 0
    assert misplaced(stack, image_in(tmp_path), 1.5) == 0


def test_a_slope_of_each_slice_is_applied_in_classic_files(tmp_path, convert):
    stack = Stack(tags_of=lambda k: {"RescaleSlope": 1 + 0.25 * k, "RescaleIntercept": 0})
    write_classic(tmp_path / "in", stack)
    assert convert() == 0
    expected = stack.pixels() * (1 + 0.25 * np.arange(5))[:, None, None]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image_in(tmp_path)), expected)


def test_slopes_of_frames_that_dcm2niix_does_not_apply_are_refused(tmp_path, convert):
    groups = "PixelValueTransformationSequence"
    stack = Stack(tags_of=lambda k: {f"{groups}.RescaleSlope": 1 + 0.25 * k, f"{groups}.RescaleIntercept": 0})
    write_enhanced(tmp_path / "in", stack)
    assert convert() == 1
    assert "is stored in frames of 5 values of RescaleSlope" in problem_in(tmp_path)


@pytest.mark.parametrize("vendor", ["Philips", "Canon", "SIEMENS"])
def test_frames_whose_numbers_contradict_their_positions_are_never_exchanged(tmp_path, convert, vendor):
    content = "FrameContentSequence"
    stack = Stack(
        positions_mm=(0, 3, 6, 1.5, 4.5),
        tags={"Manufacturer": vendor},
        tags_of=lambda k: {f"{content}.InStackPositionNumber": k + 1, f"{content}.DimensionIndexValues": [1, k + 1]},
    )
    write_enhanced(tmp_path / "in", stack)
    if convert() == 0:
        assert vendor == "SIEMENS"
        assert misplaced(stack, image_in(tmp_path)) == 0
    else:
        assert "frames whose numbers are not in the order of their positions" in problem_in(tmp_path)


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_export_twice_counts_once(tmp_path, convert, capsys, kind):
    WRITERS[kind](tmp_path / "in" / "a", stack := Stack())
    shutil.copytree(tmp_path / "in" / "a", tmp_path / "in" / "b")
    assert convert("--dry-run") == 0
    assert "8x6 x 5 (5 there twice)" in capsys.readouterr().out
    assert convert() == 0
    assert misplaced(stack, image_in(tmp_path)) == 0


def test_two_images_of_one_instance_uid_are_a_fault(tmp_path, convert):
    first, *_ = write_classic(tmp_path / "in", Stack())
    other = bytearray(first.read_bytes())
    other[-1] ^= 1
    first.with_name("other").write_bytes(other)
    assert convert() == 1
    assert problem_in(tmp_path) == "series 1 (5 slices): 1 of them are there twice, with other pixels (SOPInstanceUID)"


def test_a_copy_with_another_header_and_the_same_pixels_is_one(tmp_path, convert):
    import pydicom

    first, *_ = write_classic(tmp_path / "in", stack := Stack())
    other = pydicom.dcmread(first)
    other.InstitutionName = "Elsewhere"
    other.save_as(first.with_name("other"))
    assert convert() == 0
    assert misplaced(stack, image_in(tmp_path)) == 0


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("classic", {"tags": {"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}}, "5 of 5: is a mosaic of slices"),
        ("enhanced", {"tags": {"ConcatenationUID": "1.2.3"}}, "is one part of a concatenation (ConcatenationUID)"),
        ("enhanced", {"tags": {"NumberOfFrames": 4}}, "has 4 frames (NumberOfFrames), but positions of 5"),
        ("classic", {"tags": {"PixelSpacing": None}}, "5 of 5 have no pixel spacing"),
        ("classic", {"tags": {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}}, "5 of 5 have no orientation"),
        ("classic", {"tags": {"ImagesInAcquisition": 7}}, "there are 7 (ImagesInAcquisition)"),
        ("classic", {"positions_mm": (0, 1.5, 3, 4.8, 6.3)}, "has gaps: from 33.0 to 34.8 mm"),
        ("enhanced", {"positions_mm": (0, 1.5, 3, 6, 7.5)}, "has gaps: from 33.0 to 36.0 mm"),
        ("classic", {"tags_of": lambda k: {"EchoNumbers": 1 + k % 2}}, "mixes stacks; of several EchoNumbers (1, 2)"),
        (
            "enhanced",
            {"tags_of": lambda k: {"FrameContentSequence.TemporalPositionIndex": 1 + k // 3}},
            "mixes stacks; of several TemporalPosition (1, 2)",
        ),
        ("enhanced", {"tags_of": lambda k: {"FrameContentSequence.StackID": "DOE" * (1 + k % 2)}}, "several StackID"),
    ],
)
def test_what_is_no_single_stack_is_refused_with_the_tag_or_the_distance(tmp_path, convert, kind, changes, said):
    WRITERS[kind](tmp_path / "in", Stack(**changes))
    assert convert() == 1
    assert said in problem_in(tmp_path)
    assert "DOE" not in problem_in(tmp_path)


def test_phase_images_count_among_those_that_the_header_promises(tmp_path, convert):
    uid = generate_uid()
    for component in ("M", "P"):
        tags = {"ImageType": ["ORIGINAL", "PRIMARY", component], "ImagesInAcquisition": 10}
        write_classic(tmp_path / "in", Stack(uid=uid, tags=tags))
    assert convert() == 0


@pytest.mark.parametrize(
    ("keyword", "values", "said"),
    [
        ("EchoTime", (20, 90), "EchoTime (20.0, 90.0)"),
        ("AcquisitionNumber", (1, 2), "AcquisitionNumber (1, 2)"),
        ("TemporalPositionIdentifier", (1, 2), "TemporalPosition (1, 2)"),
        ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "DOE"]), "of several ImageType"),
    ],
)
def test_two_stacks_in_one_place_are_told_apart_by_a_tag(tmp_path, convert, keyword, values, said):
    uid = generate_uid()
    for value in values:
        write_classic(tmp_path / "in", Stack(uid=uid, tags={keyword: value}))
    assert convert() == 1
    assert "two slices each at 30.0, 31.5, 33.0, 34.5, 36.0 mm" in problem_in(tmp_path)
    assert said in problem_in(tmp_path)
    assert "DOE" not in problem_in(tmp_path)


def test_jitter_that_ends_elsewhere_is_refused_in_mm(tmp_path, convert):
    """Steps of 1.54 and 1.46 mm: by the first one the last of 12 slices lies 0.4 mm off."""
    write_classic(tmp_path / "in", Stack(positions_mm=[1.5 * k + 0.04 * (k % 2) for k in range(12)]))
    assert convert() == 1
    assert "the corners are up to 0.4 mm apart" in problem_in(tmp_path)
    assert "its slices are 1.46 to 1.54 mm apart" in problem_in(tmp_path)


@pytest.mark.parametrize("syntax", [uids.ExplicitVRLittleEndian, uids.JPEG2000Lossless])
def test_a_file_that_is_cut_off_fails_its_patient(tmp_path, convert, syntax):
    last = write_classic(tmp_path / "in", Stack(transfer_syntax=syntax))[-1]
    last.write_bytes(last.read_bytes()[:-20])
    assert convert() == 1
    assert problem_in(tmp_path) == "series 1 (5 slices): 1 of 5: is cut off"


def test_values_that_are_not_as_the_standard_wants_them_are_borne(tmp_path, convert, capfd):
    stack = Stack()
    for file in write_classic(tmp_path / "in", stack):
        content = file.read_bytes()
        assert content.count(b"101112") > 1
        file.write_bytes(content.replace(b"DA\x08\x0020200304", b"DA\x08\x002020DOE4"))
    assert convert("-v") == 0
    assert misplaced(stack, image_in(tmp_path)) == 0
    assert "DOE" not in "".join(capfd.readouterr())


def test_links_are_followed_and_one_to_nowhere_is_a_fault(tmp_path, convert, capsys):
    write_classic(tmp_path / "elsewhere" / "Doe", stack := Stack())
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").symlink_to(tmp_path / "elsewhere" / "Doe")
    assert convert() == 0
    assert misplaced(stack, image_in(tmp_path)) == 0
    next((tmp_path / "elsewhere" / "Doe").iterdir()).rename(tmp_path / "moved")
    (tmp_path / "in" / "IM_Doe").symlink_to(tmp_path / "nowhere")
    assert convert() == 2
    said = capsys.readouterr().err
    assert "a link to a file that is not there" in said
    assert "Doe" not in said.replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("folder", "role"),
    [
        ("ge_irspgr", "t1_pre"),
        ("xa30_t1", "t1_pre"),
        ("siemens_flair", "flair"),
        ("philips_flair", "flair"),
        ("hyperfine", "flair"),
        ("philips_enh_t1", "t1_pre"),
        ("siemens_mf", None),
    ],
)
def test_real_headers_of_the_vendors(real_data, tmp_path, folder, role):
    if not (real_data / "dicom").is_dir():
        pytest.skip("there is no DICOM in the folder of real data")
    command = ["dicom", str(real_data / "dicom" / folder), "-o", str(tmp_path / "out"), "--key", str(tmp_path / "key")]
    assert main(command) == (1 if role is None else 0)
    assert [file.name for file in tmp_path.glob("out/*/*.nii.gz")] == ([] if role is None else [f"{role}.nii.gz"])
