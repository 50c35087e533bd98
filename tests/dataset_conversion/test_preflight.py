"""``seqdropout check``: every fault of a case is listed, patients on two sides are found, sequences are counted."""

import gzip
import json
import struct
import unicodedata
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from broken_files import declare_a_giant, flip_a_bit, truncate

from dataset_conversion.checks.case import CaseCheck, check_case
from dataset_conversion.checks.folder import FolderCheck, check_dataset
from dataset_conversion.files.images.label_values import value_faults
from dataset_conversion.files.texts.dataset_json import channel_names
from nnunet_seqdropout.cli.command import main

CHANNELS = ("bravo", "t1_pre", "t1_gd", "flair")
LABELS = {"background": 0, "metastasis": 1}


def voxels(seed=0, *, shape=(5, 6, 4), dtype=np.int16):
    """(X, Y, Z)"""
    return np.random.default_rng(seed).integers(1, 100, shape).astype(dtype)


def save(path: Path, content, *, moved_mm=0.0, spacing=1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([spacing, 1.0, 1.0, 1.0])
    affine[2, 3] = moved_mm
    nibabel.save(nibabel.Nifti1Image(content, affine), path)
    return path


def lesion(*, empty=False, shape=(5, 6, 4)):
    label = np.zeros(shape, np.uint8)
    label[1:3, 2, 1] = 0 if empty else 1
    return label


def write_case(folder: Path, case: str, *, subset="Tr", absent=(), with_label=True, empty=False) -> None:
    """Zeros stand for the channels in ``absent``. No two cases have an image in common."""
    for channel in range(len(CHANNELS)):
        content = np.zeros((5, 6, 4), np.uint8) if channel in absent else voxels([channel, *case.encode()])
        save(folder / f"images{subset}" / f"{case}_{channel:04d}.nii.gz", content)
    if with_label:
        save(folder / f"labels{subset}" / f"{case}.nii.gz", lesion(empty=empty))


def describe(folder: Path, n_training: int, **changes) -> None:
    channel_names = {str(i): name for i, name in enumerate(CHANNELS)}
    content = {"channel_names": channel_names, "labels": LABELS, "numTraining": n_training, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps({**content, **changes}))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A sound raw data set: A and B for training, C for test."""
    folder = tmp_path / "Dataset001_Mets"
    write_case(folder, "A")
    write_case(folder, "B")
    write_case(folder, "C", subset="Ts")
    describe(folder, 2)
    return folder


@pytest.fixture
def check(capsys):
    """``check(FOLDER, *OPTIONS)`` -> exit code, lines on stdout."""

    def run(folder, *options):
        code = main(["check", "-i", str(folder), *map(str, options)])
        return code, capsys.readouterr().out.splitlines()

    return run


def faults(lines: list[str]) -> list[str]:
    """What stands above the notes and the table."""
    table = next(i for i, line in enumerate(lines) if line.endswith("  sequences"))
    return [line for line in lines[:table] if not line.startswith("note: ")]


def test_a_sound_data_set_has_no_fault(dataset, check):
    code, lines = check(dataset)
    assert code == 0
    assert lines == [
        "note: too few training cases for nnU-Net's 5 folds: 2. Add patients, name some for validation "
        "(convert --val), or train on all (-f all).",
        "   train    test   cases  sequences",
        "       2       1       3  bravo+t1_pre+t1_gd+flair",
        f"{dataset}: 3 cases, none with faults",
    ]


def mirror_the_spacing(file):
    content = bytearray(gzip.decompress(file.read_bytes()))
    struct.pack_into("<f", content, 80, -1)
    file.write_bytes(gzip.compress(content))


def begin_nowhere(file):
    content = bytearray(gzip.decompress(file.read_bytes()))
    struct.pack_into("<f", content, 108, 1e30)
    file.write_bytes(gzip.compress(content))


def let_forms_disagree(file):
    image = nibabel.Nifti1Image(voxels(), np.eye(4))
    image.set_qform(np.eye(4), 1)
    image.set_sform(np.diag([1, 1, 2, 1]), 1)
    nibabel.save(image, file)


def put_nan(file):
    content = voxels(dtype=np.float32)
    content[0, 0, :2] = np.nan
    save(file, content)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (truncate, "truncated or corrupt"),
        (flip_a_bit, "truncated or corrupt"),
        (lambda file: file.write_bytes(b""), "the file is empty"),
        (lambda file: file.write_text("no image\n" * 99), "it is not compressed"),
        (declare_a_giant, "declares 30000 x 30000 x 30000 voxels"),
        (begin_nowhere, "A_0003.nii.gz: "),
        (mirror_the_spacing, "A_0003.nii.gz: "),
        (put_nan, "2 voxels are NaN or infinite"),
        (lambda file: save(file, voxels(shape=(5, 6, 7))), "size (5, 6, 7), but"),
        (lambda file: save(file, voxels(), moved_mm=0.3), "the corners are up to 0.3 mm apart"),
        (lambda file: save(file, voxels(), spacing=1.5), "spacing (1.5, 1, 1), but"),
        (let_forms_disagree, "sform and qform of its header disagree by 3.0 mm"),
        (lambda file: save(file, voxels(shape=(5, 6, 4, 3))), "4D, t=3). Choose a volume"),
        (lambda file: save(file, np.zeros((5, 6, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])), "colour image"),
        (lambda file: save(file, voxels(shape=(5, 6))), "2D"),
        (Path.unlink, "there is no file _0003 (flair)"),
    ],
)
def test_a_bad_image_is_one_line_with_its_case_file_and_remedy(dataset, check, harm, said):
    file = dataset / "imagesTr" / "A_0003.nii.gz"
    harm(file)
    code, lines = check(dataset)
    assert code == 1
    (line,) = faults(lines)
    assert line.startswith("A: ")
    assert said in line
    assert line.count(". ") >= 1
    assert "A_0003.nii.gz" in line or "_0003 (flair)" in line
    assert lines[-1].endswith("3 cases, 1 of them with faults; 1 fault in all")


@pytest.mark.parametrize("dtype", [np.int32, np.float64])
def test_images_of_wide_types_are_sound(dataset, check, dtype):
    save(dataset / "imagesTr" / "A_0003.nii.gz", voxels(dtype=dtype))
    assert check(dataset)[0] == 0


def test_shapes_and_files_of_both_images_are_shown(dataset, check):
    save(dataset / "imagesTr" / "A_0002.nii.gz", voxels(shape=(5, 6, 7)))
    (line,) = faults(check(dataset)[1])
    for words in ("A_0000.nii.gz", "A_0002.nii.gz", "(5, 6, 4)", "(5, 6, 7)"):
        assert words in line


def test_all_faults_of_a_case_are_listed_not_the_first_alone(dataset, check):
    images = dataset / "imagesTr"
    truncate(images / "A_0000.nii.gz")
    save(images / "A_0002.nii.gz", voxels(), moved_mm=5)
    put_nan(images / "A_0003.nii.gz")
    save(dataset / "labelsTr" / "A.nii.gz", lesion(shape=(5, 6, 5)) * 255)
    truncate(images / "B_0001.nii.gz")
    code, lines = check(dataset)
    assert code == 1
    found = faults(lines)
    expected = ["A_0000", "A_0003", "A_0002", "labelsTr/A.nii.gz: size", "labelsTr/A.nii.gz: unknown", "B_0001"]
    assert len(found) == len(expected)
    for line, words in zip(found, expected, strict=True):
        assert words in line
    assert lines[-1].endswith("2 of them with faults; 6 faults in all")


def test_a_constant_image_is_a_note_and_absent(dataset, check):
    save(dataset / "imagesTr" / "A_0001.nii.gz", np.full((5, 6, 4), 7, np.int16))
    code, lines = check(dataset)
    assert code == 0
    assert f"note: A: {dataset}/imagesTr/A_0001.nii.gz: every voxel is 7; treated as absent" in lines
    assert any(line.endswith("  bravo+t1_gd+flair") for line in lines)


def test_a_case_of_nothing_but_constant_images_has_no_usable_sequence(dataset, check):
    write_case(dataset, "B", absent=(0, 1, 3))
    save(dataset / "imagesTr" / "B_0002.nii.gz", np.full((5, 6, 4), 7, np.int16))
    code, lines = check(dataset)
    assert code == 1
    assert faults(lines) == ["B: no usable sequence. Give at least one image that is not empty."]


def test_a_placeholder_for_training_lies_on_the_grid_of_its_case(dataset, check):
    save(dataset / "imagesTr" / "A_0000.nii.gz", np.zeros((2, 2, 2), np.uint8))
    save(dataset / "imagesTs" / "C_0000.nii.gz", np.zeros((2, 2, 2), np.uint8))
    code, lines = check(dataset)
    assert code == 1
    (line,) = faults(lines)
    assert "A_0000.nii.gz: size (2, 2, 2), but" in line


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            255,
            "unknown label values 255 (2 voxels). The labels are 0, 1; "
            "convert and evaluate can replace values: --map 255=1",
        ),
        (2, "unknown label values 2 (2 voxels)"),
        (-1, "unknown label values -1 (2 voxels)"),
        (0.5, "values that are not whole numbers: 0.5 (2 voxels). Give a label map"),
    ],
)
def test_label_values_outside_the_set_are_counted(dataset, check, value, said):
    save(dataset / "labelsTr" / "A.nii.gz", lesion().astype(np.float32) * value)
    code, lines = check(dataset)
    assert code == 1
    (line,) = faults(lines)
    assert line.startswith(f"A: {dataset}/labelsTr/A.nii.gz: {said}")


def test_thousands_of_values_are_one_short_line(dataset, check):
    save(dataset / "labelsTs" / "C.nii.gz", np.linspace(0, 1, 120).reshape(5, 6, 4).astype(np.float32))
    (line,) = faults(check(dataset)[1])
    assert "and 113 more" in line  # 120 values, of which 0 and 1 are whole and 5 are named
    assert len(line) < 400


def test_the_five_most_frequent_of_unknown_values_are_listed():
    voxels = {2.0: 1, 3.0: 9, 4.0: 2, 5.0: 7, 6.0: 3}
    for found, said in (
        (voxels, "3 (9 voxels), 5 (7 voxels), 6 (3 voxels), 4 (2 voxels), 2 (1 voxel)"),
        ({**voxels, 7.0: 8}, "3 (9 voxels), 7 (8 voxels), 5 (7 voxels), 6 (3 voxels), 4 (2 voxels) and 1 more"),
    ):
        (fault,) = value_faults(found, known=(1,), file=Path("A.nii.gz"))
        assert fault.problem.endswith(f"unknown label values {said}")


def test_a_label_stored_as_float_and_the_values_of_regions_are_sound(dataset, check):
    describe(dataset, 2, labels={"background": 0, "whole": [1, 2, 3], "core": [1, 3]}, regions_class_order=[2, 1])
    save(dataset / "labelsTr" / "A.nii.gz", lesion().astype(np.float64) * 3)
    assert check(dataset)[0] == 0


@pytest.mark.parametrize(
    ("shape", "moved_mm", "distance"),
    [((5, 6, 4), 2.5, "2.5"), ((5, 6, 7), 0, "3.0"), ((5, 6, 7), 4, "7.0"), ((8, 6, 8), 0, "5.0")],
)
def test_a_label_on_another_grid_names_the_largest_corner_distance(dataset, check, shape, moved_mm, distance):
    """The corner farthest from the origin moves by the slices added and the shift; 3 and 4 voxels of 1 mm make 5."""
    save(dataset / "labelsTr" / "B.nii.gz", lesion(shape=shape), moved_mm=moved_mm)
    (line,) = faults(check(dataset)[1])
    assert line.startswith(f"B: {dataset}/labelsTr/B.nii.gz: ")
    assert f"the corners are up to {distance} mm apart" in line


def test_one_empty_label_is_a_note_and_all_empty_are_a_fault(dataset, check):
    write_case(dataset, "A", empty=True)
    code, lines = check(dataset)
    assert code == 0
    assert f"note: A: {dataset}/labelsTr/A.nii.gz: the label is empty" in lines
    write_case(dataset, "B", empty=True)
    code, lines = check(dataset)
    assert code == 1
    (line,) = faults(lines)
    assert line.startswith(f"{dataset}/labelsTr: all 2 labels are empty. Do not plan")


def test_images_without_label_and_labels_without_image_are_found(dataset, check):
    (dataset / "labelsTr" / "A.nii.gz").rename(dataset / "labelsTr" / "X.nii.gz")
    (dataset / "labelsTr" / "B.nii.gz").rename(dataset / "labelsTr" / "B.nii")
    (dataset / "labelsTs" / "C.nii.gz").unlink()
    found = faults(check(dataset)[1])
    assert len(found) == 4
    assert found[0].startswith("A: there is no label")
    assert found[1].startswith("B: there is no label")
    assert "labelsTr/B.nii: a label without images. Name it <case>.nii.gz" in found[2]
    assert found[3].startswith(f"X: {dataset}/labelsTr/X.nii.gz: a label without images")


def test_a_case_in_training_and_test_is_found_and_both_are_checked(dataset, check):
    write_case(dataset, "A", subset="Ts")
    truncate(dataset / "imagesTs" / "A_0001.nii.gz")
    code, lines = check(dataset)
    assert code == 1
    first, second = faults(lines)
    assert first.startswith("A: the patient is in imagesTr and in imagesTs")
    assert second.startswith(f"A (imagesTs): {dataset}/imagesTs/A_0001.nii.gz")


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ([{"train": ["A", "B"], "val": ["B"]}], "B: the patient is in training of split 0 and in its validation"),
        ([{"train": ["A"], "val": ["B", "C"]}], "C: it is in splits_final.json, but not in imagesTr"),
    ],
)
def test_a_patient_on_two_sides_of_a_split_is_found(dataset, check, splits, said):
    (dataset / "splits_final.json").write_text(json.dumps(splits))
    code, lines = check(dataset)
    assert code == 1
    (line,) = faults(lines)
    assert line.startswith(said)


def manifest(dataset, **patients) -> None:
    settings = {"channel_names": list(CHANNELS), "labels": LABELS}
    (dataset / "manifest.json").write_text(json.dumps({"version": 1, "settings": settings, "patients": patients}))


def test_a_manifest_that_says_another_split_is_found(dataset, check):
    manifest(dataset, A={"split": "test"}, B={"split": "val"}, C={"split": "train"})
    found = faults(check(dataset)[1])
    assert [line.split(". ")[0] for line in found] == [
        "A: its split is test in manifest.json, but train in the data set",
        "B: its split is val in manifest.json, but train in the data set",
        "C: its split is train in manifest.json, but test in the data set",
    ]
    manifest(dataset, A={"split": "train"}, B={"split": "val"}, C={"split": "test"})
    (dataset / "splits_final.json").write_text(json.dumps([{"train": ["A"], "val": ["B"]}]))
    assert check(dataset)[0] == 0


def test_time_points_and_images_of_one_patient_on_two_sides_are_found(dataset, check):
    manifest(
        dataset,
        A={"split": "train", "person": "P"},
        B={"split": "train", "sequences": {"flair": {"present": True, "sha256": "f00"}, "bravo": {"present": False}}},
        C={"split": "test", "person": "P", "sequences": {"flair": {"present": True, "sha256": "f00"}}},
    )
    first, second = faults(check(dataset)[1])
    assert first.startswith("A: the patient is in imagesTr and as C in imagesTs")
    assert second.startswith("B: it has the same image as C, which is in another split")


@pytest.mark.parametrize("other", ["Müller 1", unicodedata.normalize("NFD", "müller 1")])
def test_ids_with_blanks_and_umlauts_are_sound_but_not_two_that_are_spelled_alike(dataset, check, other):
    write_case(dataset, "müller 1")
    describe(dataset, 3)
    assert check(dataset)[0] == 0
    write_case(dataset, other)
    describe(dataset, 4)
    (line,) = faults(check(dataset)[1])
    assert "are spelled alike" in line


def test_a_wrong_number_of_training_cases_is_found(dataset, check):
    describe(dataset, 5)
    (line,) = faults(check(dataset)[1])
    assert "dataset.json: numTraining is 5, imagesTr has 2 cases" in line


@pytest.mark.parametrize("name", ["A_0004.nii.gz", "A_003.nii.gz", "A_0003.NII.GZ", "A.nii.gz", "A_0003.mha"])
def test_misnamed_files_are_faults_of_their_case(dataset, check, name):
    (dataset / "imagesTr" / "A_0003.nii.gz").rename(dataset / "imagesTr" / name)
    code, lines = check(dataset)
    assert code == 1
    named, absent = faults(lines)
    assert named.startswith(f"A: {dataset}/imagesTr/{name}: ")
    assert absent.startswith("A: there is no file _0003 (flair)")


def test_the_eleventh_channel_comes_after_the_tenth_and_not_after_the_second():
    names = [f"s{i}" for i in range(11)]
    assert channel_names({str(i): names[i] for i in reversed(range(11))}) == tuple(names)


def test_availability_is_counted_by_pattern_and_split(dataset, check):
    """B and D lack bravo, E flair; A and C have all four. D validates, F is in no half of the split and all zero."""
    write_case(dataset, "B", absent=(0,))
    write_case(dataset, "D", absent=(0,))
    write_case(dataset, "E", subset="Ts", absent=(3,))
    write_case(dataset, "F", absent=(0, 1, 2, 3))
    describe(dataset, 4)
    (dataset / "splits_final.json").write_text(json.dumps([{"train": ["A", "B"], "val": ["D"]}]))
    code, lines = check(dataset)
    assert code == 1
    assert lines[-6:-1] == [
        "   train     val    test  unused   cases  sequences",
        "       1       0       1       0       2  bravo+t1_pre+t1_gd+flair",
        "       1       1       0       0       2  t1_pre+t1_gd+flair",
        "       0       0       1       0       1  bravo+t1_pre+t1_gd",
        "       0       0       0       1       1  (none)",
    ]


def test_of_patterns_of_as_many_cases_that_of_more_sequences_comes_first():
    patterns = ("", "t1_gd", "t1_gd+flair", "flair", "flair")
    cases = {str(i): CaseCheck(pattern) for i, pattern in enumerate(patterns)}
    assert list(FolderCheck(cases).availability) == ["flair", "t1_gd+flair", "t1_gd", ""]


def test_a_broken_image_is_there_all_the_same(dataset, check):
    truncate(dataset / "imagesTr" / "A_0003.nii.gz")
    _, lines = check(dataset)
    assert lines[-2] == "       2       1       3  bravo+t1_pre+t1_gd+flair"


def test_a_plain_folder_takes_its_channels_from_a_model_and_may_lack_sequences(dataset, check):
    images = dataset / "imagesTs"
    (images / "C_0000.nii.gz").unlink()
    save(images / "D_0002.nii.gz", voxels())
    assert check(images, "-m", dataset) == (
        0,
        [
            "   cases  sequences",
            "       1  t1_pre+t1_gd+flair",
            "       1  t1_gd",
            f"{images}: 2 cases, none with faults",
        ],
    )
    save(images / "D_7.nii.gz", voxels())
    truncate(images / "C_0003.nii.gz")
    code, lines = check(images, "-m", dataset)
    assert code == 1
    first, second = faults(lines)
    assert "C_0003.nii.gz: the file is truncated" in first
    assert first.startswith("C: ")
    assert second.startswith(f"D: {images}/D_7.nii.gz: the name does not end in a channel number of four digits")


def test_what_was_found_is_written_as_json(dataset, check, tmp_path):
    truncate(dataset / "imagesTr" / "A_0003.nii.gz")
    write_case(dataset, "B", empty=True, absent=(0,))
    code, _ = check(dataset, "--json", tmp_path / "out" / "check.json")
    assert code == 1
    written = json.loads((tmp_path / "out" / "check.json").read_text())
    assert written["command"] == "check"
    assert {case: found["status"] for case, found in written["cases"].items()} == {"A": "failed", "B": "ok", "C": "ok"}
    assert "truncated" in written["cases"]["A"]["problem"]
    assert written["cases"]["A"]["faults"][0]["remedy"] == "Copy it again from its source."
    assert written["cases"]["B"]["notes"][0]["problem"].endswith("the label is empty")
    assert (written["cases"]["B"]["split"], written["cases"]["B"]["pattern"]) == ("train", "t1_pre+t1_gd+flair")
    assert written["availability"]["t1_pre+t1_gd+flair"] == {"train": 1}


@pytest.mark.parametrize("harm", ["no folder", "no dataset.json", "no image", "dataset.json", "splits", "manifest"])
def test_where_nothing_can_be_checked_the_command_ends_with_two(dataset, capsys, harm):
    if harm == "no folder":
        dataset.rename(dataset.parent / "elsewhere")
    elif harm == "no image":
        for file in dataset.glob("images*/*"):
            file.unlink()
    elif harm == "no dataset.json":
        (dataset / "dataset.json").unlink()
    else:
        name = {"dataset.json": "dataset.json", "splits": "splits_final.json", "manifest": "manifest.json"}[harm]
        (dataset / name).write_text('[{"train": 3}]')
    assert main(["check", "-i", str(dataset)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("seqdropout: ")
    assert str(dataset) in said


def test_several_processes_find_the_same_as_one(dataset):
    truncate(dataset / "imagesTr" / "A_0003.nii.gz")
    (dataset / "imagesTr" / "B_0004.nii.gz").write_bytes(b"")
    assert check_dataset(dataset, n_workers=2) == check_dataset(dataset)


def test_every_file_is_read_once(dataset, monkeypatch):
    from dataset_conversion.checks import case as preflight

    read: list[Path] = []

    def noted(file: Path) -> sitk.Image:
        read.append(file)
        return sitk.ReadImage(str(file))

    monkeypatch.setattr(preflight, "read_image", noted)
    monkeypatch.setattr(preflight, "read_channels", lambda file: [noted(file)])
    check_dataset(dataset)
    assert sorted(read) == sorted(dataset.glob("*T[rs]/*.nii.gz"))


def test_a_file_that_may_not_be_opened_is_a_fault_like_others(tmp_path, monkeypatch):
    from dataset_conversion.checks import case as preflight

    def refuse(file):
        raise PermissionError(13, "Permission denied")

    for name in ("read_image", "read_channels"):
        monkeypatch.setattr(preflight, name, refuse)
    found = check_case({0: tmp_path / "A_0000.nii.gz"}, channel_names=CHANNELS, label=tmp_path / "A.nii.gz")
    assert [fault.problem.split(": ")[1] for fault in found.faults] == ["it cannot be opened (Permission denied)"] * 2
    assert found.labelled_voxels is None


def test_without_known_labels_every_whole_number_is_one(tmp_path):
    image = save(tmp_path / "A_0000.nii.gz", voxels())
    label = save(tmp_path / "A.nii.gz", lesion() * 77)
    found = check_case({0: image}, channel_names=CHANNELS, label=label)
    assert (found.faults, found.notes, found.labelled_voxels, found.pattern) == ((), (), 2, "bravo")
