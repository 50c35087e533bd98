"""Defines the sub-command ``check``, which reports faults of a data set before it is used."""

import argparse
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_conversion.faults import Fault
from dataset_conversion.plurals import n_of
from nnunet_seqdropout.cli.arguments.parsers import add_command
from nnunet_seqdropout.cli.arguments.shared import add_trust_geometry, named_description, output, processes
from nnunet_seqdropout.cli.process.exit_codes import ALL_DONE, SOME_CASE_FAILED

if TYPE_CHECKING:
    from dataset_conversion.checks.folder import FolderCheck


def add_commands(commands: "argparse._SubParsersAction") -> None:
    check = add_command(
        commands,
        "check",
        "report all faults of a data set or a folder of images",
        'seqdropout check -i "$nnUNet_raw/Dataset001_Mets"',
    )
    check.add_argument(
        "-i", type=Path, required=True, metavar="FOLDER", help="raw data set, or a folder of <case>_XXXX images"
    )
    model = check.add_mutually_exclusive_group()
    model.add_argument("-d", metavar="ID", help="data set (number or name) whose channels the images have")
    model.add_argument("-m", type=Path, metavar="MODEL", help="model folder whose channels the images have")
    add_trust_geometry(check)
    check.add_argument("-np", type=processes, default=1, metavar="K", help="number of processes. Default: 1")
    check.add_argument("--json", type=output, metavar="FILE", help="also write the findings to this file")
    check.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    from dataset_conversion.checks.folder import check_dataset, check_folder, is_raw_dataset
    from dataset_conversion.files.disk import require_room_for_file
    from dataset_conversion.files.texts.json_files import write_json

    if arguments.json is not None:
        require_room_for_file(arguments.json)
    if is_raw_dataset(arguments.i):
        found = check_dataset(arguments.i, trust_geometry=arguments.trust_geometry, n_workers=arguments.np)
    elif arguments.d is None and arguments.m is None:
        remedy = "Give a folder with dataset.json and imagesTr, or the channels of your images by -d ID or -m MODEL."
        raise Fault("this is not a raw data set", file=arguments.i, remedy=remedy)
    else:
        description = named_description(arguments)
        found = check_folder(
            arguments.i,
            channel_names=description.channel_names,
            file_ending=description.file_ending,
            trust_geometry=arguments.trust_geometry,
            n_workers=arguments.np,
        )
    _print_findings(found)
    _print_availability(found)
    n_faults = sum(len(check.faults) for check in found.cases.values()) + len(found.faults)
    print(f"{arguments.i}: {_summary(found, n_faults)}")
    if arguments.json is not None:
        write_json(arguments.json, _as_json(found, arguments.i, trust_geometry=arguments.trust_geometry))
    return SOME_CASE_FAILED if n_faults else ALL_DONE


def _print_findings(found: "FolderCheck") -> None:
    """A line for every fault, then one for every note."""
    for fault in found.faults:
        print(fault)
    for case, check in found.cases.items():
        for fault in check.faults:
            print(f"{case}: {fault}")
    for note in found.notes:
        print(f"note: {note}")
    for case, check in found.cases.items():
        for note in check.notes:
            print(f"note: {case}: {note}")


def _print_availability(found: "FolderCheck") -> None:
    """A row for each pattern of sequences, with a column for each split that has cases."""
    table = found.availability
    splits = [s for s in ("train", "val", "test", "unused") if any(row[s] for row in table.values())]
    print("".join(f"{word:>8}" for word in [*splits, "cases"]) + "  sequences")
    for pattern, row in table.items():
        numbers = [*(row[split] for split in splits), sum(row.values())]
        print("".join(f"{number:8d}" for number in numbers) + f"  {pattern or '(none)'}")


def _summary(found: "FolderCheck", n_faults: int) -> str:
    faulty = sum(bool(check.faults) for check in found.cases.values())
    in_all = f"; {n_of(n_faults, 'fault')} in all" if n_faults else ""
    return f"{n_of(len(found.cases), 'case')}, {f'{faulty} of them' if faulty else 'none'} with faults{in_all}"


def _as_json(found: "FolderCheck", folder: Path, *, trust_geometry: bool) -> dict[str, object]:
    """What ``summary.json`` of every command says, and all findings; the first fault of a case is its problem."""
    return {
        "command": "check",
        "version": version("nnunet_seqdropout"),
        "settings": {"i": str(folder), "trust_geometry": trust_geometry},
        "faults": [asdict(fault) for fault in found.faults],
        "notes": [asdict(note) for note in found.notes],
        "availability": found.availability,
        "cases": {
            case: {
                "status": "failed" if check.faults else "ok",
                **(asdict(check.faults[0]) if check.faults else {"problem": "", "remedy": ""}),
                "split": found.splits.get(case, ""),
                **{name: value for name, value in asdict(check).items() if name != "contents"},
            }
            for case, check in found.cases.items()
        },
    }
