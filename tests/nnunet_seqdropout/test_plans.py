"""Stock plans in, our plans out; every number counted by hand."""

from copy import deepcopy
from inspect import signature

import pytest
import torch
from example_plans import FINGERPRINT, PLANS
from nnunetv2.experiment_planning.experiment_planners.residual_unets import residual_encoder_unet_planners
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from torch import nn

from nnunet_seqdropout.plans import (
    PLANNER_MEMORY_GB,
    SlabNetwork,
    fitting_rates,
    rates_outside,
    stored_bytes_per_window,
    with_deeplab,
    with_largest_batch,
    with_settings,
)

NETWORK = {"n_slices": 5, "backbone": "resnet18", "output_stride": 8, "atrous_rates": [12, 24, 36]}


def deeplab(plans, configuration="2d", *, network_settings=NETWORK, **changes):
    data = {"resolved": plans["configurations"]["2d"], "fingerprint": FINGERPRINT}
    return with_deeplab(plans, configuration, SlabNetwork(4, 2, network_settings), **{**data, **changes})


def test_the_slab_is_as_deep_as_the_deepest_volume_along_the_slice_axis():
    # transpose_forward puts axis 1 first: 100, 140 and 160 slices
    assert deeplab(PLANS)["configurations"]["2d"]["patch_size"] == [160, 64, 48]


def test_the_batch_covers_at_most_five_per_cent_of_the_slices():
    # 400 slices of the patch's own size: 5 % are 20; memory would allow hundreds
    assert deeplab(PLANS)["configurations"]["2d"]["batch_size"] == 20


def test_images_larger_than_the_patch_count_for_more_than_one_patch():
    plans = deepcopy(PLANS)
    plans["configurations"]["2d"]["median_image_size_in_voxels"] = [128.0, 96.0]
    assert deeplab(plans)["configurations"]["2d"]["batch_size"] == 80


def test_the_batch_is_what_fits_into_the_planners_memory():
    plans = deepcopy(PLANS)
    plans["configurations"]["2d"].update(patch_size=[256, 256], median_image_size_in_voxels=[256, 256])
    many = {"shapes_after_crop": [[256, 200, 256]] * 100}
    resnet50 = {**NETWORK, "backbone": "resnet50"}
    # 8 GiB / 260.2 MiB a window = 31.5; ResEncL aims at 24 GiB: 94.4
    settings = {"fingerprint": many, "network_settings": resnet50, "resolved": plans["configurations"]["2d"]}
    assert deeplab(plans, **settings)["configurations"]["2d"]["batch_size"] == 31
    plans["experiment_planner_used"] = "nnUNetPlannerResEncL"
    assert deeplab(plans, **settings)["configurations"]["2d"]["batch_size"] == 94


@pytest.mark.parametrize(
    ("planner", "batch_size"),
    [
        # 8 / 0.75 = 10.67, 24 / 0.75 = 32, 40 / 0.75 = 53.33: what does not fit whole is left out
        ("ExperimentPlanner", 10),
        ("nnUNetPlannerResEncM", 10),
        ("nnUNetPlannerResEncL", 32),
        ("nnUNetPlannerResEncXL", 53),
        ("PlannerOfSomebody", 10),
    ],
)
def test_windows_of_three_quarters_of_a_gibibyte_fill_the_planners_memory(monkeypatch, planner, batch_size):
    monkeypatch.setattr("nnunet_seqdropout.plans.stored_bytes_per_window", lambda *_: 0.75 * 2**30)
    many = {"shapes_after_crop": [[64, 200, 48]] * 100}
    plans = {**PLANS, "experiment_planner_used": planner}
    assert deeplab(plans, fingerprint=many)["configurations"]["2d"]["batch_size"] == batch_size


def test_the_memory_of_a_planner_is_what_nnunet_gives_it():
    for planner, gigabytes in PLANNER_MEMORY_GB.items():
        parameters = signature(getattr(residual_encoder_unet_planners, planner)).parameters
        assert parameters["gpu_memory_target_in_gb"].default == gigabytes


def test_part_of_a_sample_is_not_in_the_batch():
    # 5 % of 399 slices are 19.95
    slices = {"shapes_after_crop": [[64, 133, 48]] * 3}
    assert deeplab(PLANS, fingerprint=slices)["configurations"]["2d"]["batch_size"] == 19


def test_a_window_that_fills_the_memory_alone_is_trained_in_a_batch_of_two(monkeypatch):
    monkeypatch.setattr("nnunet_seqdropout.plans.stored_bytes_per_window", lambda *_: 8 * 2**30)
    assert deeplab(PLANS)["configurations"]["2d"]["batch_size"] == 2


def test_a_tiny_data_set_gets_a_batch_of_two():
    tiny = {"shapes_after_crop": [[64, 3, 48]]}
    assert deeplab(PLANS, fingerprint=tiny)["configurations"]["2d"]["batch_size"] == 2


def test_a_window_of_resnet50_stores_260_mebibytes():
    stored = stored_bytes_per_window(SlabNetwork(4, 2, {**NETWORK, "backbone": "resnet50"}), 256, 256)
    assert stored / 2**20 == pytest.approx(260, abs=5)


@pytest.mark.parametrize(
    ("height", "width", "output_stride", "expected"),
    [
        # 513 / 16 = 32.1, half the original map of 65: half of 12, 24 and 36, which Chen et al. chose there
        (513, 513, 16, [6, 12, 18]),
        (520, 520, 8, [12, 24, 36]),
        # 16 / 65 x 12, 24, 36 = 2.95, 5.91, 8.86
        (256, 256, 16, [3, 6, 9]),
        # 6 / 65 x 12, 24, 36 = 1.11, 2.22, 3.32
        (96, 96, 16, [1, 2, 3]),
        # the shorter side, whichever it is
        (96, 256, 16, [1, 2, 3]),
        (256, 96, 16, [1, 2, 3]),
        # 2 / 65 x 12, 24, 36 = 0.37, 0.74, 1.11: no rate is below 1
        (32, 32, 16, [1, 1, 1]),
    ],
)
def test_the_rates_grow_with_the_map(height, width, output_stride, expected):
    assert fitting_rates(height, width, output_stride) == expected


@pytest.mark.parametrize(
    ("height", "width", "output_stride", "expected"),
    [
        (96, 96, 8, [12, 24, 36]),  # a map of 12: its corners are 11 apart
        (104, 104, 8, [24, 36]),  # 13: two corners are 12 apart
        (97, 97, 8, [24, 36]),  # 12.1, which convolutions round up to 13
        (256, 256, 8, [36]),  # 32
        (96, 256, 8, [36]),  # along the longer side a tap still meets something
        (296, 296, 8, []),  # 37
    ],
)
def test_a_rate_lies_outside_the_map_where_no_tap_of_it_can_meet_anything(height, width, output_stride, expected):
    assert rates_outside((12, 24, 36), height, width, output_stride) == expected


@pytest.mark.parametrize("size", [96, 104, 256, 296])
def test_a_branch_outside_the_map_is_a_1x1_convolution(size):
    """By torch: the outer taps have no gradient where, and only where, the rate is listed."""
    side = size // 8
    for rate in (12, 24, 36):
        convolution = nn.Conv2d(1, 1, 3, padding=rate, dilation=rate, bias=False)
        convolution(torch.ones(1, 1, side, side)).sum().backward()
        assert convolution.weight.grad is not None
        gradient = convolution.weight.grad[0, 0].clone()
        gradient[1, 1] = 0
        assert (rate in rates_outside((12, 24, 36), size, size, 8)) == (not gradient.any())


def test_rates_that_fit_lie_inside_the_map():
    for size in range(48, 600, 8):
        assert not rates_outside(fitting_rates(size, size, 16), size, size, 16)


def test_the_plans_say_what_decoder_there_is():
    plus = {**NETWORK, "output_stride": 16, "atrous_rates": [1, 2, 3], "decoder": [4, 2, 1]}
    for settings, decoder in ((NETWORK, []), (plus, [4, 2, 1])):
        changed = deeplab(PLANS, network_settings=settings)
        assert changed["seqdropout"]["decoder"] == decoder
        assert changed["configurations"]["2d"]["architecture"]["arch_kwargs"] == settings


def test_nnunet_reads_its_network_from_the_plans():
    configuration = ConfigurationManager(deeplab(PLANS)["configurations"]["2d"])
    assert configuration.network_arch_class_name == "nnunet_seqdropout.network.DeepLabV3Slab"
    assert configuration.network_arch_init_kwargs == NETWORK
    assert configuration.network_arch_init_kwargs_req_import == []


def test_plans_given_are_left_as_they_were_and_plans_changed_twice_stay_the_same():
    before = deepcopy(PLANS)
    once = deeplab(PLANS)
    assert before == PLANS
    assert deeplab(once, resolved=once["configurations"]["2d"]) == once


def test_a_configuration_that_inherits_is_changed_by_itself():
    changed = deeplab(PLANS, "2d_mine")
    assert changed["configurations"]["2d_mine"]["patch_size"] == [160, 64, 48]
    assert changed["configurations"]["2d"] == PLANS["configurations"]["2d"]


def test_a_3d_configuration_is_refused():
    with pytest.raises(ValueError, match=r"'3d_fullres' is 3D.*Use 2d, or nnUNetTrainerSeqDropout"):
        deeplab(PLANS, "3d_fullres", resolved=PLANS["configurations"]["3d_fullres"])


def test_a_batch_is_only_ever_made_smaller():
    for planned, expected in ((439, 12), (4, 4)):
        changed = with_largest_batch(PLANS, "2d", planned=planned, largest=12)
        assert changed["configurations"]["2d"]["batch_size"] == expected


def test_settings_add_up_under_one_key():
    plans = with_settings(with_settings(PLANS, version="1"), subset_law="independent")
    assert plans["seqdropout"] == {"version": "1", "subset_law": "independent"}
