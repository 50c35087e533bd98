"""A doubtful header is named; conversion takes the sform and resamples, everything else refuses."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.experiment_planning.verify_dataset_integrity import check_cases
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.image_io import read_image
from dataset_conversion.registration.straightening import read_straightened
from nnunet_seqdropout.cli.command import main

SHEARED = np.array([[1.2, 0.3, 0.1, -20], [0, 1.0, -0.2, 15], [0, 0, 2.0, 7], [0, 0, 0, 1.0]])
"""Voxel to RAS mm, where rows and slices lean."""
CENTRE = (14.0, 12.0, 9.0)
CENTRE_LPS = (-(1.2 * 14 + 0.3 * 12 + 0.1 * 9 - 20), -(12 - 0.2 * 9 + 15), 2.0 * 9 + 7)
WIDTHS = (1.2, 1.0440307, 2.0124612)  # sqrt(0.09 + 1), sqrt(0.01 + 0.04 + 4)


def ball(affine: np.ndarray, *, shape=(30, 26, 20), radius_mm=6.0, centre=CENTRE) -> np.ndarray:
    """(X, Y, Z): a ball in millimetres, not in voxels, around the centre given in voxels."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1) - centre
    return np.linalg.norm(index @ affine[:3, :3].T, axis=-1) <= radius_mm


def save(file: Path, voxels: np.ndarray, sform=None, qform=None, *, codes=(1, 1), widths=None) -> Path:
    """A header with the forms that are given; ``pixdim`` has the widths of the sform, or those given."""
    image = nibabel.Nifti1Image(voxels, None)
    if qform is not None:
        image.set_qform(qform, codes[1])
    if sform is not None:
        image.set_sform(sform, codes[0])
        image.header["pixdim"][1:4] = np.linalg.norm(sform[:3, :3], axis=0)
    if widths is not None:
        image.header["pixdim"][1:4] = widths
    file.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, file)
    return file


def centroid_lps(image: sitk.Image) -> np.ndarray:
    """Of what is at least half as bright as the brightest, in mm."""
    voxels = sitk.GetArrayFromImage(image)
    indices = np.argwhere(voxels >= voxels.max() / 2)[:, ::-1]
    return np.mean([image.TransformIndexToPhysicalPoint(index.tolist()) for index in indices], axis=0)


@pytest.mark.parametrize("code", [1, 2, 4])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_ball_in_a_sheared_image_stays_where_it_is_in_mm(tmp_path, code, mirrored):
    affine, centre = SHEARED.copy(), np.array(CENTRE_LPS)
    if mirrored:
        affine[0] *= -1
        centre[0] *= -1
    voxels = ball(affine)
    file = save(tmp_path / "i.nii.gz", (voxels * 500).astype(np.int16), affine, codes=(code, 0))
    with pytest.raises(Fault, match="not at right angles"):
        read_image(file)
    image, said = read_straightened(file)
    assert said == "the axes in its header are not at right angles; resampled by the sform"
    assert np.abs(centroid_lps(image) - centre).max() < 0.3  # half a voxel is 0.5 mm and more
    assert image.GetPixelID() == sitk.sitkInt16
    assert image.GetSpacing() == pytest.approx(WIDTHS, abs=1e-5)
    axes = np.reshape(image.GetDirection(), (3, 3))
    assert np.allclose(axes.T @ axes, np.eye(3))
    assert np.sign(np.linalg.det(axes)) == np.sign(np.linalg.det(affine[:3, :3]))
    # a voxel had 1.2 x 1 x 2 mm3 by the affine's determinant; brightness times volume is kept
    mass = sitk.GetArrayFromImage(image).sum() * np.prod(image.GetSpacing())
    assert mass == pytest.approx(500 * voxels.sum() * 2.4, rel=0.01)


def test_no_voxel_of_a_sheared_image_is_cut_off(tmp_path):
    shape = (5, 6, 7)
    file = save(tmp_path / "i.nii.gz", np.full(shape, 9, np.uint8), SHEARED, codes=(1, 0))
    image, _ = read_straightened(file, is_label=True)
    for corner in np.ndindex(2, 2, 2):
        x, y, z = (SHEARED @ [*(np.array(corner) * np.subtract(shape, 1)), 1])[:3]
        index = image.TransformPhysicalPointToContinuousIndex([-x, -y, z])
        assert all(-1e-2 <= i <= n - 1 + 1e-2 for i, n in zip(index, image.GetSize(), strict=True))


def test_a_sheared_label_keeps_its_values(tmp_path):
    voxels = ball(SHEARED).astype(np.uint8) * 3
    image, _ = read_straightened(save(tmp_path / "l.nii.gz", voxels, SHEARED, codes=(1, 0)), is_label=True)
    assert np.unique(sitk.GetArrayFromImage(image)).tolist() == [0, 3]
    assert np.abs(centroid_lps(image) - CENTRE_LPS).max() < 0.5


@pytest.mark.parametrize("codes", [(1, 1), (2, 1), (4, 2)])
def test_of_two_forms_that_disagree_the_sform_is_taken_whatever_its_code(tmp_path, codes):
    """SimpleITK would take the qform unless the sform's code is 1."""
    sform = np.diag([1.0, 1, 2, 1])
    sform[0, 3] = 10
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    file = save(tmp_path / "i.nii.gz", voxels, sform, np.diag([1.0, 1, 2, 1]), codes=codes)
    image, said = read_straightened(file)
    assert said == "sform and qform of its header disagree by 10.0 mm; the sform was taken"
    assert image.TransformIndexToPhysicalPoint((0, 0, 0)) == (-10, 0, 0)
    assert image.TransformIndexToPhysicalPoint((1, 2, 3)) == (-11, -2, 6)
    assert np.array_equal(sitk.GetArrayFromImage(image).T, voxels)


def test_a_sheared_sform_beside_a_qform_is_named_twice(tmp_path):
    file = save(tmp_path / "i.nii.gz", ball(SHEARED).astype(np.int16), SHEARED, np.diag([*WIDTHS, 1]))
    _, said = read_straightened(file)
    assert said.startswith("sform and qform of its header disagree by ")
    assert said.endswith(" mm, and the axes in its header are not at right angles; resampled by the sform")


def test_what_simpleitk_cannot_use_though_it_leans_by_little_is_taken_as_it_stands(tmp_path):
    sform = np.eye(4)
    sform[0, 1] = 5e-4
    voxels = np.arange(300 * 300, dtype=np.int32).reshape(300, 300, 1)
    file = save(tmp_path / "i.nii.gz", voxels, sform, codes=(1, 0))
    with pytest.raises(Fault, match="SimpleITK cannot use the axes"):
        read_image(file)
    image, _ = read_straightened(file)
    assert np.array_equal(sitk.GetArrayFromImage(image).T, voxels)
    # 300 voxels of 5e-4 lean by 0.15 mm
    assert image.TransformIndexToPhysicalPoint((0, 299, 0)) == pytest.approx((0, -299, 0), abs=0.16)


@pytest.mark.parametrize(
    ("sform", "options"),
    [
        (np.diag([-1.0, 1, 1, 1]), {"qform": np.eye(4)}),  # left and right exchanged
        (np.diag([1.0, 1, 2, 1]), {"qform": np.eye(4), "widths": (1, 1, 1)}),
        (np.diag([1.0, 1, 2, 1]), {"codes": (1, 0), "widths": (1, 1, 1)}),  # SimpleITK would take 1 mm, nibabel 2 mm
        (np.array([[1, 0.95, 0, 0], [0, 0.3, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), {"codes": (1, 0)}),
        (np.diag([1.0, 1, 0, 1]), {"codes": (1, 0), "widths": (1, 1, 1)}),
    ],
)
def test_where_taking_the_sform_would_be_a_guess_it_is_refused(tmp_path, sform, options):
    file = save(tmp_path / "i.nii.gz", np.ones((3, 4, 5), np.int16), sform, **options)
    for read in (read_image, read_straightened):
        with pytest.raises(Fault, match=r"i\.nii\.gz: (sform and qform|the axes|the parts)"):
            read(file)


@pytest.mark.parametrize("harm", ["truncated", "nan"])
def test_other_faults_of_a_sheared_image_are_found_all_the_same(tmp_path, harm):
    voxels = np.random.default_rng(0).random((9, 9, 9)).astype(np.float32)
    voxels[0, 0, 0] = np.nan if harm == "nan" else 1
    file = save(tmp_path / "i.nii.gz", voxels, SHEARED, codes=(1, 0))
    if harm == "truncated":
        file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(Fault, match="truncated" if harm == "truncated" else "1 voxel is NaN"):
        read_straightened(file)
    if harm == "nan":
        assert np.isfinite(sitk.GetArrayFromImage(read_straightened(file, nan="zero")[0])).all()


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    return tmp_path / "raw" / "Dataset001_X"


def test_convert_resamples_what_check_names_and_fill_refuses(tmp_path, raw, capsys):
    """A patient whose four series and label lean, as an affine registration leaves them in the header."""
    voxels = ball(SHEARED)
    noise = np.random.default_rng(0).integers(1, 50, voxels.shape)
    for name in ("bravo", "t1_pre", "t1_gd", "flair"):
        save(tmp_path / "in" / "P1" / f"{name}.nii.gz", (voxels * 500 + noise).astype(np.int16), SHEARED, codes=(1, 0))
    save(tmp_path / "in" / "P1" / "seg.nii.gz", voxels.astype(np.uint8), SHEARED, codes=(1, 0))
    words = ("convert", "hospital_a", str(tmp_path / "in"), "-d", "1", "-n", "X", "--register", "never")
    assert main(list(words)) == 0
    warnings = json.loads((raw / "manifest.json").read_text())["patients"]["P1"]["warnings"]
    resampled = "the axes in its header are not at right angles; resampled by the sform"
    assert warnings == [f"{name}: {resampled}" for name in ("bravo", "t1_pre", "t1_gd", "flair", "label")]
    for file in (*(raw / "imagesTr").iterdir(), *(raw / "labelsTr").iterdir()):
        assert np.abs(centroid_lps(sitk.ReadImage(str(file))) - CENTRE_LPS).max() < 0.5
    assert main(["check", "-i", str(raw)]) == 0
    images = sorted(map(str, (raw / "imagesTr").iterdir()))
    assert check_cases(images, str(raw / "labelsTr" / "P1.nii.gz"), 4, SimpleITKIO)

    save(raw / "imagesTr" / "P1_0003.nii.gz", noise.astype(np.int16), SHEARED, codes=(1, 0))
    capsys.readouterr()
    assert main(["check", "-i", str(raw)]) == 1
    said = "P1_0003.nii.gz: the axes in its header are not at right angles"
    assert said in capsys.readouterr().out
    assert main(["fill", "-i", str(raw / "imagesTr"), "-o", str(tmp_path / "filled"), "-m", str(raw)]) == 1
    assert said in json.loads((tmp_path / "filled" / "summary.json").read_text())["cases"]["P1"]["problem"]
