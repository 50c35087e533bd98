"""Tests which networks can outline small lesions: fits each to the same twelve windows in equally many steps.

    python -m benchmarks.fit DATASET [--steps 150] [--seeds 0 1 2]

DATASET is planned for 2d. The windows are five slices of every sequence around the smallest lesions of the fold's
training patients, one of each patient; the target is the middle slice. Prints the Dice over these windows, which the
networks were fitted to: it says what a network can draw, not how well it generalises.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.paths import nnUNet_preprocessed
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch import nn

from evaluation.metrics.lesion.lesions import find_objects
from nnunet_seqdropout.network import DeepLabV3Slab
from nnunet_seqdropout.plans import fitting_rates

N_WINDOWS, N_SLICES, LEARNING_RATE = 12, 5, 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--backbone", default="resnet18")
    arguments = parser.parse_args()
    folder = Path(nnUNet_preprocessed, maybe_convert_to_dataset_name(arguments.dataset))
    plans = load_json(str(folder / "nnUNetPlans.json"))["configurations"]["2d"]
    height, width = plans["patch_size"]
    pairs = list(small_lesions(folder, plans, height, width))
    windows, targets = (torch.from_numpy(np.stack(each)) for each in zip(*pairs, strict=True))
    rows = []
    for seed in arguments.seeds:
        for name, build in networks(plans, windows.shape[1], arguments.backbone).items():
            torch.manual_seed(seed)
            network, started = build(), time.monotonic()
            dice = fitted(network, windows, targets, arguments.steps)
            rows.append({"network": name, "seed": seed, "dice": dice, "seconds": time.monotonic() - started})
            print(rows[-1], flush=True)
    means = pd.DataFrame(rows).groupby("network", sort=False)[["dice", "seconds"]].agg(["mean", "std"])
    means["share of the U-Net"] = means["dice", "mean"] / means["dice", "mean"].iloc[-1]
    print(means.round(3).to_string())


def small_lesions(folder: Path, plans: dict, height: int, width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Around the smallest lesion of each of the first training patients: (sequences, 5, H, W) and (1, 1, H, W)."""
    preprocessed = str(folder / plans["data_identifier"])
    cases = load_json(str(folder / "splits_final.json"))[0]["train"]
    dataset = infer_dataset_class(preprocessed)(preprocessed, cases[:N_WINDOWS])
    for case in dataset.identifiers:
        data, segmentation, *_ = dataset.load_case(case)
        data, mask = np.asarray(data), np.asarray(segmentation[0]) > 0
        objects = find_objects(mask)
        z, y, x = objects.central_voxels()[objects.n_voxels.argmin()]
        margins = (N_SLICES // 2, height // 2, width // 2)
        padded = np.pad(data, [(0, 0), *((m, m) for m in margins)])
        target = np.pad(mask[z], [(m, m) for m in margins[1:]])
        region = (slice(y, y + height), slice(x, x + width))
        yield padded[:, z : z + N_SLICES][(..., *region)], target[region][None, None].astype(np.float32)


def networks(plans: dict, n_sequences: int, backbone: str) -> dict[str, Callable[[], nn.Module]]:
    """The last one is nnU-Net's 2D network, given the five slices as channels, too."""
    height, width = plans["patch_size"]
    rates = tuple(fitting_rates(height, width, 16))
    plus: dict[str, Any] = {"output_stride": 16, "atrous_rates": rates}
    settings: dict[str, dict] = {
        "DeepLabV3, stride 8 (paper)": {},
        "DeepLabV3+, to stride 2": {**plus, "decoder": (4, 2)},
        "DeepLabV3+, to full resolution": {**plus, "decoder": (4, 2, 1)},
    }
    ours = {
        name: lambda own=own: DeepLabV3Slab(n_sequences, 2, backbone=backbone, **own) for name, own in settings.items()
    }
    return {**ours, "U-Net of nnU-Net, five slices": lambda: FiveSliceUNet(plans["architecture"], n_sequences)}


class FiveSliceUNet(nn.Module):
    """nnU-Net's planned 2D network on stacked slices: (B, sequences, 5, H, W) -> (B, 2, 1, H, W)."""

    def __init__(self, architecture: dict, n_sequences: int) -> None:
        super().__init__()
        words = (architecture["network_class_name"], architecture["arch_kwargs"], architecture["_kw_requires_import"])
        self.network = get_network_from_plans(*words, n_sequences * N_SLICES, 2, deep_supervision=False)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        return self.network(windows.flatten(1, 2))[:, :, None]


def fitted(network: nn.Module, windows: torch.Tensor, targets: torch.Tensor, steps: int) -> float:
    """Fits the network by nnU-Net's loss; the Dice over all windows, with running statistics, as in prediction."""
    loss = DC_and_CE_loss(
        {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": False}, {}, dice_class=MemoryEfficientSoftDiceLoss
    )
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, steps, 0.9)
    network.train()
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        loss(network(windows), targets).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 12)
        optimizer.step()
        schedule.step()
    network.eval()
    if isinstance(network, DeepLabV3Slab):
        network.window_mode = True
    with torch.inference_mode():
        predicted = network(windows).argmax(1, keepdim=True).float()
    return 2 * float((predicted * targets).sum()) / float((predicted + targets).sum())


if __name__ == "__main__":
    main()
