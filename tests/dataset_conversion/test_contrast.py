"""An image whose contrast nnU-Net's normalisation would lose is a fault of its case, for every command alike."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import write_dataset
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.preprocessing.normalization.default_normalization_schemes import ZScoreNormalization

from dataset_conversion.raw.preparing.contrast import contrast_fault
from nnunet_seqdropout.cli.command import main

NOISE = np.random.default_rng(0).normal(0, 1, (4, 5, 6))
UNITS, STEPS = "makes zeros of it. Save it in other units", "they can hardly be told apart"
FAINT = [
    (1e-10 * NOISE, UNITS),
    ((1e-10 * NOISE).astype(np.float32), UNITS),
    (1e10 + 100 * NOISE, STEPS),  # float32 goes there in steps of 1024
    (2**30 + (NOISE > 0).astype(np.int32), STEPS),
    (np.float32(1000) + (NOISE > 0) * np.float32(1e-4), STEPS),
]
SOUND = [
    1e-6 * NOISE,
    1e6 + 100 * NOISE,
    (NOISE > 0).astype(np.int32),
    (NOISE > 0).astype(np.uint8),
    1e-3 * (NOISE > 2),
]


def fault(voxels: np.ndarray) -> str:
    return str(contrast_fault(sitk.GetImageFromArray(voxels), Path("a.nii.gz")) or "")


@pytest.mark.parametrize(("voxels", "said"), FAINT)
def test_an_image_of_too_little_contrast_is_a_fault(voxels, said):
    assert said in fault(voxels)


@pytest.mark.parametrize("voxels", SOUND)
def test_an_image_with_contrast_is_none(voxels):
    assert fault(voxels) == ""


@given(scale=st.floats(1e-12, 1e12), offset=st.floats(-1e12, 1e12))
def test_what_is_no_fault_keeps_its_contrast_in_nnunets_normalisation(scale, offset):
    """It then correlates with the image that it was made of."""
    voxels = offset + scale * NOISE
    if not fault(voxels):
        scheme = ZScoreNormalization(use_mask_for_norm=False, intensityproperties={}, target_dtype=np.float32)
        normalised = scheme.run(voxels.copy())
        assert np.corrcoef(normalised.ravel(), NOISE.ravel())[0, 1] > 0.9
        assert normalised.std() > 0.5


@pytest.mark.parametrize("command", ["check", "convert", "fill"])
def test_the_commands_name_it_and_the_other_cases_go_on(tmp_path, monkeypatch, capsys, caplog, command):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    raw, hospital = tmp_path / "raw" / "Dataset001_A", tmp_path / "hospital"
    write_dataset(raw, dict.fromkeys("AB", NOISE.shape), sequences=("t1_pre", "t1_gd"))
    faint = sitk.GetImageFromArray(1e-10 * NOISE)
    sitk.WriteImage(faint, str(raw / "imagesTr" / "A_0001.nii.gz"))
    for case in "AB":
        (hospital / case).mkdir(parents=True)
        for source, name in ((f"imagesTr/{case}_0001", "t1_gd"), (f"labelsTr/{case}", "seg")):
            (hospital / case / f"{name}.nii.gz").write_bytes((raw / f"{source}.nii.gz").read_bytes())
    words = {
        "check": ("check", "-i", raw),
        "convert": ("convert", "hospital_a", hospital, "-d", "2", "-n", "X"),
        "fill": ("fill", "-i", raw / "imagesTr", "-d", "1", "-o", tmp_path / "out"),
    }
    assert main([str(word) for word in words[command]]) == 1
    said = capsys.readouterr().out + caplog.text
    assert "A: " in said
    assert UNITS in said
    assert "B: " not in said
