"""Bad input and faults at prediction: each row of the project's table of faults, by the command itself."""

import gzip
import json
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from conftest import SEQUENCES, write_case

from dataset_conversion.files.images.image_io import read_image
from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.prediction.model import Model

SHAPE = (9, 40, 38)
"""Z, Y, X"""


@pytest.fixture
def images(tmp_path) -> Path:
    """A sound case P of four sequences in a folder that others can join."""
    write_case(tmp_path, "P", SHAPE, seed=5)
    return tmp_path / "imagesTr"


def predict(source: Path, target: Path, model: Path, *options: object) -> int:
    words = ("predict", "-i", source, "-o", target, "-m", model, "-f", 0, "-device", "cpu", "--disable_tta", *options)
    return main([str(word) for word in words])


def outcomes(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())["cases"]


def record(folder: Path, case: str) -> dict:
    return json.loads((folder / f"{case}.json").read_text())


def join(folder: Path, case: str, *channels: int) -> list[Path]:
    """Copies of P's images under another case's name."""
    files = [folder / f"{case}_{channel:04d}.nii.gz" for channel in channels]
    for channel, file in zip(channels, files, strict=True):
        shutil.copy(folder / f"P_{channel:04d}.nii.gz", file)
    return files


def change(file: Path, work) -> None:
    """``work(voxels, affine) -> voxels, affine`` on a NIfTI file, X first."""
    image = nibabel.Nifti1Image.from_filename(file)
    voxels, affine = work(np.asanyarray(image.dataobj), image.affine.copy())
    nibabel.save(nibabel.Nifti1Image(voxels, affine), file)


def moved(**by):
    """Of the affine: an entry more or a factor."""

    def work(voxels, affine):
        affine[:3, 3] += by.get("mm", 0)
        affine[:3, 0] *= by.get("spacing", 1)
        if turn := by.get("turn"):
            affine[:3, :3] = (
                np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
                @ (affine[:3, :3])
            )
        return voxels, affine

    return lambda file: change(file, work)


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-400])


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def with_header(offset: int, kind: str, *values: float | bytes):
    """Overwrites a field of the header."""

    def work(file: Path) -> None:
        content = bytearray(gzip.decompress(file.read_bytes()))
        struct.pack_into(f"<{kind}", content, offset, *values)
        file.write_bytes(gzip.compress(bytes(content)))

    return work


def with_value(value: float):
    def work(voxels, affine):
        voxels = voxels.copy()
        voxels[3, 3, 3] = value
        return voxels, affine

    return lambda file: change(file, work)


def sheared(voxels, affine):
    affine[0, 1] = 0.2
    return voxels, affine


def two_forms(file: Path) -> None:
    image = nibabel.Nifti1Image.from_filename(file)
    other = image.affine.copy()
    other[0, 3] += 30
    image.set_sform(image.affine, 1)
    image.set_qform(other, 1)
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(image.dataobj), None, image.header), file)


def in_colour(file: Path) -> None:
    colours = np.zeros(SHAPE[::-1], [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), file)


Row = namedtuple("Row", "number name spoil said")
ROWS = [
    Row(3, "AllZero", lambda file: change(file, lambda v, a: (v * 0, a)), "no usable sequence"),
    Row(3, "AllOne", lambda file: change(file, lambda v, a: (v * 0 + 7, a)), "no usable sequence"),
    Row(5, "ExtraChannel", lambda file: file.rename(file.with_name("ExtraChannel_0007.nii.gz")), "no channel 0007"),
    Row(5, "ThreeDigits", lambda file: file.rename(file.with_name("ThreeDigits_001.nii.gz")), "four digits"),
    Row(6, "NoSuffix", lambda file: file.rename(file.with_name("NoSuffix.nii.gz")), "four digits"),
    Row(6, "Upper", lambda file: file.rename(file.with_name("Upper_0000.NII.GZ")), "reads .nii.gz only"),
    Row(8, "Truncated", truncated, "truncated or corrupt"),
    Row(9, "Flipped", flipped, "truncated or corrupt"),
    Row(10, "Empty", lambda file: file.write_bytes(b""), "empty"),
    Row(10, "Text", lambda file: file.write_text("no image\n"), "it is not compressed"),
    Row(10, "Magic", with_header(344, "4s", b"abcd"), "no readable image"),
    Row(11, "Huge", with_header(42, "hhh", 30000, 30000, 30000), "30000 x 30000 x 30000"),
    Row(12, "NotANumber", with_value(np.nan), "NaN or infinite"),
    Row(12, "Infinite", with_value(-np.inf), "NaN or infinite"),
    Row(13, "Smaller", lambda file: change(file, lambda v, a: (v[1:], a)), "size (37, 40, 9)"),
    Row(14, "Moved", moved(mm=0.5), "origin"),
    Row(14, "Stretched", moved(spacing=1.2), "spacing"),
    Row(14, "Turned", moved(turn=0.05), "direction"),
    Row(15, "Sheared", lambda file: change(file, sheared), "axes"),
    Row(15, "TwoForms", two_forms, "sform"),
    Row(16, "FourD", lambda file: change(file, lambda v, a: (np.stack([v, v], -1), a)), "4D, t=2"),
    Row(16, "Flat", lambda file: change(file, lambda v, a: (v[:, :, 0], a)), "2D"),
    Row(16, "Colour", in_colour, "colour"),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> dict:
    """What one run on all the rows left, filled by the first test that needs it."""
    return {"folder": tmp_path_factory.mktemp("rows")}


@pytest.fixture
def one_run(shared, make_model, capfd) -> dict:
    """All the rows in one folder with a sound case, predicted by one command."""
    if "code" not in shared:
        folder = shared["folder"]
        write_case(folder, "P", SHAPE, seed=5)
        source = folder / "imagesTr"
        for row in ROWS:
            # the second file is spoiled where the first is what it is compared with
            files = join(source, row.name, *((0, 1) if row.number in (13, 14) else (0,)))
            row.spoil(files[-1])
        shared["code"] = predict(source, folder / "out", make_model("TinySeqDropout"))
        shared["err"] = capfd.readouterr().err
    return shared


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"row {row.number} {row.name}")
def test_a_bad_case_fails_alone_and_its_line_says_why_and_what_to_do(one_run, row):
    # a file that is misnamed may be a case of its own
    (outcome,) = (said for case, said in outcomes(one_run["folder"] / "out").items() if case.startswith(row.name))
    assert outcome["status"] == "failed"
    assert row.said in outcome["problem"]
    assert len(outcome["problem"].splitlines()) == 1
    assert outcome["remedy"]
    assert f": {outcome['problem']}" in one_run["err"]
    if row.number != 3:
        assert f"imagesTr/{row.name}" in outcome["problem"]
    assert not list((one_run["folder"] / "out").glob(f"{row.name}*"))


def test_the_sound_case_among_them_is_done(one_run):
    assert one_run["code"] == 1
    assert outcomes(one_run["folder"] / "out")["P"]["status"] == "ok"
    assert len(outcomes(one_run["folder"] / "out")) == 1 + len(ROWS)
    assert (one_run["folder"] / "out" / "P.nii.gz").is_file()


def test_rows_1_and_2_what_is_missing_is_logged_recorded_and_summed_up(make_model, images, tmp_path, caplog, capsys):
    join(images, "Q", 0, 1, 2)
    join(images, "R", 3, 1)
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout")) == 0
    assert "Q: missing flair (_0003), using 3 of 4, factor 4/3" in caplog.text
    assert "R: missing bravo (_0000), t1_gd (_0002), using 2 of 4, factor 2" in caplog.text
    assert record(tmp_path / "out", "R")["absent"] == ["bravo", "t1_gd"]
    printed = capsys.readouterr().out
    for shown in (SEQUENCES, SEQUENCES[:3], ("t1_pre", "flair")):
        assert f"1 case with {'+'.join(shown)}" in printed


def test_row_4_a_constant_image_is_treated_as_absent_and_the_record_warns_of_it(make_model, images, tmp_path, caplog):
    join(images, "Q", 0, 1, 2)
    join(images, "R", 0, 1, 2, 3)
    change(images / "R_0003.nii.gz", lambda voxels, affine: (voxels * 0 + 7, affine))
    out = tmp_path / "out"
    assert predict(images, out, make_model("TinySeqDropout"), "--save_probabilities") == 0
    for ending in (".nii.gz", "_prob.nii.gz"):
        assert (out / f"Q{ending}").read_bytes() == (out / f"R{ending}").read_bytes()
    assert record(out, "R")["pattern"] == "bravo+t1_pre+t1_gd"
    assert record(out, "R")["warnings"] == [f"{images / 'R_0003.nii.gz'}: every voxel is 7; treated as absent"]
    assert record(out, "P")["warnings"] == record(out, "Q")["warnings"] == []
    assert "R_0003.nii.gz: every voxel is 7; treated as absent" in caplog.text


def test_a_model_without_dropout_is_warned_of_where_something_is_absent(make_model, images, tmp_path):
    join(images, "Q", 0, 1, 2)
    assert predict(images, tmp_path / "out", make_model("TinyDeepLab")) == 0
    assert record(tmp_path / "out", "P")["warnings"] == []
    assert record(tmp_path / "out", "Q")["warnings"] == [
        "a sequence is absent, and the model was trained without sequence dropout"
    ]


@pytest.mark.parametrize("make_empty", [True, False])
def test_row_7_a_folder_without_images_ends_with_two(make_model, tmp_path, capsys, make_empty):
    if make_empty:
        (tmp_path / "in").mkdir()
    assert predict(tmp_path / "in", tmp_path / "out", make_model("TinySeqDropout")) == 2
    assert "<case>_XXXX.nii.gz" in capsys.readouterr().err


def test_row_8_a_truncated_file_without_compression_is_found(make_model, images, tmp_path, capsys):
    file = images / "P.nii"
    file.write_bytes(gzip.decompress((images / "P_0000.nii.gz").read_bytes())[:-400])
    command = ["predict", f"--image=bravo={file}", "-o", str(tmp_path / "out"), "-device", "cpu"]
    assert main([*command, "-m", str(make_model("TinySeqDropout"))]) == 2
    assert f"{file}: " in (said := capsys.readouterr().err)
    assert "truncated" in said


def test_row_12_under_nan_zero_they_count_as_0(make_model, images, tmp_path):
    (spoiled,) = join(images, "Q", 1)
    with_value(np.nan)(spoiled)
    (zeroed,) = join(images, "R", 1)
    with_value(0)(zeroed)
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout"), "--nan", "zero") == 0
    assert (tmp_path / "out" / "Q.nii.gz").read_bytes() == (tmp_path / "out" / "R.nii.gz").read_bytes()


def test_row_17_no_type_and_no_slope_overflows(make_model, images, tmp_path):
    """Whole numbers from -2 to 2e9 + 1: the same in every way to store them."""
    values = np.random.default_rng(0).integers(-2, 2, SHAPE[::-1]).astype(np.float64) * 1e9 + 1
    stored: dict[str, np.ndarray] = {
        "A": values,
        "B": values.astype(np.int32),
        "C": ((values - 1) / 1e9).astype(np.int8),
    }
    for case, voxels in stored.items():
        image = nibabel.Nifti1Image(voxels, np.eye(4), dtype=voxels.dtype)
        file = images / f"{case}_0002.nii.gz"
        nibabel.save(image, file)
        if case == "C":
            with_header(112, "ff", 1e9, 1)(file)
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout"), "--save_probabilities") == 0
    assert all(outcome["status"] == "ok" for outcome in outcomes(tmp_path / "out").values())
    read = [sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / f"{case}_prob.nii.gz"))) for case in "ABC"]
    assert np.array_equal(read[0], read[1])
    assert np.array_equal(read[0], read[2])


def test_row_18_a_label_outside_the_set_fails_its_case(make_model, images, tmp_path):
    join(images, "Q", 0, 1, 2, 3)
    label = np.zeros(SHAPE[::-1], np.uint8)
    label[10:20, 10:20, 4] = 1
    (tmp_path / "gt").mkdir()
    for case in "PQ":
        label[0, 0, 0] = 7 * (case == "Q")
        reference = sitk.GetImageFromArray(label.T)
        reference.CopyInformation(sitk.ReadImage(str(images / "P_0000.nii.gz")))
        sitk.WriteImage(reference, str(tmp_path / "gt" / f"{case}.nii.gz"))
    command = ["subsets", "-i", images, "-gt", tmp_path / "gt", "-o", tmp_path / "out", "-device", "cpu"]
    words = [*command, "--disable_tta", "--no-report", "--patterns", "flair", "-m", make_model("TinySeqDropout")]
    assert main([str(word) for word in words]) == 1
    assert outcomes(tmp_path / "out")["P"]["status"] == "ok"
    assert "7" in outcomes(tmp_path / "out")["Q"]["problem"]
    assert "Q.nii.gz" in outcomes(tmp_path / "out")["Q"]["problem"]


def test_row_21_blanks_and_umlauts_work_from_end_to_end(make_model, images, tmp_path):
    join(images, "Frau Müller ß 1", 0, 2)
    out = tmp_path / "Ergebnis für Ärzte"
    assert predict(images, out, make_model("TinySeqDropout"), "--save_probabilities") == 0
    for ending in (".nii.gz", "_prob.nii.gz", ".json", "_lesions.csv"):
        assert (out / f"Frau Müller ß 1{ending}").is_file()


def test_row_21_two_files_for_one_sequence_of_a_patient_are_an_error(make_model, images, tmp_path):
    tree = tmp_path / "tree"
    for file in ("B1/B1_t1ce", "B2/B2_t1ce", "B2/again/B2_t1ce"):
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(images / "P_0002.nii.gz", tree / f"{file}.nii.gz")
    assert predict(tree, tmp_path / "out", make_model("TinySeqDropout"), "--layout", "brats") == 1
    assert outcomes(tmp_path / "out")["B1"]["status"] == "ok"
    assert "are both the t1c of B2" in outcomes(tmp_path / "out")["B2"]["problem"]


def test_two_sequences_of_a_layout_that_are_one_channel_of_the_model_fail_their_patient(make_model, images, tmp_path):
    """mprage and bravo both mean the model's bravo; neither replaces the other without a word."""
    layout = "channels: [mprage, bravo]\nlabels: {background: 0}\nimages: '{patient}/{sequence}'\n"
    (tmp_path / "layout.yaml").write_text(layout)
    for name in ("mprage", "bravo"):
        (tmp_path / "tree" / "B1").mkdir(parents=True, exist_ok=True)
        shutil.copy(images / "P_0002.nii.gz", tmp_path / "tree" / "B1" / f"{name}.nii.gz")
    model = make_model("TinySeqDropout")
    assert predict(tmp_path / "tree", tmp_path / "out", model, "--layout", tmp_path / "layout.yaml") == 2
    assert not list((tmp_path / "out").glob("*.nii.gz"))


def test_a_sequence_that_is_there_but_not_as_a_file_that_is_read_is_not_absent(make_model, images, tmp_path):
    """A label is of no concern, nor is a sequence that the model does not know."""
    for case, name in (("B1", "flair.mgz"), ("B2", "seg.mgz"), ("B3", "t2.mgz"), ("B4", "t1.nii.gz")):
        (tmp_path / "tree" / case).mkdir(parents=True)
        shutil.copy(images / "P_0002.nii.gz", tmp_path / "tree" / case / f"{case}_t1ce.nii.gz")
        (tmp_path / "tree" / case / f"{case}_{name}").symlink_to(images / ("gone" if case == "B4" else "P_0001.nii.gz"))
    assert predict(tmp_path / "tree", tmp_path / "out", make_model("TinySeqDropout"), "--layout", "brats") == 1
    found = outcomes(tmp_path / "out")
    assert [found[case]["status"] for case in ("B1", "B2", "B3", "B4")] == ["failed", "ok", "ok", "failed"]
    assert "B1_flair.mgz: this type of file is not read, and it is the only t2f" in found["B1"]["problem"]
    assert "link to a file that is not there" in found["B4"]["problem"]


def test_a_sequence_that_the_model_does_not_know_is_left_aside_and_named(make_model, images, tmp_path):
    tree = tmp_path / "tree"
    for name, channel in (("t1ce", 2), ("t2", 1)):
        (tree / "B1").mkdir(parents=True, exist_ok=True)
        shutil.copy(images / f"P_000{channel}.nii.gz", tree / "B1" / f"B1_{name}.nii.gz")
    assert predict(tree, tmp_path / "out", make_model("TinySeqDropout"), "--layout", "brats") == 0
    assert record(tmp_path / "out", "B1")["pattern"] == "t1_gd"
    assert record(tmp_path / "out", "B1")["warnings"] == [
        f"{tree / 'B1' / 'B1_t2.nii.gz'}: the model does not know t2w; left aside"
    ]


@pytest.mark.slow
def test_row_26_killed_at_any_moment_it_leaves_whole_files_and_resumes(make_model, images, tmp_path):
    model = make_model("TinySeqDropout")
    for number in range(12):
        join(images, f"Q{number}", 0, 1, 2, 3)
    assert predict(images, tmp_path / "undisturbed", model, "--save_probabilities") == 0
    out = tmp_path / "out"
    command = [Path(sys.executable).parent / "seqdropout", "predict", "-i", images, "-o", out, "-m", model, "-f", "0"]
    command += ["-device", "cpu", "--disable_tta", "--save_probabilities", "--continue_prediction"]
    for n_done in (1, 4, 8):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while len(list(out.glob("*.json"))) < n_done and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for file in out.glob("*.nii.gz"):
            assert file.read_bytes() == (tmp_path / "undisturbed" / file.name).read_bytes()
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    statuses = [outcome["status"] for outcome in outcomes(out).values()]
    assert statuses.count("skipped") >= 8
    assert not list(out.glob(".partial-*"))
    for file in (tmp_path / "undisturbed").iterdir():
        if file.name != "summary.json":
            assert (out / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("command", ["predict", "subsets"])
def test_row_27_a_folder_that_cannot_be_written_to_is_named_before_the_model_is_loaded(
    make_model, images, tmp_path, capsys, monkeypatch, command
):
    model = make_model("TinySeqDropout")
    monkeypatch.setattr("nnunet_seqdropout.prediction.loading.load_model", None)
    (tmp_path / "file").write_text("")
    words = [command, "-i", images, "-o", tmp_path / "file" / "out", "-m", model]
    assert main([*map(str, words), *(["-gt", str(images)] if command == "subsets" else [])]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / 'file' / 'out'} is not writable" in said
    assert "Choose a writable folder" in said


def test_row_27_too_little_room_is_said_with_both_numbers(make_model, images, tmp_path, capsys, monkeypatch):
    model = make_model("TinySeqDropout")
    usage = namedtuple("usage", "total used free")
    # a label of one byte and a probability of two for each of 9 x 40 x 38 voxels, and a mebibyte
    needed = 9 * 40 * 38 * 3 + 2**20
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, needed - 1))
        patched.setattr("nnunet_seqdropout.prediction.loading.load_model", None)
        assert predict(images, tmp_path / "out", model, "--save_probabilities") == 2
    assert f"{tmp_path / 'out'} has {needed - 1:,} bytes free, up to {needed:,} are needed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, needed))
    assert predict(images, tmp_path / "out", model, "--save_probabilities") == 0
    # resuming, nothing more is needed
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 0))
    assert predict(images, tmp_path / "out", model, "--save_probabilities", "--continue_prediction") == 0


def test_maps_of_another_type_are_predicted_again_and_those_of_the_same_left_alone(make_model, images, tmp_path):
    model, out = make_model("TinySeqDropout"), tmp_path / "out"
    assert predict(images, out, model, "--save_probabilities") == 0
    rounded = {file.name: read_image(file) for file in out.glob("*_prob.nii.gz")}
    assert rounded
    for n_expected in (len(rounded), 0):
        before = {file: file.stat().st_mtime_ns for file in out.glob("*_prob.nii.gz")}
        assert predict(images, out, model, "--save_probabilities", "float32", "--continue_prediction") == 0
        assert sum(file.stat().st_mtime_ns != time for file, time in before.items()) == n_expected
    for name, image in rounded.items():
        exact, coded = (sitk.GetArrayFromImage(each) for each in (read_image(out / name), image))
        assert exact.dtype == np.float32
        assert 0 < np.abs(exact - coded).max() <= 0.5 / 65535 + 1e-7


def test_row_31_without_a_gpu_it_falls_back_to_the_cpu_and_says_so(make_model, images, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ["predict", "-i", images, "-o", tmp_path / "out", "-m", make_model("TinySeqDropout"), "--disable_tta"]
    assert main([str(word) for word in words]) == 0
    assert "cuda is not available: predicting on the CPU." in caplog.text


@pytest.fixture
def failing_once(monkeypatch):
    """``failing_once(error)``: the network raises it at the first case, then works."""

    def arrange(error: Exception) -> None:
        load = Model.__init__
        left = [error]

        def fail(*_):
            if left:
                raise left.pop()

        def loaded(self, *arguments):
            load(self, *arguments)
            self._network.register_forward_pre_hook(fail, prepend=True)

        monkeypatch.setattr(Model, "__init__", loaded)

    return arrange


def test_row_31_a_case_too_large_for_the_device_is_finished_on_the_cpu(
    make_model, images, tmp_path, caplog, failing_once
):
    model = make_model("TinySeqDropout")
    join(images, "Q", 0, 1)
    assert predict(images, tmp_path / "calm", model) == 0
    failing_once(torch.OutOfMemoryError("CUDA out of memory."))
    assert predict(images, tmp_path / "out", model) == 0
    for case in "PQ":
        assert (tmp_path / "out" / f"{case}.nii.gz").read_bytes() == (tmp_path / "calm" / f"{case}.nii.gz").read_bytes()
    (warning,) = record(tmp_path / "out", "P")["warnings"]
    assert "has not enough memory for this case: it was predicted on the CPU" in warning
    assert f"P: {warning}" in caplog.text
    assert record(tmp_path / "out", "Q")["warnings"] == []
    # and this does not make it another prediction
    assert predict(images, tmp_path / "out", model, "--continue_prediction") == 0
    assert outcomes(tmp_path / "out")["P"]["status"] == "skipped"


def test_row_31_other_errors_keep_their_name(make_model, images, tmp_path, failing_once, capsys):
    model = make_model("TinySeqDropout")
    failing_once(RuntimeError("shapes differ"))
    assert predict(images, tmp_path / "out", model) == 2
    said = "plans.json: nnU-Net's prediction by these plans failed (RuntimeError: shapes differ)"
    assert said in capsys.readouterr().err


def test_a_probability_map_of_an_earlier_run_does_not_stay_beside_another_label_map(make_model, images, tmp_path):
    model = make_model("TinySeqDropout")
    assert predict(images, tmp_path / "out", model, "--save_probabilities") == 0
    assert predict(images, tmp_path / "out", model, "--drop", "flair") == 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "P.json",
        "P.nii.gz",
        "P_lesions.csv",
        "dataset.json",
        "summary.json",
    ]


def test_resuming_with_other_settings_predicts_anew(make_model, images, tmp_path):
    model = make_model("TinySeqDropout")
    assert predict(images, tmp_path / "out", model) == 0
    assert predict(images, tmp_path / "out", model, "--c", "-step_size", 0.7) == 0
    assert outcomes(tmp_path / "out")["P"]["status"] == "ok"
    assert predict(images, tmp_path / "out", model, "--c", "-step_size", 0.7) == 0
    assert outcomes(tmp_path / "out")["P"]["status"] == "skipped"


def test_parts_keep_their_summaries_apart(make_model, images, tmp_path):
    model = make_model("TinySeqDropout")
    join(images, "Q", 0)
    for part in range(2):
        assert predict(images, tmp_path / "out", model, "-num_parts", 2, "-part_id", part) == 0
    said = [json.loads((tmp_path / "out" / f"summary_part_{part}.json").read_text())["cases"] for part in range(2)]
    assert [list(cases) for cases in said] == [["P"], ["Q"]]


def test_parts_are_made_one_by_a_run_without_parts_that_goes_on(make_model, images, tmp_path):
    """The second part was killed before R."""
    model, out = make_model("TinySeqDropout"), tmp_path / "out"
    for part, case in enumerate("QR"):
        join(images, case, part)
        assert predict(images, out, model, "-num_parts", 2, "-part_id", 0 if case == "R" else 1) == 0
    (out / "R.json").unlink()
    assert predict(images, out, model, "--continue_prediction") == 0
    assert {case: outcome["status"] for case, outcome in outcomes(out).items()} == {
        "P": "skipped",
        "Q": "skipped",
        "R": "ok",
    }
    assert sorted(file.name for file in out.glob("summary*")) == ["summary.json"]
