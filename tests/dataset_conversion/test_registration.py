"""Known motion is recovered, what cannot be trusted is refused, and resampling changes neither type nor grid."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.phantom.hospitals import write_phantom
from dataset_conversion.phantom.settings import LIKE_PAPER
from dataset_conversion.registration.checkerboard import checkerboard
from dataset_conversion.registration.resampling import resample
from dataset_conversion.registration.rigid import Diverged, register
from dataset_conversion.registration.similarity import clipped, similarity

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
T1, T2 = (600.0, 900.0, 100.0), (500.0, 300.0, 1000.0)
"""Brightness of grey matter, white matter and fluid."""


def grid(
    size: Sequence[int] = (72, 84, 66),
    spacing: Sequence[float] = (2.5, 2.5, 2.5),
    direction: Sequence[float] = AXIAL,
    centre: Sequence[float] = (0.0, 0.0, 0.0),
) -> sitk.Image:
    """An empty image whose middle lies at ``centre``."""
    image = sitk.Image(list(size), sitk.sitkUInt8)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    middle = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in size])
    image.SetOrigin(np.subtract(centre, middle).tolist())
    return image


def head(
    on: sitk.Image, brightness: Sequence[float], motion: sitk.Transform | None = None, seed: int = 0
) -> sitk.Image:
    """A stripped brain, an ellipsoid with folds and ventricles, noisy, int16, 0 outside; ``motion`` moves it."""
    back = motion.GetInverse() if motion else sitk.Transform()
    index = np.argwhere(np.ones(on.GetSize(), bool))
    points = index * on.GetSpacing() @ np.reshape(on.GetDirection(), (3, 3)).T + on.GetOrigin()
    origin, *ends = (np.array(back.TransformPoint(p)) for p in [[0.0] * 3, *np.eye(3).tolist()])
    points = points @ np.subtract(ends, origin) + origin

    def filled(centre: Sequence[float], radii: Sequence[float]) -> np.ndarray:
        """How much of a voxel lies in an ellipsoid: partial volume over 3 mm at its surface."""
        depth_mm = (1 - np.linalg.norm((points - centre) / np.array(radii), axis=1)) * min(radii)
        return np.clip(0.5 + depth_mm / 3, 0, 1)

    folds = np.sin(points / (6, 7, 5) + (0.8, 0.7, 0.9)).sum(axis=1)
    white = filled((0, 5, 5), (55, 70, 45)) * np.clip(1 + folds, 0, 1)
    fluid = np.max([filled((12, -15, 10), (9, 28, 12)), filled((-14, 20, 0), (10, 20, 14))], axis=0)
    voxels = (1 - fluid) * ((1 - white) * brightness[0] + white * brightness[1]) + fluid * brightness[2]
    noise = np.random.default_rng(seed).normal(0, 30, len(voxels))
    brain = np.minimum(filled((0, 0, 0), (65, 80, 55)), filled((0, 30, 30), (75, 100, 75)))
    voxels = np.clip(voxels + noise, 1, None) * (brain >= 0.5)
    image = sitk.GetImageFromArray(voxels.reshape(on.GetSize()).T.round().astype(np.int16))
    image.CopyInformation(on)
    return image


def rigid(degrees: Sequence[float], translation_mm: Sequence[float], centre: Sequence[float] = (0, 0, 0)):
    motion = sitk.Euler3DTransform()
    motion.SetCenter([float(c) for c in centre])
    motion.SetRotation(*np.deg2rad(degrees).tolist())
    motion.SetTranslation([float(t) for t in translation_mm])
    return motion


def error_mm(found: Sequence[Sequence[float]], true: sitk.Transform) -> float:
    """The mean over the corners of a cube of 100 mm."""
    corners = np.array(np.meshgrid(*[(-50.0, 50.0)] * 3)).reshape(3, -1).T
    matrix = np.array(found)
    ours = corners @ matrix[:3, :3].T + matrix[:3, 3]
    theirs = [true.TransformPoint(corner) for corner in corners.tolist()]
    return float(np.linalg.norm(ours - theirs, axis=1).mean())


OBLIQUE = rigid((15, -4, 6), (0, 0, 0)).GetMatrix()
GRIDS = {
    "the same grid": grid(),
    "thick oblique slices": grid((90, 100, 30), (2, 2, 5.5), OBLIQUE, (3, -4, 5)),
    "a smaller sagittal field of view": grid((60, 56, 50), (2.8, 2.8, 3), SAGITTAL, (4, 2, -3)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_a_known_motion_between_two_contrasts_is_recovered(name):
    motion = rigid((5, -3, 4), (6, -5, 7))
    found = register(head(grid(), T1), head(GRIDS[name], T2, motion, seed=1))
    assert error_mm(found.matrix, motion) < 0.5
    assert found.similarity_after > found.similarity_before
    assert not found.skipped


def test_translation_and_rotation_are_those_of_the_head_not_of_the_origin():
    # the head lies 300 mm from the origin: a turn by 6 degrees about the head moves the origin by 31 mm, the head by 0
    far = (300.0, 0.0, 0.0)
    reference = head(grid(), T1)
    reference.SetOrigin(np.add(reference.GetOrigin(), far).tolist())
    moving = head(grid(), T2, rigid((0, 0, 6), (0, 0, 0)), seed=1)
    moving.SetOrigin(np.add(moving.GetOrigin(), far).tolist())
    found = register(reference, moving)
    assert found.translation_mm < 0.3
    assert found.rotation_deg == pytest.approx(6, abs=0.3)
    assert np.linalg.norm(np.array(found.matrix)[:3, 3]) == pytest.approx(31.4, abs=2)


def test_aligned_series_on_one_grid_are_left_alone():
    found = register(head(grid(), T1), head(grid(), T2, seed=1))
    assert found.skipped
    assert found.matrix == np.eye(4).tolist()
    assert found.similarity_before == found.similarity_after > 1
    assert (found.translation_mm, found.rotation_deg) == (0, 0)


@pytest.mark.parametrize("motion", [rigid((0, 0, 0), (0, 1.5, 0)), rigid((0, 2, 0), (0, 0, 0))], ids=["mm", "degrees"])
def test_a_small_motion_on_one_grid_is_seen(motion):
    found = register(head(grid(), T1), head(grid(), T2, motion, seed=1))
    assert not found.skipped
    assert error_mm(found.matrix, motion) < 0.5


def test_aligned_series_on_two_grids_are_resampled():
    found = register(head(grid(), T1), head(GRIDS["a smaller sagittal field of view"], T2, seed=1))
    assert not found.skipped
    assert found.translation_mm < 0.3


def test_where_the_geometry_is_lost_the_centres_of_mass_help():
    moving = head(grid(), T2, seed=1)
    moving.SetOrigin(np.add(moving.GetOrigin(), (150, -120, 200)).tolist())
    found = register(head(grid(), T1), moving)
    assert error_mm(found.matrix, rigid((0, 0, 0), (150, -120, 200))) < 0.5
    assert found.similarity_before == 1
    assert found.translation_mm == pytest.approx(np.linalg.norm((150, -120, 200)), abs=0.5)


def upside_down(image: sitk.Image) -> sitk.Image:
    turned = sitk.GetImageFromArray(sitk.GetArrayFromImage(image)[::-1])
    turned.CopyInformation(image)
    return turned


def noise(image: sitk.Image) -> sitk.Image:
    voxels = np.random.default_rng(0).integers(1, 1000, image.GetSize()[::-1], dtype=np.int16)
    other = sitk.GetImageFromArray(voxels)
    other.CopyInformation(image)
    return other


@pytest.mark.parametrize("unrelated", [noise, lambda image: sitk.Flip(upside_down(image), [False, True, False])])
def test_what_shows_no_peak_of_similarity_is_refused(unrelated):
    with pytest.raises(Diverged) as raised:
        register(head(grid(), T1), unrelated(head(grid(), T2)))
    assert raised.value.remedy
    assert np.shape(raised.value.attempt.matrix) == (4, 4)


def exchanged(image: sitk.Image) -> sitk.Image:
    """Left and right, by slices, rows or columns, as the axes lie; the header does not know."""
    left_right = int(np.abs(np.reshape(image.GetDirection(), (3, 3))[0]).argmax())
    flipped = sitk.Flip(image, [axis == left_right for axis in range(3)])
    flipped.CopyInformation(image)
    return flipped


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("the same grid", "left and right seem exchanged"),
        ("a smaller sagittal field of view", "no peak of similarity"),  # as for most real series
    ],
)
def test_a_series_whose_left_and_right_are_exchanged_is_refused(name, said):
    moving = head(GRIDS[name], T2, rigid((4, -3, 5), (6, -5, 7)), seed=1)
    with pytest.raises(Diverged, match=said):
        register(head(grid(), T1), exchanged(moving))


@pytest.mark.parametrize("degrees", [40, 90, 180])
def test_a_head_turned_too_far_is_refused(degrees):
    with pytest.raises(Diverged, match=r"degrees|peak|lowered the similarity"):
        register(head(grid(), T1), head(grid(), T2, rigid((0, 0, degrees), (0, 0, 0)), seed=1))


def test_an_image_of_one_value_and_a_picture_are_faults():
    empty = sitk.Cast(grid(), sitk.sitkInt16)
    with pytest.raises(Fault, match="every voxel is 0"):
        register(head(grid(), T1), empty)
    with pytest.raises(Fault, match="no volume"):
        register(head(grid(), T1)[:, :, 30], head(grid(), T2))


def test_the_same_images_give_the_same_bits_with_any_number_of_threads():
    reference, moving = head(grid(), T1), head(grid(), T2, rigid((3, 2, 1), (1, 2, 3)), seed=1)
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    found = []
    try:
        for n in (1, 2, 2):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(n)
            found.append(register(reference, moving))
            assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == n
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    assert found[0].matrix == found[1].matrix == found[2].matrix
    assert len({(f.similarity_before, f.similarity_after) for f in found}) == 1


def test_the_images_given_are_not_changed():
    images = head(grid(), T1), head(grid(), T2, rigid((3, 2, 1), (1, 2, 3)), seed=1)
    before = [sitk.Hash(image) for image in images]
    register(*images)
    assert [sitk.Hash(image) for image in images] == before


def ramp(kind: type) -> sitk.Image:
    """Voxels 0, 4, 8, ... along x, 1 mm apart."""
    return sitk.GetImageFromArray(np.broadcast_to(4 * np.arange(6), (3, 3, 6)).astype(kind))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_resampling_keeps_the_type_takes_the_grid_and_rounds(kind):
    reference = sitk.GetImageFromArray(np.zeros((3, 3, 4), np.uint8))
    moved = resample(ramp(kind), reference, sitk.TranslationTransform(3, (0.7, 0.0, 0.0)))
    # 0.7 of the way from 0 to 4 is 2.8, a whole number where the type has no others
    expected = 2.8 + 4 * np.arange(4)
    expected = expected.round() if np.issubdtype(kind, np.integer) else expected
    voxels = sitk.GetArrayFromImage(moved)
    assert voxels.dtype == kind
    assert np.allclose(voxels[1, 1], expected)
    assert moved.GetSize() == reference.GetSize()


def test_outside_the_field_of_view_is_0():
    moved = resample(ramp(np.int16), ramp(np.int16), sitk.TranslationTransform(3, (3.0, 0.0, 0.0)))
    assert sitk.GetArrayFromImage(moved)[1, 1].tolist() == [12, 16, 20, 0, 0, 0]


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_a_label_keeps_its_values(kind):
    moved = resample(ramp(kind), ramp(kind), sitk.TranslationTransform(3, (0.7, 0.0, 0.0)), is_label=True)
    assert sitk.GetArrayFromImage(moved)[1, 1].tolist() == [4, 8, 12, 16, 20, 0]
    assert moved.GetPixelID() == ramp(kind).GetPixelID()


def test_resampled_by_what_was_found_the_series_lies_on_the_reference():
    motion = rigid((5, -3, 4), (6, -5, 7))
    reference, moving = head(grid(), T1), head(GRIDS["thick oblique slices"], T2, motion, seed=1)
    moved = resample(moving, reference, register(reference, moving).transform)
    # linear interpolation spreads the outline by up to a voxel: inside it the brain is at least half as bright
    ours, theirs = (sitk.GetArrayFromImage(image) > 250 for image in (reference, moved))
    assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.96


def test_an_image_tells_itself_everything_and_noise_nothing():
    image = clipped(head(grid(), T1))
    assert similarity(image, image, sitk.Transform()) == pytest.approx(2)
    assert similarity(image, clipped(noise(image)), sitk.Transform()) == pytest.approx(1, abs=0.01)


def test_a_constant_image_tells_nothing_of_another_nor_of_itself():
    """By the formula (H(A) + H(B)) / H(A, B): (0 + H(B)) / H(B) is 1, and 0/0 is said to be 1."""
    image, flat = clipped(head(grid(), T1)), sitk.Image(8, 8, 8, sitk.sitkFloat32) + 0.3
    assert similarity(flat, image, sitk.Transform()) == pytest.approx(1)
    assert similarity(flat, flat, sitk.Transform()) == 1


@pytest.mark.parametrize(("share", "tells"), [(0.15, False), (0.25, True)])
def test_an_image_that_covers_less_than_a_fifth_of_the_other_tells_nothing_of_it(share, tells):
    image = clipped(head(grid(), T1))
    aside = sitk.TranslationTransform(3, [(1 - share) * 71 * 2.5, 0, 0])
    assert (similarity(image, image, aside) > 1) == tells


def test_the_checkerboard_alternates_between_the_two_images_in_squares_of_20_mm():
    # 40 x 40 x 8 voxels of 1 x 1 x 5 mm; one image is bright on its left half, the other everywhere dark but a voxel
    bright, dark = np.ones((8, 40, 40), np.int16), np.zeros((8, 40, 40), np.int16)
    bright[0, 0, 0], dark[7, 39, 39] = 0, 1
    images = [sitk.GetImageFromArray(voxels) for voxels in (bright, dark)]
    for image in images:
        image.SetSpacing((1.0, 1.0, 5.0))
    figure = checkerboard(images[0], images[1], images[0], "P")
    axial, after, *_ = figure.axes
    shown, shown_after = (ax.images[0].get_array() for ax in (axial, after))
    assert shown is not None
    assert shown_after is not None
    assert shown[10, 10] == shown[30, 30] != shown[10, 30] == shown[30, 10]
    assert np.ptp(shown_after) == 0
    assert [ax.get_aspect() for ax in figure.axes] == [1, 1, 5, 5, 5, 5]
    with pytest.raises(ValueError, match="sizes differ"):
        checkerboard(images[0], images[1][:, :, :4], images[0], "P")


@pytest.mark.slow
def test_the_motion_of_like_paper_patients_is_recovered_within_half_a_millimetre_and_half_a_degree(tmp_path):
    write_phantom(tmp_path, replace(LIKE_PAPER, train=1, val=0, test=1))
    for file in tmp_path.rglob("truth.json"):
        truth = json.loads(file.read_text())
        series = {name: sitk.ReadImage(str(file.parent / f"{name}.nii.gz")) for name in truth["transforms"]}
        for name in series.keys() - {truth["reference"]}:
            found, true = register(series[truth["reference"]], series[name]), np.array(truth["transforms"][name])
            transform = sitk.AffineTransform(true[:3, :3].ravel().tolist(), true[:3, 3].tolist())
            assert error_mm(found.matrix, transform) < 0.5
            turn = np.array(found.matrix)[:3, :3] @ true[:3, :3].T
            assert np.rad2deg(np.arccos(min(1.0, (np.trace(turn) - 1) / 2))) < 0.5
            with pytest.raises(Diverged, match="left and right seem exchanged"):
                register(series[truth["reference"]], exchanged(series[name]))


@pytest.mark.slow
@pytest.mark.parametrize(("sequence", "moved_mm"), [("t1", 3.5), ("t2", 16.1), ("fla", 17.2)])
def test_a_glioma_as_it_left_the_scanner_is_aligned(real_data: Path, sequence, moved_mm):
    folder = real_data / "glioma_native_unregistered"
    reference, moving = (sitk.ReadImage(str(folder / f"TCGA-FG-6692_raw_{name}.nii.gz")) for name in ("t1c", sequence))
    found = register(reference, moving)
    assert found.similarity_after > found.similarity_before + 0.05
    assert found.translation_mm == pytest.approx(moved_mm, abs=1)
    # there and back again is nowhere
    back = register(moving, reference)
    assert error_mm((np.array(back.matrix) @ found.matrix).tolist(), sitk.Transform()) < 1.5
