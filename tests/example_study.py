"""A study that is planned, as if trained, and its question as tables, with no model behind it."""

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from conftest import SEQUENCES

from dataset_conversion.files.texts.manifest_json import FoldCases
from nnunet_seqdropout.study.cohort import Cohort
from nnunet_seqdropout.study.design.design import Arm, Budget, Design
from nnunet_seqdropout.study.folder import Study
from nnunet_seqdropout.study.runs import Run

LIMITED = SEQUENCES[1:]
ARMS = (
    Arm("DropOut", "SeqDropoutTrainer", "all"),
    Arm("nnU-Net", "nnUNetTrainer", "available"),
    Arm("zeros", "nnUNetTrainer", "all"),
)
DESIGN = Design("DropOut", ARMS, Budget(1, 10), {"lesion": (1,)})


def cohort(tmp_path: Path, **present: tuple[str, ...]) -> Cohort:
    """A to D train, or validate by turns; V validates in the declared fold, S and T are tested, without bravo."""
    has = {**dict.fromkeys("ABCDV", SEQUENCES), "S": LIMITED, "T": LIMITED, **present}
    folder, lesion = tmp_path / "Dataset001_Mets", sitk.GetImageFromArray(np.ones((1, 1, 1), np.uint8))
    for kind, cases in (("Tr", "ABCDV"), ("Ts", "ST")):
        for part in ("images", "labels"):
            (folder / f"{part}{kind}").mkdir(parents=True, exist_ok=True)
        for case in cases:
            sitk.WriteImage(lesion, str(folder / f"labels{kind}" / f"{case}.nii.gz"))
            for channel in range(len(SEQUENCES)):
                (folder / f"images{kind}" / f"{case}_{channel:04d}.nii.gz").write_bytes(f"{case}{channel}".encode())
    channels = ", ".join(f'"{i}": "{name}"' for i, name in enumerate(SEQUENCES))
    (folder / "dataset.json").write_text(f'{{"channel_names": {{{channels}}}, "file_ending": ".nii.gz"}}')
    splits: list[FoldCases] = [{"train": list("ABCD"), "val": ["V"]}, {"train": ["V", "B", "C", "D"], "val": ["A"]}]
    training, test = tuple("ABCDV"), ("S", "T")
    return Cohort(folder, SEQUENCES, ".nii.gz", has, {"background": 0, "lesion": 1}, training, test, splits)


def train(study: Study, run: Run) -> None:
    """Two epochs of three iterations; the pseudo Dice of the last tells the seed."""
    fold = study.model(run, "as_acquired") / "fold_0"
    fold.mkdir(parents=True, exist_ok=True)
    curves = {"train_losses": [1.0, 0.5], "val_losses": [1.0, 0.5], "ema_fg_dice": [0.1, run.seed / 10]}
    curves |= {"epoch_start_timestamps": [0.0, 60.0], "epoch_end_timestamps": [60.0, 120.0]}
    network = {"layer.weight": torch.zeros(2, 3), "layer.running_mean": torch.zeros(2)}
    how = {"trainer_name": "T", "init_args": {"configuration": "2d"}, "inference_allowed_mirroring_axes": None}
    torch.save({"network_weights": network, "logging": curves, **how}, fold / "checkpoint_final.pth")
    trained = {"epochs": 2, "iterations_per_epoch": 3, "slices_per_iteration": 4}
    (fold.parent / "plans.json").write_text(json.dumps({"seqdropout": trained}))
