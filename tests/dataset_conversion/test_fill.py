"""``seqdropout fill``: placeholders for absent sequences, and what it says of input it cannot use."""

import gzip
import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.models.folders import description_of_model

CHANNELS = ("bravo", "t1_pre", "t1_gd", "flair")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder as far as ``fill`` reads it."""
    folder = tmp_path / "model"
    folder.mkdir()
    description = {"channel_names": {str(i): name for i, name in enumerate(CHANNELS)}, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(description))
    trained_with_dropout(folder, rescale="paper")
    return folder


def trained_with_dropout(model: Path, **settings: str) -> None:
    """What a trainer with sequence dropout writes into its plans."""
    plans = {"seqdropout": {"subset_law": "uniform_subsets", **settings}}
    (model / "plans.json").write_text(json.dumps(plans))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def write(
    path: Path, voxels: np.ndarray | float = 0.0, *, shape=(4, 6, 5), spacing=(0.9, 0.8, 5.5), origin=(1, -2, 3)
) -> None:
    """An oblique image; a number becomes noise around it, ``voxels`` as an array is written as it is."""
    if not isinstance(voxels, np.ndarray):
        noise = np.random.default_rng(int(voxels)).normal(voxels, 1, shape)
        voxels = np.asarray(noise, np.float32)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection((0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
    sitk.WriteImage(image, str(path))


def case(source: Path, name: str, *channels: int) -> None:
    for channel in channels:
        write(source / f"{name}_{channel:04d}.nii.gz", 100 + channel)


def fill(source: Path, model: Path) -> tuple[int, Path]:
    target = source.parent / "out"
    return main(["fill", "-i", str(source), "-o", str(target), "-m", str(model)]), target


def summary(target: Path) -> dict:
    return json.loads((target / "summary.json").read_text())


def test_an_absent_sequence_becomes_exact_zeros_on_the_same_grid(source, model, caplog):
    caplog.set_level("INFO")
    case(source, "A", 0, 1, 2)
    code, target = fill(source, model)
    assert code == 0
    zeros, reference = (sitk.ReadImage(str(target / f"A_000{c}.nii.gz")) for c in (3, 0))
    assert not sitk.GetArrayFromImage(zeros).any()
    assert zeros.GetPixelID() == sitk.sitkUInt8
    assert zeros.GetSize() == reference.GetSize()
    for geometry in ("Spacing", "Origin", "Direction"):
        ours, theirs = (getattr(image, f"Get{geometry}")() for image in (zeros, reference))
        assert ours == pytest.approx(theirs, abs=1e-6)
    assert "A: missing flair (_0003), using 3 of 4, factor 4/3" in caplog.text
    record = json.loads((target / "A.json").read_text())
    assert record == {"case": "A", "pattern": "bravo+t1_pre+t1_gd", "absent": ["flair"], "factor": pytest.approx(4 / 3)}


def test_images_that_are_there_are_copied_byte_for_byte(source, model):
    case(source, "A", 1, 3)
    _, target = fill(source, model)
    for channel in (1, 3):
        name = f"A_000{channel}.nii.gz"
        assert (target / name).read_bytes() == (source / name).read_bytes()


def test_different_sequences_absent_per_case_are_mapped_by_their_number(source, model, capsys):
    case(source, "A", 1, 2, 3)
    case(source, "B", 2)
    case(source, "C", 0, 3)
    case(source, "D", 1, 2, 3)
    code, target = fill(source, model)
    assert code == 0
    patterns = {name: json.loads((target / f"{name}.json").read_text())["pattern"] for name in "ABCD"}
    assert patterns == {"A": "t1_pre+t1_gd+flair", "B": "t1_gd", "C": "bravo+flair", "D": "t1_pre+t1_gd+flair"}
    for name, present in {"A": (1, 2, 3), "B": (2,), "C": (0, 3)}.items():
        for channel in range(4):
            voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(target / f"{name}_000{channel}.nii.gz")))
            assert voxels.any() == (channel in present)
    assert "2 cases with t1_pre+t1_gd+flair" in capsys.readouterr().out


def test_an_absent_file_a_zero_image_and_a_constant_image_give_the_same_bytes(source, model, caplog):
    for name in "ABC":
        case(source, name, 0, 1, 2)
    write(source / "B_0003.nii.gz", np.zeros((4, 6, 5), np.float32))
    write(source / "C_0003.nii.gz", np.full((4, 6, 5), 0.1, np.float32))
    code, target = fill(source, model)
    assert code == 0
    written = {(target / f"{name}_0003.nii.gz").read_bytes() for name in "ABC"}
    assert len(written) == 1
    assert "C_0003.nii.gz: every voxel is" in caplog.text
    assert "B_0003.nii.gz" not in caplog.text


def test_a_case_without_any_usable_sequence_fails_and_the_others_go_on(source, model):
    case(source, "A", 0)
    write(source / "B_0001.nii.gz", np.zeros((4, 6, 5), np.float32))
    code, target = fill(source, model)
    assert code == 1
    assert summary(target)["cases"]["A"]["status"] == "ok"
    assert summary(target)["cases"]["B"]["status"] == "failed"
    assert "no usable sequence" in summary(target)["cases"]["B"]["problem"]
    assert not list(target.glob("B*"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "A_0004.nii.gz",
            ["A_0004.nii.gz: there is no channel 0004", "0000 bravo, 0001 t1_pre, 0002 t1_gd, 0003 flair"],
        ),
        ("A_003.nii.gz", ["A_003.nii.gz", "four digits", "Rename it to <case>_XXXX.nii.gz", "0003 flair"]),
        ("A_00003.nii.gz", ["A_00003.nii.gz", "four digits"]),
        ("A.nii.gz", ["A.nii.gz", "four digits", "Rename it to A_XXXX.nii.gz"]),
        ("A_0003.NII.GZ", ["A_0003.NII.GZ", "reads .nii.gz only", "Rename it to A_0003.nii.gz"]),
        ("A_flair.nii.gz", ["A_flair.nii.gz", "four digits", "Rename it to A_flair_XXXX.nii.gz"]),
        ("A_0003.mha", ["A_0003.mha", "reads .nii.gz only", "Convert it to .nii.gz"]),
    ],
)
def test_a_name_that_nnunet_would_misread_fails_its_case_by_name(source, model, name, said):
    case(source, "A", 0)
    case(source, "B", 0)
    shutil.copy(source / "A_0000.nii.gz", source / name)
    code, target = fill(source, model)
    assert code == 1
    outcome = summary(target)["cases"]["A"]
    for words in said:
        assert words in outcome["problem"] + outcome["remedy"]
    assert summary(target)["cases"]["B"]["status"] == "ok"
    assert not list(target.glob("A*"))


def test_a_misnamed_file_belongs_to_no_case_of_which_its_name_has_a_part_only(source, model):
    """P10_flair.nii.gz is of P10 and not of P1; P1b.nii.gz, which no underscore parts from P1, is a case of its own."""
    case(source, "P1", 0)
    case(source, "P10", 0)
    for name in ("P10_flair.nii.gz", "P1b.nii.gz"):
        shutil.copy(source / "P1_0000.nii.gz", source / name)
    code, target = fill(source, model)
    assert code == 1
    cases = summary(target)["cases"]
    assert {name: outcome["status"] for name, outcome in cases.items()} == {
        "P1": "ok",
        "P10": "failed",
        "P1b": "failed",
    }


def test_a_misnamed_file_belongs_to_the_case_with_the_longest_name_that_it_begins_with(source, model):
    case(source, "A", 0)
    case(source, "A_1", 0)
    for name in ("A_1_flair.nii.gz", "A_flair.nii.gz", "A_1.nii.gz"):
        shutil.copy(source / "A_0000.nii.gz", source / name)
    _, target = fill(source, model)
    cases = summary(target)["cases"]
    assert {*cases} == {"A", "A_1"}
    assert "A_1_flair.nii.gz" in cases["A_1"]["problem"]
    assert "A_1.nii.gz" in cases["A_1"]["problem"]
    assert "A_flair.nii.gz" in cases["A"]["problem"]
    assert "A_1" not in cases["A"]["problem"]


def test_every_misnamed_file_is_reported_by_itself(source, model):
    for name in ("BraTS_001.nii.gz", "BraTS_002.nii.gz"):
        write(source / name, 5)
    case(source, "BraTS_003", 0)
    code, target = fill(source, model)
    assert code == 1
    cases = summary(target)["cases"]
    assert {name: outcome["status"] for name, outcome in cases.items()} == {
        "BraTS_001": "failed",
        "BraTS_002": "failed",
        "BraTS_003": "ok",
    }
    assert "BraTS_002.nii.gz" in cases["BraTS_002"]["problem"]


def test_a_case_that_fails_the_second_time_leaves_nothing_of_the_first(source, model):
    case(source, "A", 0, 1)
    case(source, "B", 0)
    assert fill(source, model)[0] == 0
    (source / "A_0001.nii.gz").write_bytes(b"broken")
    code, target = fill(source, model)
    assert code == 1
    assert not list(target.glob("A*"))
    assert len(list(target.glob("B_*.nii.gz"))) == 4


def test_an_empty_image_may_lie_on_another_grid(source, model):
    case(source, "A", 0)
    write(source / "A_0001.nii.gz", np.zeros((2, 2, 2), np.float32))
    code, target = fill(source, model)
    assert code == 0
    assert sitk.ReadImage(str(target / "A_0001.nii.gz")).GetSize() == (5, 6, 4)


def test_a_write_that_fails_midway_leaves_no_file_of_the_case(source, model, monkeypatch):
    from dataset_conversion.raw import fill as module

    def disk_full(image, path):
        if path.name.startswith("A_0002"):
            raise OSError("No space left on device")
        sitk.WriteImage(image, str(path))

    case(source, "A", 0)
    case(source, "B", 0)
    monkeypatch.setattr(module, "write_image", disk_full)
    code, target = fill(source, model)
    assert code == 1
    assert "No space left" in summary(target)["cases"]["A"]["problem"]
    assert not list(target.glob("A*"))
    assert sorted(p.name for p in target.iterdir() if p.name.startswith(".")) == []


def test_what_a_killed_process_leaves_is_no_case_of_nnunet(source, model):
    from batchgenerators.utilities.file_and_folder_operations import subfiles

    case(source, "A", 0)
    _, target = fill(source, model)
    (target / ".partial-x").mkdir()
    shutil.copy(target / "A_0000.nii.gz", target / ".partial-x")
    assert len(subfiles(str(target), suffix=".nii.gz")) == 4


def test_what_a_killed_process_left_half_written_is_removed(source, model, dead_pid):
    case(source, "A", 0)
    _, target = fill(source, model)
    abandoned = target / f".partial-{socket.gethostname()}-{dead_pid}-abcdefgh"
    abandoned.mkdir()
    (abandoned / "A_0000.nii.gz").write_bytes(b"half")
    assert fill(source, model)[0] == 0
    assert not [file.name for file in target.iterdir() if file.name.startswith(".")]


def test_an_output_that_is_a_file_ends_with_two(source, model, tmp_path, capsys):
    case(source, "A", 0)
    (tmp_path / "out").write_text("")
    assert fill(source, model)[0] == 2
    assert "out" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{", "{}", '{"channel_names": {"a": "b"}, "file_ending": ".nii.gz"}'])
def test_a_broken_dataset_json_is_named(source, model, capsys, content):
    case(source, "A", 0)
    (model / "dataset.json").write_text(content)
    assert fill(source, model)[0] == 2
    said = capsys.readouterr().err
    assert "dataset.json: " in said
    assert "Restore the file that the conversion or nnU-Net wrote." in said


def test_channels_are_taken_in_the_order_of_their_numbers(source, model):
    names = {"2": "t1_gd", "0": "bravo", "3": "flair", "1": "t1_pre"}
    (model / "dataset.json").write_text(json.dumps({"channel_names": names, "file_ending": ".nii.gz"}))
    case(source, "A", 1, 2, 3)
    _, target = fill(source, model)
    assert json.loads((target / "A.json").read_text())["absent"] == ["bravo"]


def test_the_eleventh_channel_comes_after_the_tenth(model):
    names = [f"s{i}" for i in range(11)]
    content = {"channel_names": {str(i): names[i] for i in reversed(range(11))}, "file_ending": ".nii.gz"}
    (model / "dataset.json").write_text(json.dumps(content))
    assert list(description_of_model(model).channel_names) == names


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_or_absent_folder_says_what_was_searched(source, model, exists, capsys):
    if not exists:
        source.rmdir()
    code, target = fill(source, model)
    assert code == 2
    assert "<case>_XXXX.nii.gz" in capsys.readouterr().err
    assert not target.exists()


def test_input_and_output_may_not_be_the_same_folder(source, model, capsys):
    case(source, "A", 0)
    assert main(["fill", "-i", str(source), "-o", str(source), "-m", str(model)]) == 2
    assert "input and output" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "expected", "said"),
    [({"rescale": "sqrt"}, (4 / 3) ** 0.5, "1.15"), ({}, 4 / 3, "4/3"), ({"rescale": "none"}, 1, "1")],
)
def test_the_factor_is_that_of_the_model(source, model, caplog, settings, expected, said):
    """A model of version 0.1.0 says nothing of a factor: it has the paper's."""
    caplog.set_level("INFO")
    trained_with_dropout(model, **settings)
    case(source, "A", 0, 1, 2)
    _, target = fill(source, model)
    assert json.loads((target / "A.json").read_text())["factor"] == pytest.approx(expected)
    assert caplog.text.rstrip().endswith(f"factor {said}")


def test_a_model_without_dropout_multiplies_by_nothing(source, model):
    (model / "plans.json").write_text("{}")
    case(source, "A", 0, 1, 2)
    _, target = fill(source, model)
    assert json.loads((target / "A.json").read_text())["factor"] == 1


def test_a_model_folder_without_dataset_json_is_named(source, tmp_path, capsys):
    case(source, "A", 0)
    assert main(["fill", "-i", str(source), "-o", str(tmp_path / "out"), "-m", str(tmp_path)]) == 2
    assert f"no dataset.json in {tmp_path}" in capsys.readouterr().err


def test_an_unknown_data_set_is_named(source, tmp_path, monkeypatch, capsys):
    case(source, "A", 0)
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    assert main(["fill", "-i", str(source), "-o", str(tmp_path / "out"), "-d", "77"]) == 2
    assert "no data set 77" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["truncated", "flipped", "text"])
def test_a_broken_file_fails_its_case(source, model, fault):
    case(source, "A", 0, 1)
    case(source, "B", 0)
    broken = source / "A_0001.nii.gz"
    content = bytearray(broken.read_bytes())
    if fault == "truncated":
        content = content[: len(content) // 2]
    elif fault == "flipped":
        content[len(content) // 2] ^= 0x10
    else:
        content = bytearray(gzip.compress(b"not an image"))
    broken.write_bytes(content)
    code, target = fill(source, model)
    assert code == 1
    assert "A_0001.nii.gz" in summary(target)["cases"]["A"]["problem"]
    assert not list(target.glob("A*"))


@pytest.mark.parametrize("change", [{"shape": (4, 6, 6)}, {"spacing": (0.9, 0.8, 5.0)}, {"origin": (1, -2, 3.2)}])
def test_images_on_different_grids_fail_their_case(source, model, change):
    case(source, "A", 0)
    write(source / "A_0001.nii.gz", 5, **change)
    code, target = fill(source, model)
    assert code == 1
    problem = summary(target)["cases"]["A"]["problem"]
    assert "A_0000.nii.gz" in problem
    assert "A_0001.nii.gz" in problem


def test_filling_twice_changes_nothing(source, model):
    case(source, "Müller 1", 0, 2)
    _, target = fill(source, model)
    first = {file.name: file.read_bytes() for file in target.iterdir()}
    assert fill(source, model)[0] == 0
    assert {file.name: file.read_bytes() for file in target.iterdir()} == first
    assert "Müller 1_0003.nii.gz" in first
