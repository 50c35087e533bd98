"""Times the networks alone: nnU-Net's planned 2D network and ours, at training steps, windows and a short epoch."""

import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from batchgenerators.utilities.file_and_folder_operations import load_json, save_json
from nnunetv2.paths import nnUNet_preprocessed
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.turns import Row, in_turns
from nnunet_seqdropout.training.deeplab import DeepLab25D, DeepLab25DPlus
from nnunet_seqdropout.training.sequence_dropout import WithSequenceDropout

TRAINERS: Mapping[str, tuple[type, ...]] = {
    "nnUNetTrainer": (nnUNetTrainer,),
    "SeqDropoutTrainer": (WithSequenceDropout, DeepLab25D),
    "SeqDropoutPlusTrainer": (WithSequenceDropout, DeepLab25DPlus),
}
ITERATIONS = 5
"""Of the epoch that is timed; nnU-Net's have 250."""


@cache
def trained_nothing(work: Path, device: str) -> Mapping[str, Any]:
    """``untrained`` of each trainer, for data set 1."""
    return {name: untrained(name, "1", work, device) for name in TRAINERS}


def untrained(name: str, dataset: str, work: Path, device: str) -> Any:
    """A trainer with a network of random weights, which cost as much as trained ones, that says background throughout.

    It is saved as nnU-Net leaves a model folder in ``work``. Specks of a random answer would cost more to write than
    what a trained network finds.
    """
    torch.manual_seed(0)
    preprocessed = Path(nnUNet_preprocessed, maybe_convert_to_dataset_name(dataset))
    plans = {**load_json(str(preprocessed / "nnUNetPlans.json")), "continue_training": False}
    trainer_class = type(name, TRAINERS[name], {})
    on = torch.device(device)
    trainer = trainer_class(plans, "2d", 0, load_json(str(preprocessed / "dataset.json")), device=on)
    trainer.initialize()
    n_classes = trainer.label_manager.num_segmentation_heads
    with torch.no_grad():
        for layer in trainer.network.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer.out_channels == n_classes and layer.bias is not None:
                layer.bias[0] += 100
    trainer.output_folder = str(work / name / "fold_0")
    Path(trainer.output_folder).mkdir(parents=True, exist_ok=True)
    save_json(trainer.plans_manager.plans, str(work / name / "plans.json"), sort_keys=False)
    save_json(trainer.dataset_json, str(work / name / "dataset.json"), sort_keys=False)
    trainer.save_checkpoint(str(work / name / "fold_0" / "checkpoint_final.pth"))
    return trainer


def rates(trainers: Mapping[str, Any], turns: int) -> list[Row]:
    """Seconds for a slice, the networks taking turns: a training step, and windows of the patch's size."""
    rows = []
    for what, task_of in (("training step", training_step), ("prediction window", windows)):
        tasks = {name: task_of(trainer) for name, trainer in trainers.items()}
        seconds = in_turns({name: task for name, (task, _) in tasks.items()}, turns)
        bound = [each / tasks["nnUNetTrainer"][1] for each in seconds["nnUNetTrainer"]]
        for name, each in seconds.items():
            of_slice = [one / tasks[name][1] for one in each]
            rows.append(Row.of(f"{what}, a slice: {name}", of_slice, "nnU-Net's 2D network", bound))
    return rows


def training_step(trainer: Any) -> tuple[Callable[[], object], int]:
    """A step on one batch, and how many slices it has."""
    batch = next(batches(trainer))
    return partial(trainer.train_step, batch), batch["data"].shape[0]


def batches(trainer: Any) -> Any:
    """Of the trainer's own loader, which begins where it has not yet."""
    if trainer.dataloader_train is None:
        trainer.on_train_start()
    return trainer.dataloader_train


def windows(trainer: Any) -> tuple[Callable[[], object], int]:
    """The network in evaluation on a batch of windows, and how many slices that is."""
    network = trainer.network
    n_sequences, patch = len(trainer.dataset_json["channel_names"]), trainer.configuration_manager.patch_size
    in_window_mode = hasattr(network, "window_mode")
    depth = (network.n_slices,) if in_window_mode else ()
    window = torch.randn(4, n_sequences, *depth, *patch[-2:], device=trainer.device)

    def run() -> None:
        network.eval()
        before = getattr(network, "window_mode", None)
        if in_window_mode:
            network.window_mode = True
        with torch.inference_mode():
            network(window)
        if in_window_mode:
            network.window_mode = before
        network.train()
        wait(trainer.device)

    return run, len(window)


def gigaflops(trainer: Any) -> float:
    """Of one slice in prediction."""
    run, n_slices = windows(trainer)
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / n_slices / 1e9


def epochs(trainers: Mapping[str, Any], turns: int) -> list[Row]:
    """Seconds of ``ITERATIONS`` steps with batches as the loader hands them over, against the same steps without it."""
    rows = []
    waits: dict[str, list[float]] = {name: [] for name in trainers}

    def loaded(name: str) -> None:
        waited = 0.0
        for _ in range(ITERATIONS):
            started = time.perf_counter()
            batch = next(batches(trainers[name]))
            waited += time.perf_counter() - started
            trainers[name].train_step(batch)
        waits[name].append(waited)

    def alone(trainer: Any, batch: dict) -> None:
        for _ in range(ITERATIONS):
            trainer.train_step(batch)

    for name, trainer in trainers.items():
        tasks = {"loaded": partial(loaded, name), "alone": partial(alone, trainer, next(batches(trainer)))}
        seconds = in_turns(tasks, turns)
        waited = f"waited {median(waits[name][1:]):.2f} s for the loader"
        what = f"{ITERATIONS} steps of an epoch: {name} ({waited})"
        rows.append(Row.of(what, seconds["loaded"], "its network alone", seconds["alone"]))
        stop_loaders(trainer)
    return rows


def stop_loaders(trainer: Any) -> None:
    """Their processes would take memory, and time from what is measured next."""
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        if hasattr(loader, "_finish"):
            loader._finish()
    trainer.dataloader_train = trainer.dataloader_val = None


def wait(device: torch.device) -> None:
    """Until a GPU has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
