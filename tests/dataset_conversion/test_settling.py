"""How a file is stored changes no bit of what is registered: storage order, rounding in the header."""

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.files.images.grids import largest_distance_mm
from dataset_conversion.files.images.image_io import read_image
from dataset_conversion.files.images.storage_order import stored_as
from dataset_conversion.registration.settling import settled
from nnunet_seqdropout.cli.command import main

ORDERS = ("LPS", "RAS", "PIR", "LSA", "IPR")


def scan(seed: int) -> sitk.Image:
    """An oblique volume with a header full of digits, 20 cm wide."""
    rng = np.random.default_rng(seed)
    image = sitk.GetImageFromArray(rng.integers(0, 900, (20, 50, 40)).astype(np.int16))
    image.SetSpacing(rng.uniform(3, 5, 3).tolist())
    image.SetOrigin(rng.uniform(-120, 120, 3).tolist())
    image.SetDirection(sitk.Euler3DTransform((0, 0, 0), *rng.uniform(-0.4, 0.4, 3).tolist()).GetMatrix())
    return image


def geometry(image: sitk.Image) -> tuple[float, ...]:
    return (*image.GetSize(), *image.GetSpacing(), *image.GetOrigin(), *image.GetDirection())


@pytest.mark.parametrize("seed", range(10))
def test_every_storage_order_settles_on_the_same_bits_less_than_a_twentieth_of_a_millimetre_away(tmp_path, seed):
    image = scan(seed)
    found = []
    for order in ORDERS:
        sitk.WriteImage(stored_as(order, image), str(tmp_path / f"{order}.nii.gz"))
        found.append(settled(read_image(tmp_path / f"{order}.nii.gz")))
    assert {geometry(each) for each in found} == {geometry(found[0])}
    assert len({sitk.GetArrayFromImage(each).tobytes() for each in found}) == 1
    assert 0 < largest_distance_mm(image, found[0]) < 0.05
    assert geometry(settled(found[0])) == pytest.approx(geometry(found[0]), abs=1e-9)


def test_a_series_is_stored_as_the_one_that_it_is_registered_to():
    # 50 degrees: nearer to another order by name
    image, turned = scan(0), scan(1)
    turned.SetDirection(sitk.Euler3DTransform((0, 0, 0), 0.9, 0, 0).GetMatrix())
    still = settled(turned)
    assert settled(turned, still).GetSize() == still.GetSize()
    assert settled(image, settled(image)).GetSize() == image.GetSize()


def test_axes_of_a_mirror_settle_too():
    image = scan(0)
    image.SetDirection([0, 0, 1, 0, 1, 0, 1, 0, 0])
    assert largest_distance_mm(stored_as("LPS", image), settled(image)) < 0.05
    picture = sitk.Image([4, 5], sitk.sitkUInt8)
    assert settled(picture) is picture


@pytest.mark.slow
def test_series_as_they_left_the_scanner_are_moved_to_the_same_bits_however_they_are_stored(
    tmp_path, monkeypatch, real_data
):
    """Four series of a glioma on four grids, with up to 20 mm of motion; each in another order in turn."""
    native = real_data / "glioma_native_unregistered"
    names = {"t1": "t1_pre", "t1c": "t1_gd", "fla": "flair"}
    written = {}
    for orders in (None, ("RAS", "PIR", "LSA")):
        source = tmp_path / f"in_{orders is None}"
        monkeypatch.setenv("nnUNet_raw", str(tmp_path / f"raw_{orders is None}"))
        (source / "P").mkdir(parents=True)
        for i, (stored, name) in enumerate(names.items()):
            image = sitk.ReadImage(str(next(native.glob(f"*_{stored}.nii.gz"))))
            sitk.WriteImage(stored_as(orders[i], image) if orders else image, str(source / "P" / f"{name}.nii.gz"))
        assert main(["convert", "hospital_b", str(source), "-d", "1", "-n", "X"]) == 0
        files = sorted((tmp_path / f"raw_{orders is None}").glob("*/imagesTs/*.nii.gz"))
        images = [stored_as("LPS", sitk.ReadImage(str(file))) for file in files]
        written[orders is None] = [sitk.GetArrayFromImage(image) for image in images]
    # bravo is zeros
    assert len({voxels.tobytes() for voxels in written[True]}) == len(written[True]) == 4
    assert all(map(np.array_equal, written[True], written[False]))
