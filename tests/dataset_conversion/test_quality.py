"""The quality page shows every patient of a converted data set, and first those who need a look."""

import base64
import html
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from dataset_conversion.faults import Fault
from dataset_conversion.files.pictures import grey_window
from dataset_conversion.files.texts.manifest_json import CaseEntry, SequenceEntry
from dataset_conversion.quality.findings import Converted, Finding, by_reason, findings
from dataset_conversion.quality.page import write_quality_page
from dataset_conversion.quality.thumbnails import CONTOUR, CUT_PERCENT, Thumbnails, cut_off, middle_of_head, thumbnails

NAMES = ("t1_gd", "flair")
# (Z, Y, X): 20 slices with a bright head in slices 4 to 15
SHAPE = (20, 32, 32)


def head(shape=SHAPE) -> np.ndarray:
    voxels = np.zeros(shape, np.int16)
    voxels[4:16, 4:28, 4:28] = 100
    return voxels


def lesion(shape=SHAPE) -> np.ndarray:
    """3 x 3 voxels in slice 6, 8 x 8 in slice 7: rows 10 to 17, columns 14 to 21."""
    label = np.zeros(shape, np.uint8)
    label[6, 10:13, 14:17] = 1
    label[7, 10:18, 14:22] = 2
    return label


def write(path: Path, voxels: np.ndarray, *, spacing=(1.0, 1.0, 1.0), axes="LPS", origin=(0.0, 0.0, 0.0)) -> Path:
    """Voxels in LPS order, stored along other axes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    sitk.WriteImage(sitk.DICOMOrient(image, axes), str(path))
    return path


def entry(split="train", *, absent=(), label=True, warnings=(), **motion) -> CaseEntry:
    """A patient in the manifest; motion is that of flair."""
    sequences: dict[str, SequenceEntry] = {name: {"present": name not in absent} for name in NAMES}
    sequences["flair"] |= motion  # type: ignore[typeddict-item]
    warned = [*(f"{name}: absent, written as zeros" for name in absent), *warnings]
    source = {"sha256": ""} if label else None
    return {"person": "A", "split": split, "sequences": sequences, "label": source, "warnings": warned}


def write_patient(folder: Path, case: str, patient: CaseEntry) -> None:
    subset = "Ts" if patient["split"] == "test" else "Tr"
    for channel, name in enumerate(NAMES):
        voxels = head() * patient["sequences"][name]["present"]
        write(folder / f"images{subset}" / f"{case}_{channel:04d}.nii.gz", voxels)
    if patient["label"]:
        write(folder / f"labels{subset}" / f"{case}.nii.gz", lesion())


def describe(folder: Path, patients: dict[str, CaseEntry], **settings: object) -> Path:
    names = {str(channel): name for channel, name in enumerate(NAMES)}
    (folder / "dataset.json").write_text(json.dumps({"channel_names": names, "file_ending": ".nii.gz"}))
    (folder / "manifest.json").write_text(json.dumps({"version": 1, "settings": settings, "patients": patients}))
    return folder


def dataset(folder: Path, patients: dict[str, CaseEntry], **settings: object) -> Path:
    for case, patient in patients.items():
        write_patient(folder, case, patient)
    return describe(folder, patients, **settings)


def page(folder: Path, **options) -> str:
    return write_quality_page(folder, **options).read_text(encoding="utf-8")


def words(markup: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", markup)).split())


def row(text: str, case: str) -> str:
    return next(part for part in re.findall("<article.*?</article>", text, re.DOTALL) if f'data-case="{case}"' in part)


def order(text: str) -> list[str]:
    return re.findall('data-case="([^"]*)"', text)


def table(text: str, name: str) -> list[list[str]]:
    found = re.search(f'<table class="{name}">(.*?)</table>', text, re.DOTALL)
    rows = re.findall("<tr.*?</tr>", found[1] if found else "", re.DOTALL)
    return [[words(cell) for cell in re.findall("<t[hd].*?</t[hd]>", each, re.DOTALL)] for each in rows]


def thumbnails_of(**changes) -> Thumbnails:
    return Thumbnails(**{"grey": {}, "cut_off": {}, "contour": None, "place": (1, 2), "label_mm3": 1.0, **changes})


def there(picture: bytes | None) -> bytes:
    assert picture is not None
    return picture


def decoded(picture: bytes | None) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(there(picture))))


def is_line(picture: bytes | None) -> np.ndarray:
    return (decoded(picture) == (*CONTOUR, 255)).all(axis=-1)


@pytest.fixture(scope="module")
def six(tmp_path_factory) -> str:
    """Page of four patients with both sequences, in train and val, and two without t1_gd, in val and test."""
    both, one = entry(), entry("test", absent=["t1_gd"])
    patients = {"A1": both, "A2": both, "A3": both, "B1": entry("val"), "B2": entry("val", absent=["t1_gd"]), "B3": one}
    return page(dataset(tmp_path_factory.mktemp("six"), patients))


def test_every_patient_is_there_and_the_splits_are_counted(six):
    assert order(six) == ["A1", "A2", "A3", "B1", "B2", "B3"]
    assert "6 patients: 3 train, 2 val, 1 test." in words(six)


def test_the_availability_table_counts_patients_by_pattern_and_split(six):
    assert table(six, "availability") == [
        ["Sequences", "train", "val", "test", "all"],
        ["t1_gd+flair", "3", "1", "0", "4"],
        ["flair", "0", "1", "1", "2"],
        ["all", "3", "2", "1", "6"],
    ]


def test_a_placeholder_has_an_absent_tile_and_is_told_but_no_reason_for_a_look(six):
    assert row(six, "A1").count("tile absent") == 0
    tiles = re.findall("<figure>.*?</figure>", row(six, "B2"), re.DOTALL)
    assert [words(tile) for tile in tiles] == ["absent t1_gd", "flair"]
    assert "No patient needs a look" in words(six)
    assert table(six, "reasons")[1:] == [["t1_gd: absent, written as zeros", "2", "B2 , B3"]]


def test_the_page_loads_nothing_and_names_no_folder_of_the_machine(six, tmp_path):
    addresses = set(re.findall(r"""(?:src|href)=["']?([^"'>]*)""", six))
    assert all(address.startswith(("data:image/webp;base64,", "#patient-")) for address in addresses)
    assert not re.search(r"https?:|url\(|@import|//cdn", six)
    broken = dataset(tmp_path, {"A1": entry()})
    (broken / "imagesTr" / "A1_0000.nii.gz").unlink()
    assert str(tmp_path) not in page(broken)


def test_the_slice_is_that_of_the_largest_label_in_every_sequence(tmp_path):
    images = {}
    for name in NAMES:
        voxels = head()
        voxels[7] = 50
        images[name] = write(tmp_path / f"{name}.nii.gz", voxels)
    found = thumbnails(images, write(tmp_path / "seg.nii.gz", lesion()))
    assert found.place == (8, 20)
    # 9 + 64 voxels of 1 mm3
    assert found.label_mm3 == 73
    # the head, 100, is white; this slice is half as bright, everywhere
    assert all(abs(decoded(found.grey[name])[..., 0].astype(int) - 128).max() <= 3 for name in NAMES)


def test_the_contour_runs_around_the_label_and_covers_none_of_it(tmp_path):
    found = thumbnails(
        {"t1_gd": write(tmp_path / "t.nii.gz", head())}, write(tmp_path / "seg.nii.gz", lesion(), axes="RAI")
    )
    line, picture = is_line(found.contour), decoded(found.contour)
    # 32 voxels on 224 pixels: the label fills rows 70 to 125 and columns 98 to 153, the line two more on each side
    rows, columns = np.nonzero(line)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (68, 127, 96, 155)
    assert line.sum() == 60 * 60 - 56 * 56
    assert not picture[70:126, 98:154, 3].any()
    assert not picture[:67, :, 3].any()


@pytest.mark.parametrize("axes", ["LPS", "RAI", "PIR", "SLA"])
def test_any_storage_shows_the_patients_right_on_the_left_and_the_front_on_top(tmp_path, axes):
    voxels = head()
    voxels[:, 4:10, 4:10] = 200
    found = thumbnails({"t1_gd": write(tmp_path / "t.nii.gz", voxels, axes=axes)}, None)
    grey = decoded(found.grey["t1_gd"])[..., 0]
    # rows and columns 4 to 9 are right and anterior: 7 pixels a voxel, without the lossy edge
    assert grey[40:58, 40:58].min() > 230
    assert 110 < grey[105:175, 105:175].mean() < 145


def test_pixels_are_square_on_any_spacing(tmp_path):
    # 32 columns of 1 mm, 32 rows of 0.5 mm
    images = {"t1_gd": write(tmp_path / "t.nii.gz", head(), spacing=(1.0, 0.5, 3.0))}
    found = thumbnails(images, write(tmp_path / "seg.nii.gz", lesion(), spacing=(1.0, 0.5, 3.0)))
    assert decoded(found.grey["t1_gd"]).shape[:2] == decoded(found.contour).shape[:2] == (112, 224)
    assert found.label_mm3 == pytest.approx(73 * 1.5)


def test_without_a_label_the_middle_of_the_head_is_shown(tmp_path):
    # slices 4 to 15: the middle is 9.5, rounded to the even 10, the eleventh
    assert middle_of_head(head()) == 10
    assert middle_of_head(np.full((5, 2, 2), 3)) == 2
    files = {"t1_gd": write(tmp_path / "0.nii.gz", head() * 0), "flair": write(tmp_path / "1.nii.gz", head())}
    found = thumbnails(files, None)
    assert (found.place, found.contour, found.label_mm3, found.grey["t1_gd"]) == ((11, 20), None, None, None)
    empty = write(tmp_path / "seg.nii.gz", lesion() * 0)
    assert (thumbnails(files, empty).place, thumbnails(files, empty).contour) == ((11, 20), None)


def test_the_window_leaves_out_zeros_and_single_bright_voxels():
    voxels = np.concatenate([np.zeros(5000), np.full(2000, 7.0), [9999.0]])
    assert grey_window(voxels, cut_percent=CUT_PERCENT) == (0.0, 7.0)
    assert grey_window(voxels - 8, cut_percent=CUT_PERCENT) == (-8.0, -1.0)


def test_a_sequence_that_does_not_cover_the_head_is_noticed():
    whole, half = head()[8], head()[8]
    half[:10] = 0
    # the head has rows 4 to 27, of which 4 to 9 are gone
    assert cut_off({"t1_gd": whole, "flair": half}) == {"t1_gd": 0.0, "flair": 0.25}
    assert cut_off({}) == {}
    shown = thumbnails_of(cut_off={"t1_gd": 0.1, "flair": 0.25})
    assert [f.detail for f in findings(Converted("A", entry(), shown))] == ["flair, 25% of it in this slice"]


@pytest.fixture
def troubled(tmp_path) -> Path:
    """Six patients: A1 is well, each of the others has something of his own."""
    still = {"similarity_before": 1.05, "similarity_after": 1.09, "rotation_deg": 0.4}
    patients = {
        "A1": entry(translation_mm=1.25, **still),
        "A2": entry(translation_mm=5.01, **still),
        "A3": entry("test", label=False),
        "A4": entry(warnings=["label: drawn on flair, brought to t1_gd with it"]),
        "A5": entry(translation_mm=0.0, rotation_deg=0.0, similarity_before=1.2, similarity_after=1.1),
        "A6": entry(),
    }
    folder = dataset(tmp_path, patients, synthetic=True)
    write(folder / "imagesTr" / "A6_0000.nii.gz", head() * 0)
    return folder


def test_those_who_need_a_look_stand_first_with_links(troubled):
    text = page(troubled)
    assert order(text) == ["A2", "A3", "A4", "A5", "A6", "A1"]
    assert "5 of 6 patients need a look" in words(text)
    assert sorted(table(text, "reasons")[1:]) == [
        ["label: drawn on flair, brought to t1_gd with it", "1", "A4"],
        ["label: none", "1", "A3"],
        ["lower similarity after registration", "1", "A5"],
        ["moved by more than 5 mm or 5°", "1", "A2"],
        ["t1_gd: present according to the manifest, but 0 everywhere", "1", "A6"],
    ]
    anchor = re.search('<a href="#([^"]*)">A4</a>', text)
    assert anchor is not None
    assert f'id="{anchor[1]}"' in row(text, "A4")
    assert "patient look" in row(text, "A4")
    assert "patient look" not in row(text, "A1")


def test_motion_stands_below_the_sequence(troubled):
    text = page(troubled)
    assert "flair 1.2 mm, 0.4° 1.050 → 1.090" in words(row(text, "A1"))
    assert "flair not moved" in words(row(text, "A5"))
    assert 'data-mm="5.01"' in row(text, "A2")


@pytest.mark.parametrize(
    ("motion", "is_told"),
    [
        ({"translation_mm": 5.0, "rotation_deg": 5.0}, False),
        ({"rotation_deg": 5.1}, True),
        ({"translation_mm": 5.1}, True),
    ],
)
def test_a_large_rotation_is_told_as_a_large_shift_is(motion, is_told):
    found = findings(Converted("A", entry(**motion), thumbnails_of()))
    assert [finding.reason for finding in found] == ["moved by more than 5 mm or 5°"] * is_told


def test_the_rarest_reason_stands_first_and_what_is_expected_last():
    often, rare, absent = Finding("often"), Finding("rare", "of C"), Finding("absent", expected=True)
    reasons = by_reason({"A": [often], "B": [often, absent], "C": [often, rare]})
    assert [(finding.reason, cases) for finding, cases in reasons.items()] == [
        ("rare", ["C"]),
        ("often", ["A", "B", "C"]),
        ("absent", ["B"]),
    ]


def test_pictures_of_the_conversion_are_linked_if_they_are_there(troubled):
    (troubled / "qc").mkdir()
    for name in ("A1_flair", "A2_t1_gd"):
        (troubled / "qc" / f"{name}.png").touch()
    text = page(troubled)
    assert '<a href="qc/A1_flair.png">checkerboard</a>' in row(text, "A1")
    assert text.count('href="qc/') == 2


def test_synthetic_patients_are_said_to_be_so(troubled, six):
    assert "Synthetic patients" in page(troubled)
    assert "Synthetic patients" not in six


def test_a_manifest_that_hides_an_image_is_contradicted():
    shown = thumbnails_of(grey={"t1_gd": b"", "flair": b""})
    found = findings(Converted("A", entry(absent=["t1_gd"]), shown))
    assert [(finding.reason, finding.expected) for finding in found] == [
        ("t1_gd: absent according to the manifest, but not 0", False),
        ("t1_gd: absent, written as zeros", True),
    ]


def test_the_same_words_of_the_manifest_and_of_the_page_are_said_once():
    shown = thumbnails_of(label_mm3=0.0)
    assert [f.reason for f in findings(Converted("A", entry(warnings=["label: empty"]), shown))] == ["label: empty"]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_an_unreadable_image_is_named_and_the_others_are_shown(tmp_path, n_workers):
    folder = dataset(tmp_path, {"A1": entry(), "A2": entry(), "A3": entry()})
    file = folder / "imagesTr" / "A2_0001.nii.gz"
    file.write_bytes(file.read_bytes()[:100])
    write(folder / "imagesTr" / "A3_0001.nii.gz", head(), origin=(0.0, 0.0, 9.0))
    text = page(folder, n_workers=n_workers)
    assert order(text) == ["A2", "A3", "A1"]
    assert "files cannot be used: imagesTr/A2_0001.nii.gz: the file is truncated or corrupt" in words(row(text, "A2"))
    assert "imagesTr/A3_0001.nii.gz: origin (0, 0, 9), but labelsTr/A3.nii.gz has" in words(row(text, "A3"))
    assert row(text, "A1").count("<img") == 4


def test_who_failed_in_the_conversion_is_named(tmp_path):
    folder = dataset(tmp_path, {"A1": entry()})
    failed = {"status": "failed", "problem": "/hospital/Jane Doe/t1.nii: truncated", "remedy": ""}
    summary = {"cases": {"A1": {"status": "ok"}, "A9": failed}}
    (folder / "summary.json").write_text(json.dumps(summary))
    text = page(folder)
    assert "Not converted, and so not on this page: A9" in words(text)
    assert "Jane Doe" not in text


def test_names_are_escaped(tmp_path):
    evil = "<script>alert(1)<|script>\"'&"
    folder = dataset(tmp_path, {evil: entry(warnings=["<img src=x onerror=alert(2)>"])})
    text = page(folder)
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert html.escape(evil, quote=False).split('"')[0] in text
    assert text.count("<script>") == text.count("</script>") == 1


def test_the_page_takes_the_channels_in_the_order_of_their_numbers(tmp_path):
    folder = dataset(tmp_path, {"A1": entry(), "B1": entry("test", absent=["t1_gd"])})
    in_order = page(folder)
    description = json.loads((folder / "dataset.json").read_text())
    description["channel_names"] = dict(reversed(description["channel_names"].items()))
    (folder / "dataset.json").write_text(json.dumps(description))
    assert page(folder) == in_order


def test_a_data_set_without_patients_has_a_page(tmp_path):
    assert "0 patients" in words(page(describe(tmp_path, {})))


def test_a_folder_that_is_no_converted_data_set_is_refused(tmp_path):
    with pytest.raises(Fault, match=r"manifest\.json.*written by seqdropout convert"):
        write_quality_page(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(Fault, match=r"manifest\.json: not readable as JSON"):
        write_quality_page(tmp_path)


def test_165_patients_of_four_noisy_sequences_take_less_than_30_mb(tmp_path):
    generator = np.random.default_rng(0)
    z, y, x = np.ogrid[:160, :256, :256]
    ball = ((z - 80) / 70) ** 2 + ((y - 128) / 115) ** 2 + ((x - 128) / 90) ** 2 < 1
    voxels = (60 + 400 * ball + generator.normal(0, 60, ball.shape)).clip(0).astype(np.int16)
    file = write(tmp_path / "t.nii", voxels)
    label = write(tmp_path / "seg.nii.gz", (ball & (generator.random(ball.shape) < 0.01)).astype(np.uint8))
    found = thumbnails(dict.fromkeys("abcd", file), label)
    contour, *grey = (there(picture) for picture in (found.contour, *found.grey.values()))
    # the contour stands over every sequence; 3 kB of text
    n_bytes = sum(len(base64.b64encode(picture)) for picture in (contour, *grey)) + 3 * len(contour) * 4 / 3 + 3000
    assert max(map(len, grey)) < 40_000
    assert 165 * n_bytes < 30e6


def test_writing_again_gives_the_same_bytes_and_leaves_nothing_else(tmp_path):
    folder = dataset(tmp_path / "d", {"A1": entry()})
    before = {file.name for file in folder.iterdir()}
    first = write_quality_page(folder).read_bytes()
    assert write_quality_page(folder).read_bytes() == first
    assert {file.name for file in folder.iterdir()} - before == {"qc.html"}
    shutil.rmtree(folder / "imagesTr")
    assert "No such file" in page(folder)
