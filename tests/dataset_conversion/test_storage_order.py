"""One head stored in any of the 48 orders of axes is the same head, without interpolation, for every command."""

import json
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from conftest import SEQUENCES, write_dataset
from hypothesis import given
from hypothesis import strategies as st

from dataset_conversion.files.images.grids import on_grid_of, require_same_grid
from dataset_conversion.files.images.storage_order import storage_order, stored_as, stored_like
from nnunet_seqdropout.cli.command import main

ORDERS = ["".join(letters) for axes in permutations(("LR", "PA", "SI")) for letters in product(*axes)]
FILES = (Path("a"), Path("b"))
ANGLES = st.integers(-600, 600).map(lambda milliradians: milliradians / 1000)


def head(seed: int = 0, direction=(1, 0, 0, 0, 1, 0, 0, 0, 1)) -> sitk.Image:
    image = sitk.GetImageFromArray(np.random.default_rng(seed).integers(1, 900, (8, 9, 10)).astype(np.int16))
    image.SetSpacing([0.9, 1.1, 2.5])
    image.SetOrigin([-10, 20, 30.5])
    image.SetDirection(direction)
    return image


def voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_comes_back_to_the_voxel(order):
    image = head()
    stored = stored_as(order, image)
    assert storage_order(stored) == order
    back = stored_like(image, stored)
    require_same_grid(image, back, files=FILES)
    assert np.array_equal(voxels(back), voxels(image))
    assert (stored is image) == (back is stored) == (order == "LPS")


@given(st.sampled_from(ORDERS), ANGLES, ANGLES)
def test_an_oblique_head_comes_back_too(order, around_x, around_z):
    """Turned by up to 34 degrees about two axes, so that near 45 degrees in space two letters are as good."""
    turn = sitk.Euler3DTransform((0, 0, 0), around_x, 0.3, around_z).GetMatrix()
    image = head(direction=turn)
    stored = stored_as(order, image)
    # where each voxel lies is the same before and after: of one corner, by the transforms of SimpleITK
    place = image.TransformIndexToPhysicalPoint((9, 0, 7))
    index = stored.TransformPhysicalPointToIndex(place)
    assert stored[index] == image[9, 0, 7]
    back = on_grid_of(image, stored, files=FILES)
    assert np.array_equal(voxels(back), voxels(image))


def test_a_head_that_is_only_tilted_is_left_as_it_is():
    image, tilted = head(), head(direction=sitk.Euler3DTransform((0, 0, 0), 0.7, 0, 0).GetMatrix())
    assert stored_like(image, tilted) is tilted


def write_patient(folder: Path, orders: dict[str, str], label_order: str = "LPS") -> None:
    folder.mkdir(parents=True)
    for seed, name in enumerate(SEQUENCES):
        image = stored_as(orders.get(name, "LPS"), head(seed))
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    label = sitk.Cast(head(9) > 600, sitk.sitkUInt8)
    sitk.WriteImage(stored_as(label_order, label), str(folder / "seg.nii.gz"))


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    return tmp_path / "raw" / "Dataset001_Heads"


def convert(source: Path) -> int:
    return main(["convert", "hospital_a", str(source), "-d", "1", "-n", "Heads", "--register", "never"])


def test_convert_writes_one_order_and_says_whose_was_another(tmp_path, raw):
    """Three patients are stored as LPS; of P1 two series and the label, and all of P3, in other orders."""
    write_patient(tmp_path / "in" / "P0", {})
    write_patient(tmp_path / "in" / "P1", {"flair": "RAS", "t1_pre": "PIR"}, label_order="LSP")
    write_patient(tmp_path / "in" / "P2", {})
    write_patient(tmp_path / "in" / "P3", dict.fromkeys(SEQUENCES, "ASL"), label_order="ASL")
    assert convert(tmp_path / "in") == 0
    for case in ("P1", "P2", "P3"):
        for folder, name in [*(("imagesTr", f"_{i:04d}") for i in range(4)), ("labelsTr", "")]:
            image, first = (sitk.ReadImage(str(raw / folder / f"{c}{name}.nii.gz")) for c in (case, "P0"))
            assert storage_order(image) == "LPS"
            require_same_grid(first, image, files=FILES)
            assert np.array_equal(voxels(image), voxels(first))
    patients = json.loads((raw / "manifest.json").read_text())["patients"]
    assert patients["P1"]["warnings"] == [
        "t1_pre: stored as PIR, written as LPS",
        "flair: stored as RAS, written as LPS",
    ]
    assert len(patients["P3"]["warnings"]) == 4
    # what is stored as it should be keeps its bytes
    assert (raw / "imagesTr" / "P2_0000.nii.gz").read_bytes() == (tmp_path / "in/P2/bravo.nii.gz").read_bytes()


def test_a_data_set_that_is_added_to_keeps_its_order(tmp_path, raw):
    write_patient(tmp_path / "first" / "P0", dict.fromkeys(SEQUENCES, "RAS"))
    write_patient(tmp_path / "second" / "P1", {})
    assert convert(tmp_path / "first") == convert(tmp_path / "second") == 0
    found = {storage_order(sitk.ReadImage(str(file))) for file in (raw / "imagesTr").iterdir()}
    assert found == {"RAS"}


def test_check_names_an_image_in_another_order_and_mixed_cases(tmp_path, capsys):
    folder = tmp_path / "Dataset003_Mixed"
    write_dataset(folder, dict.fromkeys("AB", (8, 9, 10)), sequences=SEQUENCES[:2])
    for file in [*folder.glob("*Tr/B*")]:
        sitk.WriteImage(stored_as("RAS", sitk.ReadImage(str(file))), str(file))
    assert main(["check", "-i", str(folder)]) == 0
    assert "note: the cases are stored in different orders of axes (1 as LPS, 1 as RAS)" in capsys.readouterr().out
    odd = folder / "imagesTr" / "A_0001.nii.gz"
    sitk.WriteImage(stored_as("PIR", sitk.ReadImage(str(odd))), str(odd))
    assert main(["check", "-i", str(folder)]) == 1
    printed = capsys.readouterr().out
    assert f"A: {odd}: stored as PIR, but {folder}/imagesTr/A_0000.nii.gz as LPS. Convert the data set again" in printed


def test_evaluate_does_not_care_how_a_prediction_is_stored(tmp_path):
    """Label maps and nnU-Net's probabilities, whose array has no header of its own."""
    reference, predicted = (sitk.Cast(head(seed) > 700, sitk.sitkUInt8) for seed in (1, 2))
    found = {}
    for order in ("LPS", "PIR"):
        for kind in ("labels", "probabilities"):
            folder = tmp_path / f"{order}_{kind}"
            (folder / "gt").mkdir(parents=True)
            (folder / "p").mkdir()
            sitk.WriteImage(reference, str(folder / "gt" / "A.nii.gz"))
            stored = stored_as(order, predicted)
            sitk.WriteImage(stored, str(folder / "p" / "A.nii.gz"))
            if kind == "probabilities":
                of_lesion = 0.2 + 0.6 * voxels(stored)
                np.savez(folder / "p" / "A.npz", probabilities=np.stack([1 - of_lesion, of_lesion]).astype(np.float16))
            words = ["evaluate", "-gt", folder / "gt", "-p", folder / "p", "-o", folder / "out", "--no-report"]
            assert main([str(word) for word in words]) == 0
            found[order, kind] = pd.read_csv(folder / "out" / "cases.csv")
    for kind in ("labels", "probabilities"):
        pd.testing.assert_frame_equal(found["LPS", kind], found["PIR", kind])
        assert 0 < found["PIR", kind]["dice"].item() < 1
