"""Measures what the 2.5D networks cost compared with nnU-Net's 2D network: per slice, and per prediction from files.

    python -m benchmarks.cost DATASET WORK_FOLDER [--images FOLDER] [--turns 5]

DATASET is planned for 2d. Networks have random weights, which cost as much as trained ones. A slice is 256 x 256 of
every sequence, in window mode; with --images, each model also predicts this folder of <case>_XXXX files on the CPU
without mirroring: ours by seqdropout predict, nnU-Net's by its own command. Everything is run in turns, and medians and
ratios are those of this one run.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from batchgenerators.utilities.file_and_folder_operations import load_json, save_json
from nnunetv2.paths import nnUNet_preprocessed
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name
from torch.utils.flop_counter import FlopCounterMode

from nnunet_seqdropout.training.deeplab import DeepLab25D, DeepLab25DPlus
from nnunet_seqdropout.training.sequence_dropout import WithSequenceDropout

TRAINERS: Mapping[str, tuple[type, ...]] = {
    "nnUNetTrainer": (nnUNetTrainer,),
    "SeqDropoutTrainer": (WithSequenceDropout, DeepLab25D),
    "SeqDropoutPlusTrainer": (WithSequenceDropout, DeepLab25DPlus),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("work", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    models = {name: untrained(name, arguments.dataset, arguments.work) for name in TRAINERS}
    slices: dict[str, Callable[[], object]] = {}
    for name, trainer in models.items():
        network, window = in_window_mode(trainer)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(window[:1])
        print(f"{name}: {counter.get_total_flops() / 1e9:.1f} GFLOP a slice")
        slices[name] = partial(forward, network, window)
    show("seconds for four slices", in_turns(slices, arguments.turns))
    if arguments.images:
        commands = {name: predict(name, arguments) for name in models}
        show("seconds of the whole command", in_turns(commands, arguments.turns))


def untrained(name: str, dataset: str, work: Path) -> Any:
    """A trainer with a network of random weights, saved as nnU-Net leaves a model folder in ``work``."""
    torch.manual_seed(0)
    preprocessed = Path(nnUNet_preprocessed, maybe_convert_to_dataset_name(dataset))
    plans = {**load_json(str(preprocessed / "nnUNetPlans.json")), "continue_training": False}
    trainer_class = type(name, TRAINERS[name], {})
    trainer = trainer_class(plans, "2d", 0, load_json(str(preprocessed / "dataset.json")), device=torch.device("cpu"))
    trainer.initialize()
    fold = work / name / "fold_0"
    fold.mkdir(parents=True, exist_ok=True)
    save_json(trainer.plans_manager.plans, str(fold.parent / "plans.json"), sort_keys=False)
    save_json(trainer.dataset_json, str(fold.parent / "dataset.json"), sort_keys=False)
    trainer.save_checkpoint(str(fold / "checkpoint_final.pth"))
    return trainer


def in_window_mode(trainer: Any) -> tuple[Any, torch.Tensor]:
    """The network in evaluation, and four inputs of 256 x 256 for it."""
    network = trainer.network.eval()
    n_sequences = len(trainer.dataset_json["channel_names"])
    if hasattr(network, "window_mode"):
        network.window_mode = True
        return network, torch.randn(4, n_sequences, network.n_slices, 256, 256)
    network.decoder.deep_supervision = False
    return network, torch.randn(4, n_sequences, 256, 256)


def forward(network: Any, window: torch.Tensor) -> None:
    with torch.inference_mode():
        network(window)


def predict(name: str, arguments: argparse.Namespace) -> Callable[[], object]:
    ours = ["seqdropout", "predict"]
    stock = ["nnUNetv2_predict_from_modelfolder"]
    target = arguments.work / f"{name}_predicted"
    words = ["-i", arguments.images, "-o", target, "-m", arguments.work / name, "-f", "0", "-device", "cpu"]
    command = [*(stock if name == "nnUNetTrainer" else ours), *map(str, words), "--disable_tta"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return lambda: subprocess.run(command, check=True, env=environment, capture_output=True)


def in_turns(tasks: Mapping[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Seconds of each task in each turn, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(turns + 1):
        for name, task in tasks.items():
            started = time.monotonic()
            task()
            if turn:
                seconds[name].append(time.monotonic() - started)
    return seconds


def show(what: str, seconds: Mapping[str, list[float]]) -> None:
    print(what)
    stock = seconds["nnUNetTrainer"]
    for name, each in seconds.items():
        ratios = [ours / theirs for ours, theirs in zip(each, stock, strict=True)]
        print(f"  {name}: median {statistics.median(each):.2f}, ratio to nnU-Net's {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
