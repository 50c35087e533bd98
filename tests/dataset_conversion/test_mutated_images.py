"""Mutated images are refused in one line or read as another reader reads them; none ends the process or hangs it."""

import json
import subprocess
import sys
from pathlib import Path

import mutated_images
import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.headers import stored_geometry
from dataset_conversion.files.images.image_io import read_image
from nnunet_seqdropout.cli.command import main

LARGEST_BYTES = 400 << 20
"""Of memory: what Python and its libraries take, and some more."""


def came_of(number: int, seed: int) -> dict:
    words = [sys.executable, mutated_images.__file__, str(number), str(seed)]
    process = subprocess.run(words, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    return json.loads(process.stdout)


def require_none_wrong(found: dict) -> None:
    assert found["wrong"] == {}
    for ending in mutated_images.ENDINGS:
        for outcome in ("refused", "read"):
            assert found["counts"][f"{ending} {outcome}"] > 0
    assert found["peak_bytes"] < LARGEST_BYTES


def test_mutated_images_are_refused_or_read_as_another_reader_reads_them():
    require_none_wrong(came_of(400, seed=1))


@pytest.mark.slow
def test_so_are_five_thousand():
    require_none_wrong(came_of(5000, seed=0))


@pytest.mark.parametrize("ending", mutated_images.ENDINGS)
def test_the_originals_are_read_as_simpleitk_and_the_other_reader_read_them(tmp_path, ending):
    for seed in range(20):
        (tmp_path / str(seed)).mkdir()
        file = mutated_images.write_original(tmp_path / str(seed), ending, np.random.default_rng(seed))
        assert mutated_images.outcome(file) == "read"
        ours, theirs = read_image(file), sitk.ReadImage(str(file))
        np.testing.assert_allclose(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs), rtol=1e-6)
        for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
            assert getattr(ours, what)() == getattr(theirs, what)()


def volume(file: Path, **changes: str) -> Path:
    """A MetaImage or NRRD of 3 x 4 x 5 voxels, with lines of its header replaced."""
    voxels = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(file), useCompression=False)
    content = file.read_bytes()
    for name, value in changes.items():
        field = name.replace("_", " ").encode()
        begin = content.index(b"\n" + field) + 1
        end = content.index(b"\n", begin)
        sign = b" = " if file.suffix == ".mha" else b": "
        content = content[:begin] + field + sign + value.encode() + content[end:]
    file.write_bytes(content)
    return file


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("a.mha", {"NDims": "-1"}, "no whole number"),  # SimpleITK 2.5 ends the process
        ("a.mha", {"DimSize": "1000 1000 1000"}, "declares 2,000,000,000 bytes"),
        ("a.mha", {"DimSize": "30000 30000 30000"}, "declares 30000 x 30000 x 30000 voxels"),
        ("a.mha", {"DimSize": "3 4 4"}, "declares 96 bytes of voxels, there are 120"),
        ("a.mha", {"DimSize": "3 4 6"}, "truncated"),
        ("a.mha", {"ElementSpacing": "1 0 1"}, "not 3 positive numbers"),
        ("a.mha", {"Offset": "1 nan 1"}, "not 3 numbers"),
        ("a.mha", {"ElementSpacing": "1 1e300 1"}, r"has the spacing \(1.0, 1e\+300, 1.0\) mm"),
        ("a.mha", {"ElementSpacing": "1 1e-30 1"}, r"has the spacing \(1.0, 1e-30, 1.0\) mm"),
        ("a.mha", {"Offset": "1 -1e30 1"}, r"has the origin \(1.0, -1e\+30, 1.0\) mm"),
        ("a.mha", {"TransformMatrix": "1 0 0 0.2 1 0 0 0 1"}, "not at right angles"),
        ("a.mha", {"ElementType": "MET_STRING"}, "MET_STRING"),
        ("a.mha", {"BinaryData": "perhaps"}, "neither True nor False"),
        ("a.mha", {"ElementDataFile": "LIST"}, "several files"),
        ("a.nrrd", {"sizes": "1000 1000 1000"}, "declares 2,000,000,000 bytes"),
        ("a.nrrd", {"sizes": "3 4 4"}, "declares 96 bytes of voxels, there are 120"),
        ("a.nrrd", {"dimension": "4", "sizes": "3 4 5 1"}, "not one volume"),
        ("a.nrrd", {"space_origin": "(0,0,inf)"}, "not 3 numbers"),
        ("a.nrrd", {"space_origin": "(0,0,1e30)"}, "has the origin"),
        ("a.nrrd", {"type": "block"}, "block"),
        ("a.nrrd", {"kinds": "domain domain domain\nSPACE Origin: (0,0,0)"}, "the line 'spaceorigin"),
        ("a.nrrd", {"endian": "middle"}, "endian middle"),
        ("a.nrrd", {"kinds": "domain domain vector"}, "several values for every voxel"),
    ],
)
def test_a_wrong_header_is_refused_in_words_before_simpleitk_sees_it(tmp_path, name, changes, said):
    file = volume(tmp_path / name, **changes)
    with pytest.raises(Fault, match=said) as caught:
        read_image(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_padding_and_text_are_read(tmp_path, ending):
    file = volume(tmp_path / f"a{ending}")
    file.write_bytes(file.read_bytes() + b"\0" * 23)  # less than a slice of 24 bytes
    assert sitk.GetArrayFromImage(read_image(file)).ravel().tolist() == list(range(60))
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(Fault, match="corrupt"):
        read_image(file)
    changes = {"BinaryData": "False"} if ending == ".mha" else {"encoding": "ascii"}
    file = volume(tmp_path / f"text{ending}", **changes)
    file.write_bytes(file.read_bytes()[:-120] + b" ".join(b"%d" % i for i in range(60)))
    assert sitk.GetArrayFromImage(read_image(file)).ravel().tolist() == list(range(60))


def test_convert_goes_on_where_simpleitk_would_end_or_hang(tmp_path, monkeypatch, capsys):
    """The series by which the order of axes is chosen: one that crashes it, one that it never comes back from."""
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    for case in ("P1", "P2", "P3"):
        (tmp_path / "in" / case).mkdir(parents=True)
    volume(tmp_path / "in" / "P1" / "bravo.mha", NDims="-1")
    endless = tmp_path / "in" / "P2" / "bravo.nii"
    sitk.WriteImage(sitk.Image([3, 4, 5], sitk.sitkInt16), str(endless))
    content = bytearray(endless.read_bytes())
    content[252:256] = np.array([1, 1], np.int16).tobytes()  # qform_code, sform_code
    content[304:308] = np.float32(np.inf).tobytes()
    endless.write_bytes(content)
    volume(tmp_path / "in" / "P3" / "bravo.mha")
    assert main(["convert", "hospital_a", str(tmp_path / "in"), "-d", "1", "-n", "X"]) == 1
    cases = json.loads((tmp_path / "raw" / "Dataset001_X" / "summary.json").read_text())["cases"]
    assert {case: each["status"] for case, each in cases.items()} == {"P1": "failed", "P2": "failed", "P3": "ok"}
    with pytest.raises(Fault, match="no position"):
        stored_geometry(endless)
