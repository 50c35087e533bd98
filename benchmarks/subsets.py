"""Compares the time of one ``seqdropout subsets`` with that of one stock predict command per subset.

    python -m benchmarks.subsets MODEL_FOLDER IMAGES LABELS WORK [-f 0] [--disable_tta] [--patterns A+B ...] [--turns 1]

For every pattern a folder is filled: the files of the sequences that it has, zeros for the others. Then
``nnUNetv2_predict_from_modelfolder`` predicts each folder, from its start to its end, with the same settings; filling,
and measuring what it wrote, is not counted. ``seqdropout subsets`` is counted with its measuring and its report. The
two take turns. The numbers of both are compared: Dice, sensitivity, and how many voxels were predicted, of which 1e-4
of the image may differ (nnU-Net accumulates in float16).
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk

from benchmarks.steps import use_folders
from benchmarks.turns import HEAD, Row, in_turns, run
from dataset_conversion.files.images.image_io import read_image, write_image
from dataset_conversion.raw.cases import find_cases
from dataset_conversion.raw.preparing.placeholders import placeholder
from dataset_conversion.sequences import Pattern
from evaluation.inputs.folders import Folders
from evaluation.inputs.target import Target
from evaluation.patient import evaluate_patient
from nnunet_seqdropout.models.folders import description_of_model
from nnunet_seqdropout.subsets import subsets

LARGEST_DIFFERENCE = 1e-4
"""The largest share of an image's voxels that may differ."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL_FOLDER", help="TRAINER__PLANS__CONFIGURATION")
    parser.add_argument("images", type=Path, metavar="IMAGES", help="folder of <case>_XXXX images")
    parser.add_argument("labels", type=Path, metavar="LABELS", help="their references")
    parser.add_argument("work", type=Path, metavar="WORK", help="folder for everything that is written")
    parser.add_argument("-f", default="0", metavar="FOLD", help="the model's fold (0)")
    parser.add_argument("-device", default="cpu", help="cpu, cuda or mps (cpu)")
    parser.add_argument("--label", type=int, default=1, metavar="L", help="the label that is measured (1)")
    parser.add_argument("--disable_tta", action="store_true", help="no mirroring, in both")
    parser.add_argument("--patterns", nargs="+", metavar="A+B", help="only these (all)")
    parser.add_argument("--turns", type=int, default=1, help="how often both run (1)")
    arguments = parser.parse_args()
    use_folders(arguments.work / "nnunet")
    options = ["-f", arguments.f, "-device", arguments.device, *["--disable_tta"] * arguments.disable_tta]
    ours, stock, n_patterns = compared(
        arguments.model,
        arguments.images,
        arguments.labels,
        arguments.work,
        options=options,
        label=arguments.label,
        patterns=arguments.patterns,
        turns=arguments.turns,
    )
    print(HEAD)
    print(Row.of("`subsets`", ours, f"{n_patterns} times `nnUNetv2_predict`", stock))
    cases = pd.read_csv(arguments.work / "ours" / "cases.csv").set_index(["case", "pattern"])
    if not cases["volume_predicted_mm3"].any():
        sys.exit("Nothing was predicted: train the model for longer, there is nothing to compare.")
    largest = differences(cases, arguments.work / "stock", arguments.labels, arguments.label)
    print(f"{len(cases)} predictions; largest differences: " + ", ".join(f"{k} {v:.2g}" for k, v in largest.items()))
    if largest["share of voxels"] > LARGEST_DIFFERENCE:
        sys.exit(f"More than {LARGEST_DIFFERENCE:g} of the voxels differ.")


def compared(
    model: Path,
    images: Path,
    labels: Path,
    work: Path,
    *,
    options: Sequence[str],
    label: int = 1,
    patterns: Sequence[str] | None = None,
    turns: int = 1,
) -> tuple[list[float], list[float], int]:
    """Seconds in each turn of the one command, and of the stock commands together, and how many these are."""
    description = description_of_model(model)
    names, ending = description.channel_names, description.file_ending
    patterns = patterns or [str(Pattern.of(present, names)) for present in subsets([True] * len(names))]
    for shown in patterns:
        fill(images, work / "filled" / shown, Pattern.parse(shown).names, names, ending)
    ours = ["seqdropout", "subsets", "-i", images, "-gt", labels, "-o", work / "ours", "-m", model, *options]
    ours += ["--argmax", "--label", label, "--patterns", *patterns]

    def stock() -> None:
        for shown in patterns:
            target = work / "stock" / shown
            shutil.rmtree(target, ignore_errors=True)
            source = work / "filled" / shown
            run(["nnUNetv2_predict_from_modelfolder", "-i", source, "-o", target, "-m", model, *options])

    seconds = in_turns({"ours": partial(run, ours), "stock": stock}, turns, warm_up=False)
    return seconds["ours"], seconds["stock"], len(patterns)


def fill(source: Path, target: Path, kept: Sequence[str], names: Sequence[str], ending: str) -> None:
    """The cases that have these sequences, with zeros for all others."""
    target.mkdir(parents=True, exist_ok=True)
    for case, files in find_cases(source, channel_names=names, file_ending=ending).items():
        if not {names.index(name) for name in kept} <= files.by_channel.keys():
            continue
        zeros = placeholder(read_image(next(iter(files.by_channel.values()))))
        for channel, name in enumerate(names):
            filled = target / f"{case}_{channel:04d}{ending}"
            if name in kept:
                shutil.copyfile(files.by_channel[channel], filled)
            else:
                write_image(zeros, filled)


def differences(ours: pd.DataFrame, stock: Path, labels: Path, label: int) -> dict[str, float]:
    """The largest over all cases and patterns between ``cases.csv`` and what is measured on the stock label maps."""
    largest = {"Dice": 0.0, "sensitivity": 0.0, "share of voxels": 0.0}
    for (case, shown), row in ours.iterrows():
        volumes = Folders(labels, stock / shown, Target((label,))).read(case)
        theirs = evaluate_patient(volumes.reference, predicted=volumes.predicted, grid=volumes.grid).measures
        n_voxels = sitk.GetArrayViewFromImage(volumes.image).size
        of_volume = abs(row["volume_predicted_mm3"] - theirs["volume_predicted_mm3"]) / row["voxel_mm3"] / n_voxels
        found = {
            "Dice": abs(row["dice"] - theirs["dice"]),
            "sensitivity": abs(row["sensitivity"] - theirs["sensitivity"]),
            "share of voxels": of_volume,
        }
        largest = {name: float(np.nanmax([largest[name], value])) for name, value in found.items()}
    return largest


if __name__ == "__main__":
    main()
