"""The command ``seqdropout``: it parses and calls; one sub-command is one function that a notebook could call."""

import argparse
import json
import logging
import os
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_conversion.faults import Fault

if TYPE_CHECKING:
    from dataset_conversion.outcomes import Outcome

ALL_DONE, SOME_CASE_FAILED, NOTHING_DONE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one sub-command; returns 0 if all was done, 1 if some case failed, 2 if nothing could be done."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except Fault as fault:
        print(f"seqdropout: {fault}", file=sys.stderr)
        return NOTHING_DONE


def environment(root: Path | None = None) -> dict[str, str]:
    """The environment variables by which nnU-Net finds our trainers and, below ``root``, its three folders."""
    trainers = str(Path(__file__).resolve().parent.parent / "trainers")
    others = [f for f in os.environ.get("nnUNet_extTrainer", "").split(os.pathsep) if f and f != trainers]
    variables = {"nnUNet_extTrainer": os.pathsep.join([trainers, *others])}
    if root is not None:
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
            variables[name] = str(root.resolve() / name)
    return variables


def _env(arguments: argparse.Namespace) -> int:
    for name, value in environment(arguments.root).items():
        print(f"export {name}={shlex.quote(value)}")
    return ALL_DONE


def _fill(arguments: argparse.Namespace) -> int:
    from dataset_conversion.fill import fill

    dataset = _dataset_json(arguments.d, arguments.m)
    channel_names = list(dataset["channel_names"].values())
    outcomes = fill(arguments.i, arguments.o, channel_names=channel_names, file_ending=dataset["file_ending"])
    _print_patterns(arguments.o, outcomes)
    return _exit_code(outcomes)


def _convert_brats(arguments: argparse.Namespace) -> int:
    from dataset_conversion.brats import convert

    folder = _folder_for_dataset(arguments.d, arguments.n)
    outcomes = convert(arguments.source, folder, test=arguments.test)
    print(f"{folder}: {sum(outcome.status == 'ok' for outcome in outcomes.values())} of {len(outcomes)} patients")
    return _exit_code(outcomes)


def _dataset_json(dataset_id: str | None, model: Path | None) -> dict:
    """``dataset.json`` of a model folder, or of a data set by its number or name."""
    if model is not None:
        candidates = [model / "dataset.json"]
    else:
        from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name

        folders = [os.environ[v] for v in ("nnUNet_preprocessed", "nnUNet_raw") if v in os.environ]
        try:
            name = maybe_convert_to_dataset_name(dataset_id)
        except (RuntimeError, ValueError) as error:
            raise Fault(f"no data set {dataset_id}", remedy=str(error)) from error
        candidates = [Path(folder, name, "dataset.json") for folder in folders]
    for candidate in candidates:
        if candidate.is_file():
            return json.loads(candidate.read_text(encoding="utf-8"))
    searched = ", ".join(map(str, candidates)) or "nnUNet_preprocessed and nnUNet_raw, which are not set"
    raise Fault(f"no dataset.json (searched {searched})", remedy="Give a model folder with -m or a data set with -d.")


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
    brats = layouts.add_parser("brats", help="<case>_{t1,t1ce,t2,flair,seg} or <case>-{t1n,t1c,t2w,t2f,seg}")
    brats.add_argument("source", type=Path, metavar="SOURCE", help="a folder above the cases")
    brats.add_argument("-d", type=int, required=True, metavar="ID", help="data set number")
    brats.add_argument("-n", required=True, metavar="NAME", help="data set name")
    brats.add_argument("--test", nargs="+", default=[], metavar="CASE", help="cases for imagesTs and labelsTs")
    brats.set_defaults(run=_convert_brats)
    return parser


if __name__ == "__main__":
    sys.exit(main())
