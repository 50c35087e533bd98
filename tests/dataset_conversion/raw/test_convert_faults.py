"""``seqdropout convert`` on bad input: its patient is named, with file and remedy, and left out whole; others go on."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from broken_files import declare_a_giant, flip_a_bit, truncate

from nnunet_seqdropout.cli.command import main

SEQUENCES = ("bravo", "t1_pre", "t1_gd", "flair")
SHAPE = (6, 7, 5)


def noise(seed: int = 0, *, shape=SHAPE, dtype=np.int16) -> np.ndarray:
    """(X, Y, Z)"""
    return np.random.default_rng(seed).integers(1, 90, shape).astype(dtype)


def lesion(value: float = 1, *, shape=SHAPE, dtype=np.uint8) -> np.ndarray:
    mask = np.zeros(shape, dtype)
    mask[1:3, 2, 1] = value
    return mask


def save(file: Path, voxels: np.ndarray, *, moved_mm: float = 0.0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    affine = np.eye(4)
    affine[2, 3] = moved_mm
    nibabel.save(nibabel.Nifti1Image(voxels, affine), file)
    return file


def write_patient(folder: Path, seed: int) -> None:
    for i, name in enumerate(SEQUENCES):
        save(folder / f"{name}.nii.gz", noise(10 * seed + i))
    save(folder / "seg.nii.gz", lesion())


@pytest.fixture
def source(tmp_path) -> Path:
    """Two sound patients."""
    for seed, name in enumerate(("P1", "P2")):
        write_patient(tmp_path / "in" / name, seed)
    return tmp_path / "in"


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    return tmp_path / "raw" / "Dataset001_X"


def convert(source: Path, *options: object, layout: str = "hospital_a", register: str = "never") -> int:
    words = ("convert", layout, source, "-d", 1, "-n", "X", "--register", register, *options)
    return main([str(word) for word in words])


def outcomes(raw: Path) -> dict:
    return json.loads((raw / "summary.json").read_text())["cases"]


def put_nan(file):
    voxels = noise(dtype=np.float32)
    voxels[0, 0, :2] = np.nan, np.inf
    save(file, voxels)


def exchange_left_and_right(file):
    image = nibabel.Nifti1Image(noise(), np.eye(4))
    image.set_qform(np.eye(4), 1)
    image.set_sform(np.diag([-1.0, 1, 1, 1]), 1)
    nibabel.save(image, file)


@pytest.mark.parametrize(
    ("name", "harm", "said", "remedy"),
    [
        ("flair", truncate, "truncated or corrupt", "Copy it again"),
        ("flair", flip_a_bit, "truncated or corrupt", "Copy it again"),
        ("flair", lambda file: file.write_bytes(b""), "the file is empty", "Copy it again"),
        ("flair", lambda file: file.write_text("no image\n" * 99), "it is not compressed", "Copy it again"),
        ("flair", declare_a_giant, "declares 30000 x 30000 x 30000 voxels", "Copy it again"),
        ("flair", put_nan, "2 voxels are NaN or infinite", "--nan zero"),
        ("flair", lambda file: save(file, noise(shape=(6, 7, 6))), "size (6, 7, 6), but", "--register auto"),
        ("flair", lambda file: save(file, noise(), moved_mm=0.3), "up to 0.3 mm apart", "--trust-geometry"),
        ("flair", exchange_left_and_right, "sform and qform of its header disagree by 10.0 mm", "Correct the header"),
        ("flair", lambda file: save(file, noise(shape=(6, 7, 5, 3))), "4D, t=3", "Choose a volume"),
        ("flair", lambda file: save(file, noise(shape=(6, 7))), "2D", "Combine its slices"),
        (
            "flair",
            lambda file: save(file, np.zeros(SHAPE, [(c, "u1") for c in "RGB"])),
            "colour",
            "original grey image",
        ),
        ("seg", lambda file: save(file, lesion(255)), "unknown label values 255 (2 voxels)", "--map 255=1"),
        (
            "seg",
            lambda file: save(file, lesion(0.5, dtype=np.float32)),
            "not whole numbers: 0.5 (2",
            "Give a label map",
        ),
        ("seg", lambda file: save(file, lesion(), moved_mm=2.5), "up to 2.5 mm apart", "Resample"),
        ("seg", lambda file: save(file, lesion(shape=(6, 7, 8))), "size (6, 7, 8), but", "Resample"),
        ("seg", truncate, "truncated or corrupt", "Copy it again"),
    ],
)
def test_a_bad_file_fails_its_patient_alone(source, raw, capsys, name, harm, said, remedy):
    harm(source / "P1" / f"{name}.nii.gz")
    assert convert(source) == 1
    found = outcomes(raw)
    assert (found["P1"]["status"], found["P2"]["status"]) == ("failed", "ok")
    assert f"{name}.nii.gz" in found["P1"]["problem"]
    assert said in found["P1"]["problem"]
    assert remedy in found["P1"]["remedy"]
    assert "\n" not in found["P1"]["problem"] + found["P1"]["remedy"]
    assert not list(raw.rglob("P1*"))
    assert len(list((raw / "imagesTr").glob("P2_000?.nii.gz"))) == 4
    assert main(["check", "-i", str(raw)]) == 0


def test_masks_of_0_and_255_are_taken_if_that_is_said(source, raw):
    save(source / "P1" / "seg.nii.gz", lesion(255))
    assert convert(source, "--map", "255=1") == 0
    assert np.unique(nibabel.Nifti1Image.from_filename(raw / "labelsTr" / "P1.nii.gz").dataobj).tolist() == [0, 1]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_a_series_keeps_its_type_and_its_values(source, raw, dtype):
    voxels = noise(7, dtype=dtype) * np.array(2, dtype)
    voxels[0, 0, 0] = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1e13
    # uncompressed, so that it has to be written anew
    (source / "P1" / "flair.nii.gz").unlink()
    save(source / "P1" / "flair.nii", voxels)
    assert convert(source) == 0
    written = nibabel.Nifti1Image.from_filename(raw / "imagesTr" / "P1_0003.nii.gz")
    assert written.get_data_dtype() == dtype
    assert np.array_equal(np.asarray(written.dataobj), voxels)


def test_one_empty_label_is_said_and_empty_labels_alone_are_a_stop(source, raw, capsys):
    save(source / "P1" / "seg.nii.gz", lesion(0))
    assert convert(source) == 0
    assert json.loads((raw / "manifest.json").read_text())["patients"]["P1"]["warnings"] == ["label: empty"]
    save(source / "P2" / "seg.nii.gz", lesion(0))
    capsys.readouterr()
    assert convert(source) == 2
    assert "all 2 labels are empty. Do not plan or train" in capsys.readouterr().err


def test_one_patient_under_two_names_in_two_splits_is_refused(source, raw):
    """P9's FLAIR is P1's, byte by byte; the others of P9 are his own."""
    write_patient(source / "val" / "P9", 5)
    (source / "val" / "P9" / "flair.nii.gz").write_bytes((source / "P1" / "flair.nii.gz").read_bytes())
    assert convert(source, "--val", "P9") == 1
    found = outcomes(raw)
    assert {case: outcome["status"] for case, outcome in found.items()} == {"P1": "failed", "P2": "ok", "P9": "failed"}
    assert "it has the same image as P9, which is in another split" in found["P1"]["problem"]
    assert list(json.loads((raw / "manifest.json").read_text())["patients"]) == ["P2"]
    assert not [*raw.rglob("P1*"), *raw.rglob("P9*")]
    assert main(["check", "-i", str(raw)]) == 0


def test_one_image_twice_in_one_split_is_no_fault(source, raw):
    (source / "P2" / "flair.nii.gz").write_bytes((source / "P1" / "flair.nii.gz").read_bytes())
    assert convert(source) == 0


def test_names_with_blanks_and_umlauts_work_to_the_end(tmp_path, raw):
    write_patient(tmp_path / "Köln Süd" / "Müller 1", 1)
    assert convert(tmp_path / "Köln Süd") == 0
    assert (raw / "imagesTr" / "Müller 1_0000.nii.gz").is_file()
    assert "Müller 1" in (raw / "qc.html").read_text()
    assert main(["check", "-i", str(raw)]) == 0


def test_a_dry_run_says_who_would_fail_by_what_is_there(source, raw, capsys):
    (source / "P2" / "t1ce.nii.gz").write_bytes((source / "P2" / "t1_gd.nii.gz").read_bytes())
    assert convert(source, "--dry-run") == 1
    assert "are both the t1_gd of P2" in capsys.readouterr().out
    assert not raw.exists()


@pytest.mark.parametrize("number", ["0", "-1", "two"])
@pytest.mark.parametrize("command", ["convert", "check"])
def test_a_number_of_processes_that_is_none_ends_with_two(capsys, command, number):
    words = {"check": ["check", "-i", "x"], "convert": ["convert", "hospital_a", "x", "-d", "1", "-n", "X"]}[command]
    with pytest.raises(SystemExit) as ended:
        main([*words, "-np", number])
    assert ended.value.code == 2
    assert "-np" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.ones(SHAPE, np.uint8), "the defacing removed nothing"),
        (np.zeros(SHAPE, np.uint8), "the brain mask is empty"),
        (np.ones((6, 7, 6), np.uint8), "size (6, 7, 6), but"),
    ],
)
def test_a_defacing_that_does_nothing_leaves_no_file_of_the_patient(source, raw, tmp_path, mask, said):
    for name in ("P1", "P2"):
        save(tmp_path / "masks" / f"{name}.nii.gz", mask)
    assert convert(source, "--deface", tmp_path / "masks") == 1
    assert said in outcomes(raw)["P1"]["problem"]
    assert not list(raw.rglob("*.nii.gz"))
    assert not list(raw.parent.rglob("P1*"))


def test_nnunet_reads_a_series_with_a_fourth_axis_of_one_beside_the_others(source, raw):
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    save(source / "P1" / "flair.nii.gz", noise(3, shape=(6, 7, 5, 1)))
    assert convert(source) == 0
    images, _ = SimpleITKIO().read_images([str(raw / "imagesTr" / f"P1_000{channel}.nii.gz") for channel in range(4)])
    assert images.shape == (4, 5, 7, 6)
    assert np.array_equal(images[3].T, noise(3))
