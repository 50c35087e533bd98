"""The command ``seqdropout``: it parses and calls; one sub-command is one function that a notebook could call."""

import argparse
import json
import logging
import os
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_conversion.faults import Fault

if TYPE_CHECKING:
    from dataset_conversion.outcomes import Outcome

NNUNET_FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
ALL_DONE, SOME_CASE_FAILED, NOTHING_DONE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one sub-command; returns 0 if all was done, 1 if some case failed, 2 if nothing could be done."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except (Fault, OSError) as problem:
        print(f"seqdropout: {problem}", file=sys.stderr)
        return NOTHING_DONE


def environment(root: Path | None = None) -> dict[str, str]:
    """The environment variables by which nnU-Net finds our trainers and, below ``root``, its three folders."""
    trainers = str(Path(__file__).resolve().parent.parent / "trainers")
    others = [f for f in os.environ.get("nnUNet_extTrainer", "").split(os.pathsep) if f and f != trainers]
    variables = {"nnUNet_extTrainer": os.pathsep.join([trainers, *others])}
    if root is not None:
        for name in NNUNET_FOLDERS:
            variables[name] = str(root.resolve() / name)
    return variables


def _env(arguments: argparse.Namespace) -> int:
    for name, value in environment(arguments.root).items():
        print(f"export {name}={shlex.quote(value)}")
    return ALL_DONE


def _fill(arguments: argparse.Namespace) -> int:
    from dataset_conversion.fill import fill

    dataset = _dataset_json(arguments.d, arguments.m)
    outcomes = fill(arguments.i, arguments.o, **dataset)
    _print_patterns(arguments.o, outcomes)
    return _exit_code(outcomes)


def _convert_brats(arguments: argparse.Namespace) -> int:
    from dataset_conversion.brats import convert

    folder = _folder_for_dataset(arguments.d, arguments.n)
    return _report(convert(arguments.source, folder, test=arguments.test), folder)


def _convert_hospital(arguments: argparse.Namespace) -> int:
    from dataset_conversion.hospitals import convert

    folder = _folder_for_dataset(arguments.d, arguments.n)
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


def _dataset_json(dataset_id: str | None, model: Path | None) -> dict:
    """``dataset.json`` of a model folder, or of a data set by its number or name, wherever nnU-Net keeps one."""
    if model is not None:
        searched = [model]
    else:
        from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name

        try:
            name = maybe_convert_to_dataset_name(dataset_id)
        except (RuntimeError, ValueError) as error:
            raise Fault(f"no data set {dataset_id}", remedy=str(error)) from error
        set_folders = [os.environ[v] for v in NNUNET_FOLDERS if v in os.environ]
        searched = [folder for root in set_folders for folder in (Path(root, name), *Path(root, name).glob("*__*__*"))]
    for folder in searched:
        if (file := folder / "dataset.json").is_file():
            return _checked_dataset_json(file)
    remedy = "Give a model folder with -m or a data set with -d."
    raise Fault(f"no dataset.json in {', '.join(map(str, searched))}", remedy=remedy)


def _checked_dataset_json(file: Path) -> dict:
    try:
        dataset = json.loads(file.read_text(encoding="utf-8"))
        channels = sorted(dataset["channel_names"].items(), key=lambda channel: int(channel[0]))
        return {"channel_names": [name for _, name in channels], "file_ending": dataset["file_ending"]}
    except (ValueError, KeyError) as error:
        remedy = "Restore the file that nnU-Net wrote."
        raise Fault(f"not a dataset.json of nnU-Net ({error!r})", file=file, remedy=remedy) from error


def _folder_for_dataset(dataset_id: int, name: str) -> Path:
    raw = os.environ.get("nnUNet_raw")
    if raw is None:
        raise Fault("nnUNet_raw is not set", remedy='Run: eval "$(seqdropout env --root DIR)"')
    folder = Path(raw, f"Dataset{dataset_id:03d}_{name}")
    if others := [other for other in Path(raw).glob(f"Dataset{dataset_id:03d}_*") if other != folder]:
        raise Fault(f"number {dataset_id} is taken by {others[0]}", remedy="Choose another number with -d.")
    return folder


def _print_patterns(folder: Path, outcomes: "Mapping[str, Outcome]") -> None:
    """How many cases have which sequences, from the records beside them."""
    done = [case for case, outcome in outcomes.items() if outcome.status == "ok"]
    patterns = Counter(json.loads((folder / f"{case}.json").read_text(encoding="utf-8"))["pattern"] for case in done)
    for pattern, n_cases in patterns.most_common():
        print(f"{n_cases:6d} cases with {pattern}")
    print(f"{len(done)} of {len(outcomes)} cases written to {folder}")


def _report(outcomes: "Mapping[str, Outcome]", folder: Path) -> int:
    print(f"{folder}: {sum(outcome.status == 'ok' for outcome in outcomes.values())} of {len(outcomes)} patients")
    return _exit_code(outcomes)


def _exit_code(outcomes: "Mapping[str, Outcome]") -> int:
    return SOME_CASE_FAILED if any(outcome.status == "failed" for outcome in outcomes.values()) else ALL_DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="seqdropout", description="nnU-Net v2 with missing MRI sequences.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    env = commands.add_parser("env", help='print the export lines for eval "$(seqdropout env)"')
    env.add_argument("--root", type=Path, metavar="DIR", help="also set nnU-Net's three folders, below DIR")
    env.set_defaults(run=_env)

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
    return parser


def _layout(layouts: "argparse._SubParsersAction", name: str, files: str) -> argparse.ArgumentParser:
    layout = layouts.add_parser(name, help=files)
    layout.add_argument("source", type=Path, metavar="SOURCE", help="a folder above the patients")
    layout.add_argument("-d", type=int, required=True, metavar="ID", help="data set number")
    layout.add_argument("-n", required=True, metavar="NAME", help="data set name")
    return layout


if __name__ == "__main__":
    sys.exit(main())
