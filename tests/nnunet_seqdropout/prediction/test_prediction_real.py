"""Real MRI from the files that are there: masks that differ between sequences, files absent differently per patient."""

import json
from itertools import compress
from pathlib import Path

import pytest
import SimpleITK as sitk
from conftest import SEQUENCES
from predict_folders import predict, require_one_result

from nnunet_seqdropout.cli.command import main

GLIOMA_FILES = {"t1": "t1_pre", "t1ce": "t1_gd", "flair": "flair"}
"""BraTS's names, and what the model calls them; it has bravo, too, and does not know t2."""


def reduced(source: Path, target: Path, *, by: int) -> None:
    """Every ``by``-th voxel, with the spacing that it was drawn from: quick, and zeros stay zeros."""
    image = sitk.ReadImage(str(source))[::by, ::by, ::by]
    image.SetSpacing((1.0, 1.0, 1.0))
    target.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(target))


def test_a_real_metastasis_whose_masks_differ_is_the_same_absent_zero_or_dropped(real_data, make_model, tmp_path):
    names = ("t2w", "t1n", "t1c", "t2f")  # t2w stands in the place of bravo
    for channel, name in enumerate(names):
        source = real_data / "metastasis_registered" / f"BraTS-MET-00110-000-{name}.nii.gz"
        reduced(source, tmp_path / "in" / f"P_000{channel}.nii.gz", by=5)
    masks = [sitk.GetArrayFromImage(sitk.ReadImage(str(file))) != 0 for file in sorted((tmp_path / "in").iterdir())]
    assert any((mask != masks[0]).any() for mask in masks)
    require_one_result(tmp_path / "in", tmp_path, make_model("TinySeqDropout"), SEQUENCES, drop_every=7)


def test_real_gliomas_with_different_files_removed_are_all_done_by_one_command(real_data, make_model, tmp_path):
    gliomas = sorted((real_data / "glioma_registered").iterdir())
    kept_of = {}
    for number, glioma in enumerate(gliomas):
        # 1 to 7 in binary: every non-empty subset of the three in turn
        kept = [bool(((number % 7) + 1) >> place & 1) for place in range(3)]
        kept_of[glioma.name] = "+".join(compress(GLIOMA_FILES.values(), kept))
        for name in (*compress(GLIOMA_FILES, kept), *(["t2"] if number % 2 else [])):
            file = f"{glioma.name}/{glioma.name}_{name}.nii.gz"
            reduced(glioma.parent / file, tmp_path / "in" / file, by=4)
    assert len(set(kept_of.values())) == 7
    out = tmp_path / "out"
    assert predict(tmp_path / "in", out, make_model("TinySeqDropout"), "--layout", "brats") == 0
    statuses = {case: said["status"] for case, said in json.loads((out / "summary.json").read_text())["cases"].items()}
    assert statuses == dict.fromkeys(kept_of, "ok")
    for number, (case, pattern) in enumerate(kept_of.items()):
        record = json.loads((out / f"{case}.json").read_text())
        assert record["pattern"] == pattern
        assert record["absent"] == [name for name in SEQUENCES if name not in pattern.split("+")]
        assert record["factor"] == pytest.approx(4 / len(pattern.split("+")))
        assert len(record["warnings"]) == number % 2
        first = next((tmp_path / "in" / case).iterdir())
        image, labels = (sitk.ReadImage(str(file)) for file in (first, out / f"{case}.nii.gz"))
        assert (labels.GetSize(), labels.GetOrigin()) == (image.GetSize(), image.GetOrigin())


@pytest.mark.slow
def test_a_real_metastasis_with_two_sequences_is_predicted(real_data, make_model, tmp_path):
    model = make_model("TinySeqDropout")
    files = sorted((real_data / "metastasis_two_sequences").glob("*_aligned.nii.gz"))
    images = [f"--image={file.name.split('_')[2]}={file}" for file in files if "seg" not in file.name]
    command = ["predict", *images, "-o", str(tmp_path / "out"), "-m", str(model), "-device", "cpu", "--disable_tta"]
    assert len(images) == 2
    assert main(command) == 0
    assert json.loads((tmp_path / "out" / "case.json").read_text())["pattern"] == "t1_gd+flair"
