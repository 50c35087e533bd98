"""Models that version 0.1.0 trained keep loading: their plans build a network that takes their weights.

``networks_of_0_1_0.json`` was recorded with commit 8262918; never record it anew with the code under test.
"""

import json
from pathlib import Path

import pytest
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import nn

from dataset_conversion.files.hashing import sha256_of
from nnunet_seqdropout.training import DeepLab25D, WithSequenceDropout

RECORD = json.loads(Path(__file__).with_name("networks_of_0_1_0.json").read_text())
CHANNELS = RECORD["input_channels"], RECORD["num_classes"]


def built(architecture: dict) -> nn.Module:
    """What nnU-Net builds from the architecture in the plans."""
    names = ("network_class_name", "arch_kwargs", "_kw_requires_import")
    return get_network_from_plans(*(architecture[name] for name in names), *CHANNELS, deep_supervision=False)


def built_by_the_trainer(architecture: dict) -> nn.Module:
    """What nnU-Net's predictor builds of a model with sequence dropout."""

    class Trainer(WithSequenceDropout, DeepLab25D):
        pass

    plans = {"seqdropout": {"version": "0.1.0"}, "configurations": {"2d": {"architecture": architecture}}}
    manager = PlansManager(plans)
    return Trainer.build_network_architecture(manager, manager.get_configuration("2d"), *CHANNELS, False)


@pytest.mark.parametrize("build", [built, built_by_the_trainer])
def test_a_network_of_resnet18_takes_every_weight_by_its_former_name(build):
    former = RECORD["resnet18"]
    weights = {name: torch.rand(shape) for name, shape in former["shapes"].items()}
    network = build(former["architecture"])
    network.load_state_dict(weights, strict=True)
    assert network.state_dict()["head.4.weight"].equal(weights["head.4.weight"])


def test_the_papers_network_has_the_weights_that_it_had():
    former = RECORD["resnet50"]
    weights = built(former["architecture"]).state_dict()
    lines = sorted(f"{name}:{[*weight.shape]}" for name, weight in weights.items())
    assert sha256_of("\n".join(lines)) == former["sha256_of_shapes"]
