"""The image behind a patient's mosaic: the channel that a name, an alias or a number means."""

import pytest
import SimpleITK as sitk

from dataset_conversion.faults import Fault
from evaluation.figures.pictures.backgrounds import Backgrounds


@pytest.fixture
def images(tmp_path):
    """Two volumes of one voxel: channel 0 is 1, channel 1 is 2."""
    for channel in (0, 1):
        image = sitk.Image(1, 1, 1, sitk.sitkUInt8) + channel + 1
        sitk.WriteImage(image, str(tmp_path / f"P_000{channel}.nii.gz"))
    return tmp_path


def shown(backgrounds: Backgrounds) -> int:
    """The number of the channel that is read; it is called by its name."""
    image, name = backgrounds.read("P", sitk.Image(1, 1, 1, sitk.sitkUInt8))
    channel = int(sitk.GetArrayFromImage(image)[0, 0, 0]) - 1
    assert name == (backgrounds.channel_names[channel] if backgrounds.channel_names else f"channel {channel}")
    return channel


@pytest.mark.parametrize(
    ("names", "sequence", "channel"),
    [
        (("flair", "t1_gd"), None, 1),
        (("flair", "t1c"), None, 1),
        (("flair", "t2"), None, 0),
        ((), None, 0),
        (("flair", "t1_gd"), "t1ce", 1),
        (("bravo", "mprage"), "mprage", 1),
        (("bravo", "mprage"), "1", 1),
        ((), "1", 1),
    ],
)
def test_the_sequence_named_is_shown_or_else_t1_gd_or_else_the_first(images, names, sequence, channel):
    assert shown(Backgrounds(images, names, sequence)) == channel


@pytest.mark.parametrize(
    ("names", "sequence", "said"),
    [
        (("flair", "t1_gd"), "pet", "unknown sequence pet.*0001 t1_gd"),
        (("bravo", "mprage"), "irfspgr", "ambiguous.*channel 0 or 1"),
        ((), "t1_gd", "Give the channel's number"),
    ],
)
def test_a_sequence_that_is_unknown_or_ambiguous_is_refused_before_anything_is_drawn(images, names, sequence, said):
    with pytest.raises(Fault, match=said):
        Backgrounds(images, names, sequence).require_sequence()


def test_a_folder_that_is_not_there_is_refused(images):
    with pytest.raises(Fault, match="gone is not a folder"):
        Backgrounds(images / "gone").require_sequence()


def test_what_lies_beside_the_images_is_no_image(images):
    (images / "P_0000.json").write_text("{}")
    assert shown(Backgrounds(images)) == 0


def test_an_empty_image_is_passed_over_for_the_next_one(images):
    sitk.WriteImage(sitk.Image(1, 1, 1, sitk.sitkUInt8), str(images / "P_0001.nii.gz"))
    assert shown(Backgrounds(images, ("flair", "t1_gd"))) == 0
    sitk.WriteImage(sitk.Image(1, 1, 1, sitk.sitkUInt8), str(images / "P_0000.nii.gz"))
    with pytest.raises(Fault, match="no image of P that is not empty"):
        shown(Backgrounds(images))
