"""Bad images are found and named, whatever reads them (rows 8 to 17 of the faults that the tools answer for)."""

import gzip
import os
import resource
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from dataset_conversion.faults import Fault
from dataset_conversion.files.images import nifti_writing
from dataset_conversion.files.images.grids import require_same_grid
from dataset_conversion.files.images.image_io import read_image

FILES = (Path("a"), Path("b"))


def save(path, voxels, *, affine=None, slope=None, inter=0.0):
    """Writes (X, Y, Z) voxels with nibabel, as they are, and a scale into the header."""
    image = nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
    image.header.set_slope_inter(1, 0)
    nibabel.save(image, path)
    if slope is not None:
        data = bytearray(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
        struct.pack_into("<ff", data, 112, slope, inter)
        path.write_bytes(gzip.compress(bytes(data)) if path.suffix == ".gz" else bytes(data))
    return path


def noise(dtype=np.int16, shape=(6, 7, 8)):
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_voxels_and_geometry_are_those_that_simpleitk_reads(tmp_path, ending, dtype):
    turned = np.array([[0, -1.1, 0, 5], [0.9, 0, 0, -3], [0, 0, 2.5, 7], [0, 0, 0, 1]])
    file = save(tmp_path / f"image{ending}", noise(dtype), affine=turned)
    ours, theirs = read_image(file), sitk.ReadImage(str(file))
    assert np.array_equal(sitk.GetArrayViewFromImage(ours), sitk.GetArrayViewFromImage(theirs))
    assert ours.GetPixelID() == theirs.GetPixelID()
    assert [ours.GetSpacing(), ours.GetOrigin(), ours.GetDirection()] == [
        theirs.GetSpacing(),
        theirs.GetOrigin(),
        theirs.GetDirection(),
    ]


@pytest.mark.parametrize("kept", [0, 3, 200, 348, 400])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_file_cut_short_is_found(tmp_path, ending, kept):
    file = save(tmp_path / f"image{ending}", noise())
    assert len(file.read_bytes()) > kept
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(Fault, match=r"image\.nii"):
        read_image(file)


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_a_flipped_bit_changes_nothing_or_is_found(tmp_path_factory, place, bit):
    file = save(tmp_path_factory.mktemp("flip") / "image.nii.gz", noise())
    before, content = read_image(file), bytearray(file.read_bytes())
    content[10 + place % (len(content) - 10)] ^= 1 << bit
    file.write_bytes(bytes(content))
    try:
        after = read_image(file)
    except Fault:
        return
    assert np.array_equal(sitk.GetArrayViewFromImage(before), sitk.GetArrayViewFromImage(after))


@pytest.mark.parametrize("content", [b"", b"no image at all\n" * 100, b"\x1f\x8b not gzip"])
@pytest.mark.parametrize("name", ["image.nii", "image.nii.gz", "image.nrrd", "image.mha"])
def test_what_is_no_image_is_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Fault) as caught:
        read_image(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_an_impossible_size_is_refused_from_the_header(tmp_path, monkeypatch):
    file = save(tmp_path / "image.nii.gz", noise())
    data = bytearray(gzip.decompress(file.read_bytes()))
    struct.pack_into("<3h", data, 42, 30000, 30000, 30000)
    file.write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(Fault, match="declares 30000 x 30000 x 30000 voxels"):
        read_image(file)
    monkeypatch.setenv("SEQDROPOUT_MAX_VOXELS", "335")
    with pytest.raises(Fault, match="declares 6 x 7 x 8 voxels"):
        read_image(save(tmp_path / "small.nii.gz", noise()))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39, -1e39])  # float32 ends at 3.4e38
def test_voxels_that_are_no_number_are_refused_or_set_to_zero_if_said(tmp_path, bad):
    voxels = noise(np.float64)
    voxels[0, 0, 0] = voxels[1, 2, 3] = bad
    file = save(tmp_path / "image.nii.gz", voxels)
    with pytest.raises(Fault, match=r"2 voxels are NaN or infinite.*--nan zero"):
        read_image(file)
    read = sitk.GetArrayFromImage(read_image(file, nan="zero")).T
    assert (read[0, 0, 0], read[1, 2, 3]) == (0, 0)
    assert np.array_equal(np.delete(read.ravel(), [0, 75]), np.delete(voxels.ravel(), [0, 75]))


@pytest.mark.parametrize("nan", ["refuse", "zero"])
@pytest.mark.parametrize(("value", "said"), [(1e30, "1e\\+30"), (-3e38, "-3e\\+38"), (2e14, "2e\\+14")])
def test_a_value_that_would_overflow_the_normalisation_is_refused_with_its_place(tmp_path, value, said, nan):
    """In float32 the network would see zeros, and the sequence would count as present."""
    voxels = noise(np.float32)
    voxels[1, 2, 3] = value
    assert value == 2e14 or not np.isfinite(voxels.std())
    with pytest.raises(Fault, match=rf"voxel \(1, 2, 3\) holds {said}: it would overflow"):
        read_image(save(tmp_path / "image.nii.gz", voxels), nan=nan)


def test_whole_numbers_are_looked_at_too(tmp_path):
    voxels = noise(np.int64)
    voxels[0, 0, 5] = 10**15
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4), dtype=np.int64), tmp_path / "image.nii")
    with pytest.raises(Fault, match=r"voxel \(0, 0, 5\) holds 1e\+15"):
        read_image(tmp_path / "image.nii")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".nrrd"])
def test_a_name_that_is_no_utf_8_is_refused_before_a_library_sees_it(tmp_path, ending):
    """SimpleITK would end the process."""
    name = os.fsdecode(b"M\xfcller" + ending.encode())
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(Fault, match=r"M\\udcfcller.*its name is not written in UTF-8\. Rename it"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("ending", [".mha", ".mhd", ".nrrd", ".nhdr"])
def test_other_formats_are_read_to_their_last_byte(tmp_path, ending, compressed):
    """Whole, cut at several places, and with every 97th byte of the voxels flipped where there is a checksum."""
    voxels = np.random.default_rng(0).integers(0, 4000, (6, 7, 8)).astype(np.int16)
    file = tmp_path / f"image{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(file), compressed)
    assert np.array_equal(sitk.GetArrayFromImage(read_image(file)), voxels)
    (data,) = {*tmp_path.iterdir()} - {file} or {file}
    whole = data.read_bytes()
    begin = whole.find(b"LOCAL\n") + 6 if ending == ".mha" else whole.find(b"\n\n") + 2 if ending == ".nrrd" else 0
    assert begin >= 6 or ending in (".mhd", ".nhdr")
    for end in (len(whole) - 1, (begin + len(whole)) // 2, begin):
        data.write_bytes(whole[:end])
        with pytest.raises(Fault, match="truncated"):
            read_image(file)
    for place in range(begin, len(whole) if compressed else begin, 97):
        data.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            read = sitk.GetArrayFromImage(read_image(file))
        except Fault:
            continue
        assert np.array_equal(read, voxels)  # such as the time in gzip's header
    data.unlink()
    with pytest.raises(Fault, match="image"):
        read_image(file)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".nrrd"])
def test_a_header_that_promises_more_than_there_is_takes_no_memory(tmp_path, ending):
    """1000 x 1000 x 1000 voxels of 4 bytes, in 400 bytes."""
    file = tmp_path / f"image{ending}"
    sitk.WriteImage(sitk.Image([2, 2, 2], sitk.sitkFloat32), str(file), ending == ".nii.gz")
    content = gzip.decompress(file.read_bytes()) if ending == ".nii.gz" else file.read_bytes()
    if ending.startswith(".nii"):
        content = content[:42] + struct.pack("<3h", 1000, 1000, 1000) + content[48:]
    else:
        content = content.replace(b"2 2 2", b"1000 1000 1000")
    file.write_bytes(gzip.compress(content) if ending == ".nii.gz" else content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Fault, match="truncated"):
        read_image(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # KiB


def test_what_is_named_as_compressed_and_is_not_is_called_so(tmp_path):
    save(tmp_path / "image.nii", noise()).rename(tmp_path / "image.nii.gz")
    with pytest.raises(Fault, match=r"not compressed, though its name ends in \.gz\. Rename it to image\.nii, or"):
        read_image(tmp_path / "image.nii.gz")


def test_nifti_2_is_called_by_its_name(tmp_path):
    nibabel.save(nibabel.Nifti2Image(noise(), np.eye(4)), tmp_path / "image.nii.gz")
    with pytest.raises(Fault, match="it is NIfTI-2, which SimpleITK, and so nnU-Net, does not read"):
        read_image(tmp_path / "image.nii.gz")


@pytest.mark.parametrize(
    ("shape", "dtype", "problem"),
    [
        ((4, 4, 4, 1, 3), np.float32, r"5D, 4 x 4 x 4 x 1 x 3: several values for every voxel"),
        ((4, 4, 4, 3), np.int16, r"4D, t=3\). Choose a volume"),
        ((4, 4), np.int16, "2D"),
        ((4, 4, 4), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]), "colour"),
        ((4, 4, 4), np.complex64, "complex64"),
    ],
)
def test_what_is_not_one_volume_is_refused(tmp_path, shape, dtype, problem):
    with pytest.raises(Fault, match=problem):
        read_image(save(tmp_path / "image.nii.gz", np.zeros(shape, dtype)))


def test_a_fourth_axis_of_one_is_one_volume(tmp_path):
    assert read_image(save(tmp_path / "image.nii.gz", noise(shape=(4, 5, 6, 1)))).GetSize() == (4, 5, 6)


@pytest.mark.parametrize(("dtype", "slope", "inter"), [(np.int32, 1e4, 0), (np.uint8, 1e-30, 5), (np.int16, -2.5, 1e6)])
def test_extreme_scales_do_not_overflow(tmp_path, dtype, slope, inter):
    voxels = noise(dtype)
    read = sitk.GetArrayFromImage(read_image(save(tmp_path / "i.nii.gz", voxels, slope=slope, inter=inter))).T
    assert np.array_equal(read, voxels * np.float64(np.float32(slope)) + np.float64(np.float32(inter)))


@pytest.mark.parametrize("slope", [0, np.nan])
def test_no_scale_in_the_header_is_no_scale(tmp_path, slope):
    read = read_image(save(tmp_path / "image.nii", noise(), slope=slope))
    assert np.array_equal(sitk.GetArrayFromImage(read).T, noise())


def test_an_infinite_scale_is_refused(tmp_path):
    with pytest.raises(Fault, match="scales the voxels by infinity"):
        read_image(save(tmp_path / "image.nii", noise(), slope=np.inf))


def test_forms_that_disagree_and_skewed_axes_are_named(tmp_path):
    image = nibabel.Nifti1Image(noise(), np.eye(4))
    image.set_qform(np.eye(4), 1)
    moved = np.eye(4)
    moved[0, 3] = 2
    image.set_sform(moved, 1)
    nibabel.save(image, tmp_path / "two.nii.gz")
    with pytest.raises(Fault, match=r"sform and qform of its header disagree by 2\.0 mm"):
        read_image(tmp_path / "two.nii.gz")
    skewed = np.eye(4)
    skewed[0, 1] = 0.1
    with pytest.raises(Fault, match="not at right angles"):
        read_image(save(tmp_path / "skewed.nii.gz", noise(), affine=skewed))


@pytest.mark.parametrize(("offset", "value"), [(256, 2.0), (108, np.nan), (108, 1e30), (80, -1.0), (292, np.nan)])
def test_a_header_of_nonsense_is_one_fault(tmp_path, offset, value):
    """quatern_b, vox_offset, pixdim[1] and srow_x."""
    file = save(tmp_path / "image.nii", noise())
    data = bytearray(file.read_bytes())
    struct.pack_into("<2h", data, 252, 1, 1)
    struct.pack_into("<f", data, offset, value)
    file.write_bytes(bytes(data))
    with pytest.raises(Fault, match=r"image\.nii"):
        read_image(file)


def test_two_grids_are_told_apart_with_both_files_and_the_distance(tmp_path):
    first, second, third = (sitk.Image([4, 5, 6], sitk.sitkUInt8) for _ in range(3))
    second.SetOrigin([0, 3, 4])
    third.SetSpacing([1, 1, 1.01])  # five steps to the last slice: 0.05 mm
    with pytest.raises(Fault, match=r"b: origin \(0, 3, 4\), but a has \(0, 0, 0\); .* up to 5\.0 mm apart \("):
        require_same_grid(first, second, files=FILES)
    require_same_grid(first, third, files=FILES)
    with pytest.raises(Fault, match=r"b: size \(4, 5, 7\), but a has \(4, 5, 6\)"):
        require_same_grid(first, sitk.Image([4, 5, 7], sitk.sitkUInt8), files=FILES)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        # 255 steps of 0.06 mm; the same turned by 0.0009: both differ by less than 0.1 mm or 0.001 at every voxel
        (lambda image: image.SetSpacing([1.06, 1, 1]), r"spacing \(1.06, 1, 1\), .* up to 15\.3 mm apart"),
        (lambda image: image.SetDirection([1, -0.0009, 0, 0.0009, 1, 0, 0, 0, 1]), r"up to 0\.3 mm apart"),
    ],
)
def test_small_differences_that_add_up_from_voxel_to_voxel_are_another_grid(change, problem):
    first, second = (sitk.Image([256, 256, 2], sitk.sitkUInt8) for _ in range(2))
    change(second)
    with pytest.raises(Fault, match=f"{problem} \\(that of voxel \\(255, 255, "):
        require_same_grid(first, second, files=FILES)


def test_a_probability_map_comes_back_within_half_a_step_on_its_grid(tmp_path):
    probability = np.random.default_rng(0).random((5, 6, 7))
    probability.flat[:3] = 0, 1, 0.5
    grid = sitk.GetImageFromArray(np.zeros((5, 6, 7), np.uint8))
    grid.SetSpacing([0.9, 1.1, 2.5])
    grid.SetOrigin([-10, 20, 30.5])
    grid.SetDirection([0, -1, 0, 0.6, 0, -0.8, 0.8, 0, 0.6])
    nifti_writing.write_probability(probability, grid, tmp_path / "P_prob.nii.gz")
    image = read_image(tmp_path / "P_prob.nii.gz")
    read = sitk.GetArrayViewFromImage(image)
    assert read.dtype == np.float64
    assert np.abs(read - probability).max() <= 0.5 / 65535 + 1e-7
    assert read.flat[:2].tolist() == pytest.approx([0, 1], abs=1e-7)
    require_same_grid(grid, image, files=FILES)
    stored = nibabel.Nifti1Image.from_filename(tmp_path / "P_prob.nii.gz")
    assert isinstance(stored.dataobj, nibabel.arrayproxy.ArrayProxy)
    assert (stored.get_data_dtype(), stored.dataobj.slope) == (np.uint16, np.float32(1 / 65535))
    exact = (probability * 1e-9).astype(np.float32)
    nifti_writing.write_probability(exact, grid, tmp_path / "P_prob.nii.gz", stored_as="float32")
    image = read_image(tmp_path / "P_prob.nii.gz")
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image), exact, strict=True)
    require_same_grid(grid, image, files=FILES)
