"""Prediction reads every image once: what its header tells is said before the model is loaded, the rest in its turn."""

import gzip
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import write_case
from predict_folders import predict

from dataset_conversion.files.images import image_io
from dataset_conversion.files.images.nifti_writing import nifti_bytes
from dataset_conversion.raw.preparing import placeholders
from evaluation.inputs.thresholds import Threshold, Thresholds
from nnunet_seqdropout.prediction import inputs, loading

SHAPE = (5, 20, 18)


@pytest.fixture
def images(tmp_path) -> Path:
    """P, Q and R of four sequences."""
    for seed, case in enumerate("PQR"):
        write_case(tmp_path, case, SHAPE, seed=seed)
    return tmp_path / "imagesTr"


@pytest.fixture
def reads(monkeypatch) -> Counter:
    """How often the voxels of each file were read, and how often it was hashed apart from that."""
    counted: Counter = Counter()
    read, hashed = image_io.read_nifti, inputs.sha256_of

    def counting_read(path, content=None):
        counted[path.name] += 1
        return read(path, content)

    def counting_hash(file):
        counted[f"hash {file.name}"] += 1
        return hashed(file)

    monkeypatch.setattr(image_io, "read_nifti", counting_read)
    monkeypatch.setattr(inputs, "sha256_of", counting_hash)
    return counted


@pytest.fixture
def reads_before_the_model(reads, monkeypatch) -> list[Counter]:
    """What had been read whenever a model was loaded."""
    seen, load = [], loading.load_model

    def noting(*words, **named):
        seen.append(Counter(reads))
        return load(*words, **named)

    monkeypatch.setattr(loading, "load_model", noting)
    return seen


def outcomes(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())["cases"]


def write(file: Path, voxels: np.ndarray, origin: tuple = (0, 0, 0)) -> None:
    image = sitk.GetImageFromArray(voxels)
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(file))


def test_every_image_is_read_once_and_hashed_from_the_bytes_that_were_read(make_model, images, tmp_path, reads):
    one_value = images / "Q_0001.nii.gz"
    write(one_value, np.full(SHAPE, 7, np.float32))
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout")) == 0
    assert reads == dict.fromkeys((f"{case}_{n:04d}.nii.gz" for case in "PQR" for n in range(4)), 1)
    record = json.loads((tmp_path / "out" / "Q.json").read_text())
    assert record["warnings"] == [f"{one_value}: every voxel is 7; treated as absent"]
    assert [*record["inputs"]["sha256"].values()] == [inputs.sha256_of(file) for file in sorted(images.glob("Q*"))]


def test_one_case_is_read_before_the_model_is_loaded(make_model, images, tmp_path, reads_before_the_model):
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout")) == 0
    assert reads_before_the_model == [dict.fromkeys((f"P_{n:04d}.nii.gz" for n in range(4)), 1)]


def test_the_first_that_is_sound_is_looked_for_and_nothing_is_read_again(
    make_model, images, tmp_path, reads, reads_before_the_model, capfd
):
    content = bytearray((images / "P_0000.nii.gz").read_bytes())
    content[len(content) // 2] ^= 1
    (images / "P_0000.nii.gz").write_bytes(content)
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout")) == 1
    assert {name[0] for name in reads_before_the_model[0]} == {"P", "Q"}
    assert set(reads.values()) == {1}
    assert outcomes(tmp_path / "out")["P"]["status"] == "failed"
    assert capfd.readouterr().err.count("P_0000.nii.gz: the file is truncated or corrupt") == 1


def test_nothing_is_written_where_voxels_tell_that_none_can_be_predicted(
    make_model, images, tmp_path, reads, reads_before_the_model, capsys
):
    for file in images.iterdir():
        write(file, np.zeros(SHAPE, np.float32))
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout")) == 2
    assert "none of 3 cases can be predicted; the first: no usable sequence" in capsys.readouterr().err
    assert set(reads.values()) == {1}
    assert not reads_before_the_model
    assert not (tmp_path / "out").exists()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-300])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut, "truncated or corrupt"),
        (lambda file: write(file, np.arange(1800).reshape(SHAPE[::-1])), "size (5, 20, 18)"),
        (lambda file: write(file, np.arange(1800).reshape(SHAPE), (0, 0, 1)), "origin (0, 0, 1)"),
        (lambda file: write(file, np.arange(1800).reshape(SHAPE), (0, 0, 2e6)), "the origin"),
    ],
)
def test_what_a_header_or_the_length_tells_is_said_before_the_model_is_loaded(
    make_model, images, tmp_path, reads, reads_before_the_model, monkeypatch, caplog, spoil, said
):
    def noting(*words, **named):
        assert said in caplog.text
        assert "R_0001.nii.gz" in caplog.text
        return load(*words, **named)

    load = loading.load_model
    spoil(images / "R_0001.nii.gz")
    monkeypatch.setattr(loading, "load_model", noting)
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout")) == 1
    assert outcomes(tmp_path / "out")["R"]["status"] == "failed"
    assert set(reads.values()) == {1}


def test_an_empty_image_on_another_grid_is_absent_and_no_fault(make_model, images, tmp_path):
    write(images / "R_0001.nii.gz", np.zeros((3, 3, 3), np.uint8))
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout")) == 0
    assert json.loads((tmp_path / "out" / "R.json").read_text())["absent"] == ["t1_pre"]


def test_a_file_of_several_compressed_streams_is_whole(make_model, images, tmp_path):
    """As bgzip writes them: the length at the end is that of the last stream alone."""
    file = images / "R_0001.nii.gz"
    voxels = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(voxels[:500]) + gzip.compress(voxels[500:]))
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout")) == 0
    assert json.loads((tmp_path / "out" / "R.json").read_text())["absent"] == []


def test_resuming_reads_no_voxel_of_what_is_done(make_model, images, tmp_path, reads):
    model = make_model("TinySeqDropout")
    assert predict(images, tmp_path / "out", model) == 0
    shutil.copy(images / "P_0002.nii.gz", images / "S_0002.nii.gz")
    reads.clear()
    assert predict(images, tmp_path / "out", model, "--continue_prediction") == 0
    assert {name: n for name, n in reads.items() if not name.startswith("hash")} == {"S_0002.nii.gz": 1}
    assert [outcome["status"] for outcome in outcomes(tmp_path / "out").values()] == ["skipped"] * 3 + ["ok"]


def test_a_pattern_that_has_no_threshold_but_by_an_empty_image_is_predicted(make_model, images, tmp_path, caplog):
    """Of P and Q all four sequences say something, of R three; calibrated are these three alone."""
    write(images / "R_0001.nii.gz", np.zeros(SHAPE, np.uint8))
    file = tmp_path / "thresholds.json"
    Thresholds("1", "youden_pooled", {"bravo+t1_gd+flair": Threshold(0.5, 3)}).write(file)
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout"), "--threshold-file", file) == 1
    assert [outcome["status"] for outcome in outcomes(tmp_path / "out").values()] == ["failed", "failed", "ok"]
    assert "no threshold for bravo+t1_pre+t1_gd+flair" in outcomes(tmp_path / "out")["P"]["problem"]


def test_hashes_are_of_the_file_not_of_the_voxels(tmp_path):
    file = tmp_path / "P.nii.gz"
    grid = sitk.Image(3, 2, 2, sitk.sitkUInt8)
    file.write_bytes(nifti_bytes(np.arange(12).reshape(2, 2, 3).astype(np.uint8), grid))
    found = placeholders.usable_images({0: file})
    assert found.sha256 == {0: inputs.sha256_of(file)}
