"""``seqdropout check`` finds no fault with a data set in any form that nnU-Net accepts, and finds those it has."""

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.experiment_planning import verify_dataset_integrity as nnunet

from nnunet_seqdropout.cli.command import main

LABELS = {"background": 0, "road": 1}
RGB = ("red", "green", "blue")


def picture(seed: int, *, channels: int = 1, shape=(12, 10)) -> sitk.Image:
    size = (*shape, channels) if channels > 1 else shape
    voxels = np.random.default_rng(seed).integers(1, 200, size).astype(np.uint8)
    return sitk.GetImageFromArray(voxels, isVector=channels > 1)


def lesion(shape=(12, 10), value: int = 1) -> sitk.Image:
    label = np.zeros(shape, np.uint8)
    label[..., 2:5, 3:6] = value
    return sitk.GetImageFromArray(label)


def save(image: sitk.Image, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(file))
    return file


def describe(folder: Path, ending: str, names, **more) -> None:
    channel_names = {str(i): name for i, name in enumerate(names)}
    content = {"channel_names": channel_names, "labels": LABELS, "numTraining": 2, "file_ending": ending, **more}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(content))


def write(folder: Path, ending: str, names=("a", "b"), *, shape=(12, 10), colours: int = 1, **more) -> Path:
    """Two cases, A and B; a file for each of the names, or one picture of several channels."""
    for seed, case in enumerate("AB"):
        for i in range(1 if colours > 1 else len(names)):
            image = picture(10 * seed + i, channels=colours, shape=shape)
            save(image, folder / "imagesTr" / f"{case}_{i:04d}{ending}")
        save(lesion(shape), folder / "labelsTr" / f"{case}{ending}")
    describe(folder, ending, names, **more)
    return folder


@pytest.fixture
def check(capsys):
    """``check(FOLDER)`` -> exit code, lines on stdout."""

    def run(folder: Path):
        code = main(["check", "-i", str(folder)])
        return code, capsys.readouterr().out.splitlines()

    return run


def nnunet_accepts(folder: Path, monkeypatch) -> bool:
    """What nnU-Net's own check says, in this process."""

    class Pool:
        def __init__(self, n):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def starmap(self, work, items):
            return [work(*item) for item in items]

    monkeypatch.setattr("multiprocessing.get_context", lambda _: type("Here", (), {"Pool": Pool}))
    try:
        with redirect_stdout(StringIO()):
            nnunet.verify_dataset_integrity(str(folder), 1)
    except (RuntimeError, AssertionError, FileNotFoundError):
        return False
    return True


@pytest.mark.parametrize(
    ("ending", "options"),
    [
        (".png", {"names": RGB, "colours": 3}),
        (".bmp", {"names": RGB, "colours": 3}),
        (".bmp", {}),
        (".tif", {"names": RGB, "colours": 3, "overwrite_image_reader_writer": "NaturalImage2DIO"}),
        (".png", {"names": (*RGB, "alpha"), "colours": 4}),
        (".png", {}),
        (".tif", {"shape": (5, 12, 10), "overwrite_image_reader_writer": "Tiff3DIO"}),
        (".mha", {"shape": (5, 12, 10)}),
        (".nrrd", {"shape": (5, 12, 10), "overwrite_image_reader_writer": "SimpleITKIO"}),
        (".nii.gz", {"shape": (5, 12, 10), "overwrite_image_reader_writer": "NibabelIO"}),
        (".gipl", {"shape": (5, 12, 10)}),
        (
            ".nii.gz",
            {
                "shape": (5, 12, 10),
                "labels": {"background": 0, "whole": [1, 2], "core": [2]},
                "regions_class_order": [1, 2],
            },
        ),
    ],
)
def test_what_nnunet_accepts_is_no_fault(tmp_path, check, monkeypatch, ending, options):
    folder = write(tmp_path / "Dataset005_X", ending, **options)
    assert nnunet_accepts(folder, monkeypatch)
    code, lines = check(folder)
    names = "+".join(options.get("names", ("a", "b")))
    assert code == 0, lines
    assert lines[-2:] == [f"       2       2  {names}", f"{folder}: 2 cases, none with faults"]


def listed(folder: Path) -> Path:
    """A data set without imagesTr: dataset.json says where the files are, one by a path from elsewhere."""
    images = folder.parent / "elsewhere"
    cases = {}
    for seed, case in enumerate("AB"):
        files = [
            save(picture(10 * seed + i, shape=(5, 12, 10)), images / f"{case}_{n}.nrrd") for i, n in enumerate("xy")
        ]
        label = save(lesion((5, 12, 10)), images / f"{case}.nrrd")
        cases[case] = {"images": [f"../elsewhere/{files[0].name}", str(files[1])], "label": f"$ELSEWHERE/{label.name}"}
    describe(folder, ".nrrd", ("a", "b"), dataset=cases)
    return folder


def test_a_data_set_whose_files_are_listed_is_checked_like_any_other(tmp_path, check, monkeypatch):
    folder = listed(tmp_path / "Dataset005_X")
    monkeypatch.setenv("ELSEWHERE", str(tmp_path / "elsewhere"))
    assert nnunet_accepts(folder, monkeypatch)
    code, (note, *lines) = check(folder)
    assert (code, note.startswith("note: too few training cases")) == (0, True)
    assert lines == ["   train   cases  sequences", "       2       2  a+b", f"{folder}: 2 cases, none with faults"]
    (tmp_path / "elsewhere" / "A_x.nrrd").unlink()
    save(lesion((5, 12, 10), value=3), tmp_path / "elsewhere" / "B.nrrd")
    code, lines = check(folder)
    assert code == 1
    assert "A: " in lines[0]
    assert "elsewhere/A_x.nrrd" in lines[0]
    assert "B: " in lines[1]
    assert "unknown label values 3 (9 voxels)" in lines[1].replace("45", "9")


@pytest.mark.parametrize(
    "broken", [[], {"A": {}}, {"A": {"images": 3, "label": "x"}}, {"A": {"images": [3], "label": 1}}]
)
def test_a_broken_list_of_files_is_one_line(tmp_path, capsys, broken):
    describe(tmp_path / "Dataset005_X", ".nrrd", ("a", "b"), dataset=broken)
    assert main(["check", "-i", str(tmp_path / "Dataset005_X")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "dataset.json" in line


def test_a_channel_too_many_and_a_damaged_picture_are_found(tmp_path, check):
    folder = write(tmp_path / "Dataset005_X", ".png", RGB, colours=4)
    damaged = bytearray((folder / "imagesTr" / "B_0000.png").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / "imagesTr" / "B_0000.png").write_bytes(damaged)
    code, lines = check(folder)
    assert code == 1
    assert "A_0000.png: with it there are 4 channels, but the data set has 3" in lines[0]
    assert "B_0000.png: this is no readable image" in " ".join(lines)
    save(picture(1, channels=3), folder / "labelsTr" / "A.png")
    assert "labelsTr/A.png: this is not one volume (size (10, 12), 3 values for every voxel)" in " ".join(
        check(folder)[1]
    )


def test_pictures_of_different_size_are_found_whatever_their_resolution_for_printing(tmp_path, check):
    folder = write(tmp_path / "Dataset005_X", ".tif", RGB, colours=3)
    image = picture(0, channels=3)
    image.SetSpacing([0.3, 0.3])
    save(image, folder / "imagesTr" / "A_0000.tif")
    assert check(folder)[0] == 0
    save(lesion((12, 11)), folder / "labelsTr" / "A.tif")
    code, lines = check(folder)
    assert code == 1
    assert "labelsTr/A.tif: size (11, 12), but" in lines[0]
