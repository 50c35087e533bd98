"""Volumes of one to three slices, of one voxel, of one column: each passes, or fails as a case and in words."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_seqdropout.cli.command import main

SHAPES = {
    "slice1": (1, 20, 20),
    "slice2": (2, 20, 20),
    "slice3": (3, 20, 20),
    "cube2": (2, 2, 2),
    "column1": (20, 1, 1),
}
VOXEL = "voxel1"


def save(voxels: np.ndarray, file: Path, *, spacing: tuple = (1, 1, 1), origin: tuple = (0, 0, 0)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(file))


def label(shape: tuple) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[0, 0, 0] = 1
    return mask


def write_patients(folder: Path, **placed: tuple) -> None:
    """Two series of the same content; ``placed`` says where the second lies, and how wide its voxels are."""
    for seed, (name, shape) in enumerate({**SHAPES, VOXEL: (1, 1, 1)}.items()):
        rng = np.random.default_rng(seed)
        content = rng.normal(100, 20, shape)
        spacing = {"spacing": placed.get("spacing", (1, 1, 1))}
        for series, where in (("bravo", {}), ("t1_gd", {"origin": placed.get("origin", (0, 0, 0))})):
            voxels = (content + rng.normal(0, 2, shape)).astype(np.float32)
            save(voxels, folder / name / f"{series}.nii.gz", **spacing, **where)
        save(label(shape), folder / name / "seg.nii.gz", **spacing)


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    return tmp_path / "raw" / "Dataset001_X"


def convert(tmp_path: Path, register: str) -> dict[str, dict]:
    words = ["convert", "hospital_a", str(tmp_path / "in"), "-d", "1", "-n", "X", "--register", register]
    assert main(words) == 1  # of one voxel there is nothing to be seen
    return json.loads((tmp_path / "raw" / "Dataset001_X" / "summary.json").read_text())["cases"]


def test_without_registration_all_but_the_single_voxel_are_converted_and_are_sound(tmp_path, raw, capsys):
    write_patients(tmp_path / "in")
    cases = convert(tmp_path, "never")
    assert cases.pop(VOXEL)["problem"] == "no usable sequence"
    assert {case["status"] for case in cases.values()} == {"ok"}
    assert main(["check", "-i", str(raw)]) == 0
    assert "5 cases, none with faults" in capsys.readouterr().out
    assert (raw / "qc.html").is_file()


@pytest.mark.parametrize("origin", [(0, 0, 0), (0.5, 0.5, 0.3)])
def test_what_is_too_thin_to_be_registered_is_said_to_be(tmp_path, raw, origin):
    write_patients(tmp_path / "in", origin=origin)
    cases = convert(tmp_path, "auto")
    del cases[VOXEL]
    for name, case in cases.items():
        n = min(SHAPES[name])
        assert case["problem"] == f"t1_gd: too thin to be registered: {n} voxel{'s' * (n > 1)} of 1 mm along one axis"
        assert "--register never" in case["remedy"]
    assert not list(raw.glob("imagesTr/*"))


def test_three_thick_slices_are_registered(tmp_path, raw):
    write_patients(tmp_path / "in", spacing=(4, 4, 5))
    cases = convert(tmp_path, "auto")
    assert cases["slice3"]["status"] == "ok"
    assert not [case for case in cases.values() if "unexpected" in case["problem"]]


def test_evaluate_measures_each_of_them(tmp_path):
    for name, shape in {**SHAPES, VOXEL: (1, 1, 1)}.items():
        save(label(shape), tmp_path / "gt" / f"{name}.nii.gz")
        save(np.where(label(shape), 0.9, 0.2).astype(np.float32), tmp_path / "p" / f"{name}_prob.nii.gz")
        save(label(shape) + np.float32(1), tmp_path / "images" / f"{name}_0000.nii.gz")
    folders = ["-gt", tmp_path / "gt", "-p", tmp_path / "p", "-i", tmp_path / "images", "--background", "0"]
    words = ["evaluate", *folders, "-o", tmp_path / "out", "--threshold", "0.5"]
    assert main([str(word) for word in words]) == 0
    assert (tmp_path / "out" / "report.html").is_file()
    with (tmp_path / "out" / "cases.csv").open() as lines:
        rows = {row["case"]: row for row in csv.DictReader(lines)}
    assert rows.keys() == {*SHAPES, VOXEL}
    for row in rows.values():
        assert (float(row["dice"]), float(row["n_found"]), float(row["fp"])) == (1, 1, 0)
    assert rows[VOXEL]["auc"] == ""  # there is no voxel outside the lesion
