"""What lies in a hospital's folder is used, or it is said that it is not; links are followed, dead ones are faults."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.raw.layout import SHIPPED, read_layout
from dataset_conversion.raw.sources.listing import find_files
from dataset_conversion.raw.sources.patients import find_patients
from nnunet_seqdropout.cli.command import main

HOSPITAL_A = read_layout(SHIPPED / "hospital_a.yaml")


def write(folder: Path, *files: str) -> None:
    """Tiny images, each its own; labels have two voxels. A name without an ending is .nii.gz."""
    for file in files:
        path = folder / (file if "." in Path(file).name else f"{file}.nii.gz")
        path.parent.mkdir(parents=True, exist_ok=True)
        voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5) + sum(file.encode())
        if "seg" in file or "mask" in file:
            voxels = (voxels < voxels.min() + 2).astype(np.uint8)
        if path.name.endswith((".nii.gz", ".mhd")):
            sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
        else:
            path.write_bytes(voxels.tobytes())


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    return tmp_path / "raw" / "Dataset001_X"


def convert(source: Path, layout: str = "hospital_a") -> int:
    return main(["convert", layout, str(source), "-d", "1", "-n", "X", "--register", "never"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("flair.mgz", ".mgz is not read: convert it to .nii.gz"),
        ("flair.hdr", ".hdr is not read"),
        ("flair.mhd", ".mhd is not read"),
        ("flair.dcm", ".dcm is not read: convert it with seqdropout dicom"),
        ("flair_0000.nii.gz", "its name is none that the layout knows"),
        ("localizer.nii.gz", "its name is none that the layout knows"),
        ("scans/T1 axial.nii.gz", "its name is none that the layout knows"),
    ],
)
def test_what_is_not_used_of_a_patient_is_named(tmp_path, raw, caplog, name, why):
    write(tmp_path / "in", "P1/bravo", "P1/flair", "P1/seg", f"P1/{name}", "P2/bravo", "P2/seg")
    assert convert(tmp_path / "in") == 0
    patients = json.loads((raw / "manifest.json").read_text())["patients"]
    (said,) = [warning for warning in patients["P1"]["warnings"] if "is not used" in warning]
    assert f"P1/{name} is not used: {why}" in said
    assert f"P1: {said}" in caplog.text
    assert not any("not used" in warning for warning in patients["P2"]["warnings"])


@pytest.mark.parametrize("name", ["flair.mgz", "flair.img", "FLAIR.nii.bz2", "flair.mhd", "flair.dcm", "seg.mgz"])
def test_a_sequence_or_label_that_is_there_only_in_a_type_that_is_not_read_is_not_absent(tmp_path, raw, name):
    write(tmp_path / "in", "P1/bravo", f"P1/{name}", "P2/bravo", "P2/seg")
    if "seg" not in name:
        write(tmp_path / "in", "P1/seg")
    assert convert(tmp_path / "in") == 1
    outcomes = json.loads((raw / "summary.json").read_text())["cases"]
    assert (outcomes["P1"]["status"], outcomes["P2"]["status"]) == ("failed", "ok")
    what = "label" if "seg" in name else "flair"
    problem = f"this type of file is not read, and it is the only {what}"
    assert outcomes["P1"]["problem"] == f"{tmp_path}/in/P1/{name}: {problem}"
    assert "Convert it to NIfTI (DICOM with seqdropout dicom), or remove it" in outcomes["P1"]["remedy"]
    assert not [*raw.glob("imagesT*/P1_*")]


def test_a_time_point_of_types_that_are_not_read_is_no_note_on_another(tmp_path, raw, caplog):
    """The files of all time points lie in one folder, which is the patient's."""
    layout = tmp_path / "own.yaml"
    layout.write_text(
        "channels: [bravo, flair]\nlabels: {background: 0, lesion: 1}\nsplit: {default: train, unlabelled: test}\n"
        'images: "{patient}/{time}_{sequence}"\nlabel: [{files: ["{patient}/{time}_seg"], map: {1: 1}}]\n'
    )
    write(tmp_path / "in", "P1/a_bravo", "P1/a_seg", "P1/b_bravo.mgz", "P1/b_seg.mgz", "P1/other")
    words = ["convert", "generic", str(tmp_path / "in"), "--layout", str(layout), "-d", "1", "-n", "X"]
    assert main([*words, "--register", "never"]) == 1
    outcomes = json.loads((raw / "summary.json").read_text())["cases"]
    assert outcomes["P1_a"]["status"] == "ok"
    assert outcomes["P1_b"]["problem"].startswith("none of the images of P1_b is used: b_bravo.mgz (.mgz is not read")
    assert f"P1_a: {tmp_path}/in/P1/other.nii.gz is not used" in caplog.text


def test_what_lies_in_the_folder_of_two_patients_is_named(tmp_path, raw, caplog):
    write(tmp_path / "in", "P1/bravo", "P1/seg", "P1/P2/bravo", "P1/P2/seg", "P1/AX")
    assert convert(tmp_path / "in") == 0
    assert f"P1: {tmp_path}/in/P1/AX.nii.gz is not used" in caplog.text


def test_a_file_of_two_of_one_sequence_that_is_not_preferred_is_named(tmp_path):
    layout = tmp_path / "own.yaml"
    layout.write_text(
        "channels: [flair]\nlabels: {background: 0, lesion: 1}\nsplit: {default: test}\n"
        'images: {flair: ["**/{patient}/FLAIR", "**/{patient}/FLAIR_old"]}\n'
    )
    write(tmp_path / "in", "P1/FLAIR", "P1/FLAIR_old")
    patient = find_patients(tmp_path / "in", read_layout(layout))["P1"]
    assert patient.unused == (f"{tmp_path}/in/P1/FLAIR_old.nii.gz is not used: another flair is preferred",)


def test_a_patient_of_whom_nothing_is_used_is_a_fault(tmp_path, raw):
    write(tmp_path / "in", "P1/bravo", "P1/seg", "P2/AX_T1", "P2/AX_T2", "P3/seg")
    assert convert(tmp_path / "in") == 1
    outcomes = json.loads((raw / "summary.json").read_text())["cases"]
    why = "its name is none that the layout knows"
    assert outcomes["P1"]["status"] == "ok"
    problem = f"none of the images of P2 is used: AX_T1.nii.gz ({why}), AX_T2.nii.gz ({why})"
    assert outcomes["P2"]["problem"] == problem
    assert outcomes["P3"]["problem"] == "none of the images of P3 is used: seg.nii.gz (a label without images)"


def test_what_lies_beside_the_images_of_a_patient_is_no_patient_of_its_own(tmp_path):
    """BIDS: other kinds of images below the same subject. In train, which is nobody's folder, P2 is another patient."""
    write(tmp_path / "bids", "sub-01/anat/sub-01_T1w", "sub-01/dwi/sub-01_dwi", "derivatives/x/sub-02/y")
    (patient,) = find_patients(tmp_path / "bids", read_layout(SHIPPED / "bids.yaml")).values()
    assert [word.split()[0] for word in patient.unused] == [f"{tmp_path}/bids/sub-01/dwi/sub-01_dwi.nii.gz"]
    write(tmp_path / "a", "train/P1/bravo", "train/P2/AX")
    assert list(find_patients(tmp_path / "a", HOSPITAL_A)) == ["P1", "train_P2"]


def test_a_layout_that_fits_nothing_lists_the_names_that_there_are(tmp_path, capsys):
    write(tmp_path, "P1/AX_T1", "P1/AX_T2.mgz")
    with pytest.raises(Fault) as raised:
        find_patients(tmp_path, HOSPITAL_A)
    assert "is named as the layout says: The paper's Hospital A, which trains: <patient>/<sequence>" in str(
        raised.value
    )
    assert "There are P1/AX_T1.nii.gz, P1/AX_T2.mgz. Give the folder above the patients" in str(raised.value)
    assert "(?" not in str(raised.value)


def test_a_folder_that_is_not_there_is_called_so(tmp_path):
    with pytest.raises(Fault, match="nowhere is not a folder"):
        find_patients(tmp_path / "nowhere", HOSPITAL_A)


def test_links_to_folders_and_files_are_followed_without_end(tmp_path):
    write(tmp_path / "store", "P1/bravo", "P1/seg", "deep/P2/bravo")
    (tmp_path / "in" / "P3").mkdir(parents=True)
    (tmp_path / "in" / "P1").symlink_to(tmp_path / "store" / "P1")
    (tmp_path / "in" / "P2").symlink_to(tmp_path / "store" / "deep" / "P2")
    (tmp_path / "in" / "P3" / "bravo.nii.gz").symlink_to(tmp_path / "store" / "P1" / "bravo.nii.gz")
    (tmp_path / "in" / "P3" / "again").symlink_to(tmp_path / "in")  # a loop
    found = find_patients(tmp_path / "in", HOSPITAL_A)
    assert {"P1", "P2", "P3"} <= found.keys()
    assert found["P1"].images == {"bravo": tmp_path / "in" / "P1" / "bravo.nii.gz"}


def test_folders_that_link_each_other_are_looked_into_once_and_not_on_every_way(tmp_path):
    """Twelve of them have more than a thousand million ways through all others."""
    write(tmp_path / "in", *(f"P{i}/bravo" for i in range(12)), "P0/AX")
    for i in range(12):
        for k in range(12):
            (tmp_path / "in" / f"P{i}" / f"to_{k}").symlink_to(tmp_path / "in" / f"P{k}")
    listing = find_files(tmp_path / "in", HOSPITAL_A)
    assert len(listing.found) < 12 * 13
    assert len(listing.unused) == 1
    assert {f"P{i}" for i in range(12)} <= {found.patient for found in listing.found}


def test_a_folder_that_is_linked_inside_its_own_tree_gives_its_patients_once(tmp_path, raw, caplog):
    """Links to the folder above, to a folder beside, and from one file to another; nothing is a patient twice."""
    write(tmp_path / "in", "A/P1/bravo", "A/P1/flair", "A/P1/seg", "A/P1/AX", "A/P2/bravo", "A/P2/seg")
    (tmp_path / "in" / "A" / "P1" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "0_all").symlink_to(tmp_path / "in" / "A")
    (tmp_path / "in" / "z_all").symlink_to(tmp_path / "in" / "A")
    (tmp_path / "in" / "A" / "P1" / "fla.nii.gz").symlink_to("flair.nii.gz")
    assert convert(tmp_path / "in") == 0
    patients = json.loads((raw / "manifest.json").read_text())["patients"]
    assert {*patients} == {"P1", "P2"}
    assert patients["P1"]["sequences"]["flair"]["present"]
    (said,) = [line for line in caplog.text.splitlines() if "is not used" in line]
    assert "P1/AX.nii.gz is not used: its name is none that the layout knows" in said


@pytest.mark.parametrize("split", ["one", "two"])
def test_a_link_to_another_patient_is_a_second_patient_with_the_same_image(tmp_path, raw, caplog, split):
    write(tmp_path / "in", "P1/bravo", "P1/seg", "P3/bravo", "P3/seg")
    (tmp_path / "in" / "P2").symlink_to("P1")
    words = ["convert", "hospital_a", str(tmp_path / "in"), "-d", "1", "-n", "X", "--register", "never"]
    if split == "one":
        assert main(words) == 0
        assert "P2 has the same image as P1: they may be one patient under two names" in caplog.text
    else:
        assert main([*words, "--test", "P2"]) == 1
        cases = json.loads((raw / "summary.json").read_text())["cases"]
        assert cases["P2"]["problem"] == "it has the same image as P1, which is in another split"
        assert [cases[case]["status"] for case in ("P1", "P2", "P3")] == ["failed", "failed", "ok"]


def test_a_patient_who_is_linked_into_the_folders_of_two_splits_is_at_fault(tmp_path):
    (tmp_path / "own.yaml").write_text(
        "channels: [bravo]\nlabels: {background: 0, lesion: 1}\nimages: '**/{patient}/{sequence}'\n"
        "split: {default: train, folders: {training: train, testing: test}}\n"
    )
    layout = read_layout(tmp_path / "own.yaml")
    write(tmp_path / "in", "store/P1/bravo", "store/P2/bravo")
    for link in ("training/P1", "testing/P2", "testing/P1"):
        (tmp_path / "in" / link).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / link).symlink_to(tmp_path / "in" / "store" / Path(link).name)
    found = find_patients(tmp_path / "in", layout)
    assert found["P2"].split == "test"
    assert found["P2"].fault is None
    assert "below folders of different splits: test, train" in str(found["P1"].fault)
    assert find_patients(tmp_path / "in", layout, val=["P1"])["P1"].fault is None


@pytest.mark.parametrize("name", ["flair", "seg"])
def test_a_link_to_nowhere_is_no_absent_sequence(tmp_path, raw, name):
    """As git-annex leaves one for a file that was not fetched."""
    write(tmp_path / "in", "P1/bravo", "P1/flair", "P1/seg", "P2/bravo", "P2/seg")
    link = tmp_path / "in" / "P1" / f"{name}.nii.gz"
    link.unlink()
    link.symlink_to("../.git/annex/objects/xx")
    assert convert(tmp_path / "in") == 1
    outcomes = json.loads((raw / "summary.json").read_text())["cases"]
    assert (outcomes["P1"]["status"], outcomes["P2"]["status"]) == ("failed", "ok")
    assert outcomes["P1"]["problem"] == f"{link}: it is a link to a file that is not there"
    assert "git annex get" in outcomes["P1"]["remedy"]


def test_an_id_is_found_however_its_letters_are_composed(tmp_path):
    """macOS keeps u and its dots as two letters; a keyboard types one."""
    write(tmp_path, "Mu\u0308ller/bravo")
    assert find_patients(tmp_path, HOSPITAL_A, test=["M\u00fcller"])["M\u00fcller"].split == "test"


def test_a_name_that_is_no_utf_8_fails_its_patient_alone(tmp_path, raw):
    write(tmp_path / "in", "P1/bravo", "P1/seg", "P2/bravo", "P2/seg")
    (tmp_path / "in" / "P2").rename(tmp_path / "in" / os.fsdecode(b"M\xfcller"))
    assert convert(tmp_path / "in") == 1
    outcomes = json.loads((raw / "summary.json").read_text())["cases"]
    assert outcomes["P1"]["status"] == "ok"
    assert "its name is not written in UTF-8" in outcomes["M?ller"]["problem"]


BIDS = {
    "ce-Gd_T1w": "t1_gd",
    "ce-gadolinium_T1w": "t1_gd",
    "acq-SPACE_ce-Gd_T1w": "t1_gd",
    "acq-mprage_ce-gadobutrol_run-1_T1w": "bravo",
    "acq-BRAVO_ce-Gd_rec-norm_T1w": "bravo",
    "T1w": "t1_pre",
    "acq-space_rec-norm_T1w": "t1_pre",
    "acq-mprage_T1w": "t1_pre",
    "run-2_FLAIR": "flair",
    "acq-cube_FLAIR": "flair",
}


@pytest.mark.parametrize("session", ["", "ses-1_"])
@pytest.mark.parametrize("name", BIDS)
def test_bids_as_people_write_it(tmp_path, name, session):
    folder = f"sub-01/{session.rstrip('_')}/anat" if session else "sub-01/anat"
    write(tmp_path, f"{folder}/sub-01_{session}{name}", "derivatives/seg/sub-01/anat/sub-01_T1w")
    (patient,) = find_patients(tmp_path, read_layout(SHIPPED / "bids.yaml")).values()
    assert list(patient.images) == [BIDS[name]]


def test_of_two_unenhanced_images_the_3d_turbo_spin_echo_is_preferred_and_the_other_named(tmp_path):
    write(tmp_path, "sub-01/anat/sub-01_acq-mprage_T1w", "sub-01/anat/sub-01_acq-cube_T1w")
    (patient,) = find_patients(tmp_path, read_layout(SHIPPED / "bids.yaml")).values()
    assert patient.images["t1_pre"].name == "sub-01_acq-cube_T1w.nii.gz"
    assert "sub-01_acq-mprage_T1w.nii.gz is not used: another t1_pre is preferred" in patient.unused[0]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda file: file.unlink() or file.symlink_to("gone"), "it is a link to a file that is not there"),
        (lambda file: file.rename(file.with_name("A_0001.mgz")), "this data set reads .nii.gz only. Convert it to"),
        (lambda file: file.rename(file.with_name("A_0001.dcm")), "this data set reads .nii.gz only"),
    ],
)
def test_a_folder_of_channels_passes_over_nothing(tmp_path, capsys, harm, said):
    """As ``predict``, ``fill`` and ``check`` read one."""
    write(tmp_path / "images", "A_0000", "A_0001", "B_0000", "B_0001")
    (tmp_path / "model").mkdir()
    description = {"channel_names": {"0": "t1_gd", "1": "flair"}, "labels": {"background": 0, "x": 1}}
    (tmp_path / "model" / "dataset.json").write_text(json.dumps({**description, "file_ending": ".nii.gz"}))
    harm(tmp_path / "images" / "A_0001.nii.gz")
    assert main(["check", "-i", str(tmp_path / "images"), "-m", str(tmp_path / "model")]) == 1
    printed = capsys.readouterr().out
    assert f"A: {tmp_path}/images/A_0001" in printed
    assert said in printed
    assert "2 cases, 1 of them with faults" in printed


def test_a_pattern_that_fits_nothing_while_images_are_left_is_a_fault_of_the_layout(tmp_path, raw, capsys):
    own = (
        "channels: [t1_gd, flair]\nlabels: {background: 0, lesion: 1}\nsplit: {default: test}\n"
        'images: {t1_gd: "{patient}/CT1", flair: "{patient}/FLIAR"}\n'
    )
    (tmp_path / "own.yaml").write_text(own)
    words = ["convert", "generic", str(tmp_path / "in"), "--layout", str(tmp_path / "own.yaml"), "-d", "1", "-n", "X"]
    write(tmp_path / "in", "P1/CT1")
    # nothing is left that could be it: nobody has it
    assert main([*words, "--dry-run"]) == 0
    write(tmp_path / "in", "P1/FLAIR")
    assert main([*words, "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "no file fits {patient}/FLIAR, as flair should be" in said
    assert "P1/FLAIR.nii.gz is not used" in said
    (tmp_path / "own.yaml").write_text(f"{own}optional: [flair]\n")
    assert main([*words, "--dry-run"]) == 0


def test_a_patient_behind_a_link_to_nowhere_is_a_failed_case(tmp_path, raw):
    write(tmp_path / "in", "P1/bravo", "P1/seg")
    (tmp_path / "in" / "P2").symlink_to("gone")
    (tmp_path / "in" / "README.md").symlink_to("gone")
    assert convert(tmp_path / "in") == 1
    cases = json.loads((raw / "summary.json").read_text())["cases"]
    assert {case: outcome["status"] for case, outcome in cases.items()} == {"P1": "ok", "P2": "failed"}
    assert "P2: it is a link to a file that is not there" in cases["P2"]["problem"]


def test_what_came_after_the_conversion_is_said_not_to_be_used(tmp_path, raw):
    write(tmp_path / "in", "P1/bravo", "P1/t1", "P1/t1_gd", "P1/flair", "P1/seg")
    assert convert(tmp_path / "in") == 0
    for _ in range(2):
        write(tmp_path / "in", "P1/dwi")
        assert convert(tmp_path / "in") == 0
        (said,) = json.loads((raw / "manifest.json").read_text())["patients"]["P1"]["warnings"]
        assert "P1/dwi.nii.gz is not used" in said


def test_a_label_behind_a_dead_link_is_one_fault_of_check(tmp_path, raw, capsys):
    write(tmp_path / "in", "P1/bravo", "P1/seg")
    assert convert(tmp_path / "in") == 0
    (raw / "labelsTr" / "P1.nii.gz").unlink()
    (raw / "labelsTr" / "P1.nii.gz").symlink_to("gone")
    capsys.readouterr()
    assert main(["check", "-i", str(raw)]) == 1
    (said,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("P1: ")]
    assert "P1.nii.gz: it is a link to a file that is not there" in said
