"""Layouts as data: every shipped one on a tiny tree of its shape, patterns, and what is wrong with a layout file."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import PROJECT

from dataset_conversion.faults import Fault
from dataset_conversion.raw.layout import SHIPPED, read_layout, shipped_layouts
from dataset_conversion.raw.sources.patients import find_patients
from dataset_conversion.raw.splits import declared_splits
from nnunet_seqdropout.cli.command import main

GENERIC = """
channels: [t1_gd, flair]
labels: {background: 0, metastasis: 1}
reference: t1_gd
images:
  t1_gd: ["**/{patient:[A-Z]+}/{time:\\\\d+}/CT1", "**/{patient:[A-Z]+}/{time:\\\\d+}/T1_{:post|gd}*"]
  flair: "**/{patient:[A-Z]+}/{time:\\\\d+}/FLAIR"
label:
  - {files: ["**/{patient:[A-Z]+}/{time:\\\\d+}/*mask*"], map: {255: 1}, unite: true}
split: {default: train, unlabelled: test, folders: {held_out: test}}
"""


def write(folder: Path, *files: str, value: int = 1) -> None:
    """Tiny images, each its own; a label (seg or mask in its name) has two voxels of ``value``."""
    for place, file in enumerate(files):
        voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5) + sum(file.encode())
        if "seg" in file or "mask" in file:
            voxels = np.zeros((3, 4, 5), np.uint8)
            voxels[1, 1, place % 2 : place % 2 + 2] = value
        path = folder / f"{file}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))


UCSF_FILES = ("T1pre", "T1post", "FLAIR", "T2Synth", "subtraction", "seg", "BraTS-seg")
TREES = {
    "hospital_a": (
        [f"train/Mets_001/{name}" for name in ("bravo", "t1_pre", "t1_gd", "flair", "seg")]
        + [f"test_3/Mets_002/{name}" for name in ("BRAVO", "T1", "T1ce", "t2f")],
        {
            "Mets_001": ("train", "bravo t1_pre t1_gd flair", True),
            "Mets_002": ("test", "bravo t1_pre t1_gd flair", False),
        },
    ),
    "hospital_b": (
        [
            "val/P1/t1_pre",
            "val/P1/t1_gd",
            "val/P1/flair",
            "val/P1/seg",
            "test/P2/t1_gd",
            "test/P2/label_mask",
            "test/P2/mask",
        ],
        {"P1": ("val", "t1_pre t1_gd flair", True), "P2": ("test", "t1_gd", True)},
    ),
    "brats": (
        [
            "G/Brats18_1/Brats18_1_t1",
            "G/Brats18_1/Brats18_1_t1ce",
            "G/Brats18_1/Brats18_1_seg",
            "M-1-0/M-1-0-t2f",
            "M-1-0/M-1-0-seg",
        ],
        {"Brats18_1": ("train", "t1n t1c", True), "M-1-0": ("train", "t2f", True)},
    ),
    "brats_mets": (
        [f"BraTS-MET-00001-00{t}/BraTS-MET-00001-00{t}-{name}" for t in (0, 1) for name in ("t1n", "t1c", "t2f", "seg")]
        + ["BraTS-MET-00002-000/BraTS-MET-00002-000-t1c", "BraTS-MET-00002-000/BraTS-MET-00002-000-seg"],
        {
            "BraTS-MET-00001_000": ("train", "t1n t1c t2f", True),
            "BraTS-MET-00001_001": ("train", "t1n t1c t2f", True),
            "BraTS-MET-00002_000": ("train", "t1c", True),
        },
    ),
    "ucsf_bmsr": (
        [f"UCSF_BrainMetastases_TRAIN/100101{t}/100101{t}_{name}" for t in "AB" for name in UCSF_FILES]
        + ["UCSF_BrainMetastases_TEST/100205A/100205A_T1post"],
        {
            "100101_A": ("train", "t1_pre t1_gd flair", True),
            "100101_B": ("train", "t1_pre t1_gd flair", True),
            "100205_A": ("test", "t1_gd", False),
        },
    ),
    "bids": (
        [
            "sub-01/anat/sub-01_acq-mprage_ce-gadolinium_T1w",
            "sub-01/anat/sub-01_acq-space_T1w",
            "sub-01/anat/sub-01_acq-space_ce-gadolinium_T1w",
            "sub-01/anat/sub-01_acq-space_FLAIR",
            "sub-01/anat/sub-01_T2w",
            "derivatives/labels/sub-01/anat/sub-01_acq-mprage_label-lesion_mask",
            "sub-02/ses-a/anat/sub-02_ses-a_acq-cube_ce-gadolinium_T1w",
            "sub-02/ses-b/anat/sub-02_ses-b_FLAIR",
        ],
        {
            "01": ("train", "bravo t1_pre t1_gd flair", True),
            "02_a": ("test", "t1_gd", False),
            "02_b": ("test", "flair", False),
        },
    ),
}


def summary(source: Path, layout_file: Path, **options) -> dict:
    layout = read_layout(layout_file)
    patients = find_patients(source, layout, **options)
    return {
        case: (patient.split, " ".join(c for c in layout.channels if c in patient.images), bool(patient.label))
        for case, patient in patients.items()
    }


def test_every_shipped_layout_has_a_tree():
    assert sorted(TREES) == shipped_layouts()


@pytest.mark.parametrize("name", TREES)
def test_a_shipped_layout_finds_everybody(tmp_path, name):
    files, expected = TREES[name]
    write(tmp_path, *files)
    assert summary(tmp_path, SHIPPED / f"{name}.yaml") == expected


@pytest.mark.parametrize("name", TREES)
def test_a_shipped_layout_becomes_a_data_set(tmp_path, name, monkeypatch):
    files, expected = TREES[name]
    write(tmp_path / "in", *files)
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    assert main(["convert", name, str(tmp_path / "in"), "-d", "7", "-n", "X", "--register", "never"]) == 0
    manifest = json.loads((tmp_path / "raw" / "Dataset007_X" / "manifest.json").read_text())["patients"]
    assert {case: entry["split"] for case, entry in manifest.items()} == {c: e[0] for c, e in expected.items()}
    for case, (split, present, _) in expected.items():
        images = sorted((tmp_path / "raw" / "Dataset007_X").glob(f"images{'Ts' if split == 'test' else 'Tr'}/{case}_*"))
        shown = [sitk.GetArrayFromImage(sitk.ReadImage(str(image))).any() for image in images]
        assert sum(shown) == len(present.split())
        assert len(images) == len(read_layout(SHIPPED / f"{name}.yaml").channels)


@pytest.fixture
def generic(tmp_path) -> Path:
    (tmp_path / "layout.yaml").write_text(GENERIC)
    return tmp_path / "layout.yaml"


def test_ones_own_layout_prefers_unites_and_splits_as_it_says(tmp_path, generic, monkeypatch):
    write(tmp_path / "in", "AB/1/CT1", "AB/1/T1_post_x", "AB/1/FLAIR", "AB/1/mask_1", "AB/1/mask_2", value=255)
    write(tmp_path / "in", "CD/1/T1_gd", "held_out/EF/3/FLAIR", "held_out/EF/3/mask")
    assert summary(tmp_path / "in", generic) == {
        "AB_1": ("train", "t1_gd flair", True),
        "CD_1": ("test", "t1_gd", False),
        "EF_3": ("test", "flair", True),
    }
    chosen = find_patients(tmp_path / "in", read_layout(generic))["AB_1"].images["t1_gd"]
    assert chosen.name == "CT1.nii.gz"
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    command = ["convert", "generic", "--layout", str(generic), str(tmp_path / "in"), "-d", "7", "-n", "X"]
    assert main([*command, "--register", "never", "--map", "1=1"]) == 0
    # two masks of two voxels each that share one
    label = sitk.ReadImage(str(tmp_path / "raw" / "Dataset007_X" / "labelsTr" / "AB_1.nii.gz"))
    assert sitk.GetArrayFromImage(label).sum() == 3


def test_a_patient_who_is_named_twice_in_a_pattern_has_one_name(tmp_path):
    write(tmp_path, "P1/P1_flair", "P1/P1_seg", "P2/P2_flair", "P2/P1_seg")
    layout = tmp_path / "layout.yaml"
    layout.write_text("""
channels: [flair]
labels: {background: 0, metastasis: 1}
images: "{patient}/{patient}_{sequence}"
label:
  - {files: ["{patient}/{patient}_seg"], map: {1: 1}}
""")
    assert summary(tmp_path, layout) == {"P1": ("train", "flair", True), "P2": ("train", "flair", False)}


def test_patients_are_named_with_all_their_time_points(tmp_path):
    write(tmp_path, *TREES["ucsf_bmsr"][0])
    found = summary(tmp_path, SHIPPED / "ucsf_bmsr.yaml", val=["100101"])
    assert [found[case][0] for case in ("100101_A", "100101_B")] == ["val", "val"]
    with pytest.raises(
        Fault, match=r"time points of 100101 are in different splits: 100101_A \(val\), 100101_B \(train\)"
    ):
        summary(tmp_path, SHIPPED / "ucsf_bmsr.yaml", val=["100101_A"])


def test_hidden_files_are_passed_over(tmp_path):
    write(tmp_path, "P1/flair", ".trash/P2/flair")
    assert list(summary(tmp_path, SHIPPED / "hospital_a.yaml")) == ["P1"]


def test_nobody_there_says_what_was_looked_for(tmp_path):
    with pytest.raises(
        Fault, match=r"no image below .* is named as the layout says: BIDS: sub-01.*There is no image at all"
    ):
        summary(tmp_path, SHIPPED / "bids.yaml")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("channels: [t1_gd, flair]", "", "channels is missing: it should be a list"),
        ("channels: [t1_gd, flair]", "channels: [t1_gd]", "images of flair, which is not among the channels"),
        ("reference: t1_gd", "reference: bravo", "the reference bravo is not among the channels"),
        ("metastasis: 1", "metastasis: 2", "the labels must be 0, 1, 2"),
        ("255: 1", "255: 5", "the label value 5 has no name"),
        ("default: train", "default: training", "split.default should be one of train, val, test, and is 'training'"),
        ("{patient:[A-Z]+}/{time:\\\\d+}/FLAIR", "FLAIR", r"a pattern does not contain \{patient\}"),
        ("[A-Z]+", "[A-Z", "invalid layout"),
        ("labels: {", "labels: [", "a layout cannot be read: this is no YAML"),
    ],
)
def test_what_is_wrong_with_a_layout_is_said(generic, old, new, problem):
    assert old in GENERIC
    generic.write_text(GENERIC.replace(old, new))
    with pytest.raises(Fault, match=problem):
        read_layout(generic)


def test_stored_values_of_a_label_may_be_quoted(generic):
    generic.write_text(GENERIC.replace("255: 1", '"255": "1"'))
    assert read_layout(generic).label[0].mapping[255] == 1


@pytest.mark.parametrize("options", [["nowhere"], ["generic"], ["brats", "--layout", "x.yaml"]])
def test_a_layout_that_is_not_there_ends_with_two(tmp_path, capsys, options):
    assert main(["convert", *options, str(tmp_path), "-d", "1", "-n", "X"]) == 2
    assert "layout" in capsys.readouterr().err


def data_set(tmp_path, monkeypatch, layout: str, *options: str, source: str = "in") -> tuple[int, Path]:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    command = ["convert", layout, str(tmp_path / source), "-d", "7", "-n", "X", "--register", "never", *options]
    return main(command), tmp_path / "raw" / "Dataset007_X"


@pytest.mark.parametrize(("n_patients", "n_folds"), [(6, 5), (3, 3), (2, 2)])
def test_folds_are_declared_by_patient_where_patients_have_several_time_points(
    tmp_path, monkeypatch, n_patients, n_folds
):
    for number in range(n_patients):
        for time in "AB":
            write(tmp_path / "in", f"10{number}{time}/10{number}{time}_FLAIR", f"10{number}{time}/10{number}{time}_seg")
    code, folder = data_set(tmp_path, monkeypatch, "ucsf_bmsr")
    splits = json.loads((folder / "splits_final.json").read_text())
    assert (code, len(splits)) == (0, n_folds)
    for split in splits:
        assert not {case[:3] for case in split["train"]} & {case[:3] for case in split["val"]}
        assert len(split["train"]) + len(split["val"]) == 2 * n_patients
    cases = [f"10{n}_{time}" for n in range(n_patients) for time in "AB"]
    assert sorted(case for split in splits for case in split["val"]) == cases


def test_a_single_patient_with_two_time_points_can_validate_nobody():
    in_split = {"train": ["1_A", "1_B"], "val": []}
    assert declared_splits(in_split, {"1_A": "1", "1_B": "1"}) == []


def test_a_time_point_that_comes_later_stays_in_its_patients_split(tmp_path, monkeypatch, capsys):
    write(tmp_path / "in", "7A/7A_FLAIR", "7A/7A_seg", "8A/8A_FLAIR", "8A/8A_seg")
    write(tmp_path / "later", "7B/7B_FLAIR")
    assert data_set(tmp_path, monkeypatch, "ucsf_bmsr")[0] == 0
    assert data_set(tmp_path, monkeypatch, "ucsf_bmsr", source="later")[0] == 2
    assert "7 is a train patient in the data set, but a test patient here" in capsys.readouterr().err


def test_an_unlabelled_time_point_of_a_training_patient_is_left_out(tmp_path, monkeypatch):
    write(tmp_path / "in", "7A/7A_FLAIR", "7A/7A_seg", "7B/7B_FLAIR")
    code, folder = data_set(tmp_path, monkeypatch, "ucsf_bmsr")
    cases = json.loads((folder / "summary.json").read_text())["cases"]
    assert (code, cases["7_A"]["status"]) == (1, "ok")
    assert "a time point without a label" in cases["7_B"]["problem"]


def test_two_cases_of_one_id_are_refused(tmp_path):
    write(tmp_path, "a_1/flair", "A_1/flair")
    if len(list(tmp_path.iterdir())) == 2:
        with pytest.raises(Fault, match="would both become the case"):
            summary(tmp_path, SHIPPED / "hospital_a.yaml")


def test_a_brain_mask_is_no_lesion(tmp_path):
    write(tmp_path, "sub-01/anat/sub-01_FLAIR", "derivatives/sub-01/anat/sub-01_desc-brain_mask")
    write(tmp_path, "derivatives/sub-01/anat/sub-01_space-MNI_FLAIR")
    assert summary(tmp_path, SHIPPED / "bids.yaml") == {"01": ("test", "flair", False)}


def test_a_label_is_not_mapped_to_what_has_no_name(tmp_path, monkeypatch, capsys):
    write(tmp_path / "in", "P1/flair", "P1/seg", value=255)
    assert data_set(tmp_path, monkeypatch, "hospital_a", "--map", "255=300")[0] == 2
    assert "--map gives the value 300, which is not a label of the data set" in capsys.readouterr().err


NYU = "imaging/patientId/17/studyId"
EXAMPLES = [
    (
        [f"{NYU}/{file}" for file in ("3/T1", "3/CT1", "3/RTSTRUCT_segmentation", "3/RTSTRUCT_MRI", "4/FLAIR")],
        {"17_3": ("train", "t1_pre t1_gd", True)},  # 4 has no label
    ),
    ([f"BCBM/7/7_{name}" for name in ("image_ss_n4", "mask_1", "mask_2")], {"7": ("train", "t1_gd", True)}),
    (["P1/a_img_1", "P1/a_msk_1"], {"P1": ("train", "t1_gd", True)}),
]


@pytest.mark.parametrize("number", range(3))
def test_the_documented_layouts_find_the_data_sets_that_they_are_for(tmp_path, number):
    page = (PROJECT / "docs" / "layouts.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert len(examples) == len(EXAMPLES)
    (tmp_path / "layout.yaml").write_text(examples[number])
    files, expected = EXAMPLES[number]
    write(tmp_path / "in", *files)
    patients = find_patients(tmp_path / "in", read_layout(tmp_path / "layout.yaml"))
    sound = {case: patient for case, patient in patients.items() if not patient.fault}
    found = summary(tmp_path / "in", tmp_path / "layout.yaml")
    assert {case: found[case] for case in sound} == expected
