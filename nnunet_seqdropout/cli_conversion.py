"""The sub-commands that write data sets: ``fill``, ``convert`` and ``phantom``."""

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_conversion.faults import Fault
from nnunet_seqdropout.exit_codes import exit_code
from nnunet_seqdropout.folders import dataset_json, folder_for_dataset

if TYPE_CHECKING:
    from dataset_conversion.outcomes import Outcome


def add_commands(commands: "argparse._SubParsersAction") -> None:
    fill = commands.add_parser("fill", help="add exact-zero placeholders, so that stock nnUNetv2_predict can run")
    fill.add_argument("-i", type=Path, required=True, metavar="IN", help="folder of <case>_XXXX images, some absent")
    fill.add_argument("-o", type=Path, required=True, metavar="OUT", help="folder for the complete set")
    model = fill.add_mutually_exclusive_group(required=True)
    model.add_argument("-d", metavar="ID", help="data set number or name")
    model.add_argument("-m", type=Path, metavar="MODEL", help="model folder (TRAINER__PLANS__CONFIGURATION)")
    fill.set_defaults(run=_fill)

    convert = commands.add_parser("convert", help="write an nnU-Net raw data set")
    layouts = convert.add_subparsers(required=True, metavar="LAYOUT")
    brats = _layout(layouts, "brats", "<case>_{t1,t1ce,t2,flair,seg} or <case>-{t1n,t1c,t2w,t2f,seg}")
    brats.add_argument("--test", nargs="+", default=[], metavar="CASE", help="cases for imagesTs and labelsTs")
    brats.set_defaults(run=_convert_brats)
    for hospital, does in (("A", "trains"), ("B", "validates and tests; convert it into the data set of A")):
        layout = _layout(layouts, f"hospital_{hospital.lower()}", f"<patient>/<sequence>.nii.gz; {does}")
        layout.add_argument("--sequences", type=lambda s: s.split(","), metavar="A,B", help="only these, linked")
        layout.set_defaults(run=_convert_hospital, hospital=hospital, val=[])
    layout.add_argument("--val", nargs="+", metavar="CASE", help="validation patients (default: those below val/)")

    phantom = commands.add_parser("phantom", help="write a synthetic Hospital A and B")
    phantom.add_argument("-o", type=Path, required=True, metavar="DIR", help="folder for hospital_a and hospital_b")
    for name, does in (
        ("train", "training patients of Hospital A (24)"),
        ("val", "validation patients of Hospital B (4)"),
        ("test", "test patients of Hospital B (8)"),
        ("size", "voxels in-plane (96)"),
        ("seed", "the same seed gives the same bytes (0)"),
    ):
        phantom.add_argument(f"--{name}", type=int, metavar="N", help=does)
    phantom.add_argument(
        "--like-paper", action="store_true", help="100, 10, 55 patients on Table 2's grids, with motion"
    )
    phantom.add_argument("-np", type=int, default=1, metavar="K", help="processes (1)")
    phantom.set_defaults(run=_phantom)


def _layout(layouts: "argparse._SubParsersAction", name: str, files: str) -> argparse.ArgumentParser:
    layout = layouts.add_parser(name, help=files)
    layout.add_argument("source", type=Path, metavar="SOURCE", help="a folder above the patients")
    layout.add_argument("-d", type=int, required=True, metavar="ID", help="data set number")
    layout.add_argument("-n", required=True, metavar="NAME", help="data set name")
    return layout


def _fill(arguments: argparse.Namespace) -> int:
    from dataset_conversion.fill import fill

    dataset = dataset_json(arguments.d, arguments.m)
    outcomes = fill(arguments.i, arguments.o, **dataset)
    _print_patterns(arguments.o, outcomes)
    return exit_code(outcomes)


def _convert_brats(arguments: argparse.Namespace) -> int:
    from dataset_conversion.brats import convert

    folder = folder_for_dataset(arguments.d, arguments.n)
    return _report(convert(arguments.source, folder, test=arguments.test), folder)


def _convert_hospital(arguments: argparse.Namespace) -> int:
    from dataset_conversion.hospitals import convert

    folder = folder_for_dataset(arguments.d, arguments.n)
    choices = {"hospital": arguments.hospital, "val": arguments.val, "sequences": arguments.sequences}
    return _report(convert(arguments.source, folder, **choices), folder)


def _phantom(arguments: argparse.Namespace) -> int:
    from dataset_conversion.phantom import LIKE_PAPER, Design, write_phantom

    chosen = {name: getattr(arguments, name) for name in ("train", "val", "test", "size", "seed")}
    given = {name: value for name, value in chosen.items() if value is not None}
    if arguments.like_paper and given.keys() - {"seed"}:
        raise Fault("--like-paper fixes the cohort and its grids", remedy="Leave out --train, --val, --test, --size.")
    design = replace(LIKE_PAPER if arguments.like_paper else Design(), **given)
    return _report(write_phantom(arguments.o, design, n_workers=arguments.np), arguments.o)


def _print_patterns(folder: Path, outcomes: "Mapping[str, Outcome]") -> None:
    """How many cases have which sequences, from the records beside them."""
    done = [case for case, outcome in outcomes.items() if outcome.status == "ok"]
    patterns = Counter(json.loads((folder / f"{case}.json").read_text(encoding="utf-8"))["pattern"] for case in done)
    for pattern, n_cases in patterns.most_common():
        print(f"{n_cases:6d} cases with {pattern}")
    print(f"{len(done)} of {len(outcomes)} cases written to {folder}")


def _report(outcomes: "Mapping[str, Outcome]", folder: Path) -> int:
    print(f"{folder}: {sum(outcome.status == 'ok' for outcome in outcomes.values())} of {len(outcomes)} patients")
    return exit_code(outcomes)
