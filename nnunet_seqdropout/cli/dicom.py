"""Defines the sub-command ``dicom``."""

import argparse
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.plurals import n_of
from nnunet_seqdropout.cli.arguments.parsers import add_command
from nnunet_seqdropout.cli.arguments.shared import (
    output,
)
from nnunet_seqdropout.cli.process.exit_codes import ALL_DONE, SOME_CASE_FAILED, report
from nnunet_seqdropout.cli.process.outputs import output_folder


def add_commands(commands: "argparse._SubParsersAction") -> None:
    dicom = add_command(
        commands,
        "dicom",
        "convert DICOM to <pseudonym>/<sequence>.nii.gz, as input for convert",
        "seqdropout dicom export --dry-run",
        "seqdropout dicom export -o patients --key secret.key",
    )
    dicom.add_argument("source", type=Path, metavar="SOURCE", help="folder that contains the DICOM files, at any depth")
    dicom.add_argument("-o", type=output, metavar="OUT", help="output folder for the patients; required to convert")
    dicom.add_argument(
        "--key",
        type=output,
        metavar="FILE",
        help="secret key of the pseudonyms; created if missing; required to convert",
    )
    dicom.add_argument(
        "--rules",
        type=Path,
        metavar="FILE",
        help="YAML rules that map series to sequences. Default: the built-in rules",
    )
    dicom.add_argument(
        "--dry-run",
        action="store_true",
        help="print what each series is taken for and why, and write nothing; patients are numbered without --key",
    )
    dicom.set_defaults(run=_dicom)


def _dicom(arguments: argparse.Namespace) -> int:
    from dataset_conversion.dicom.convert import from_dicom

    if arguments.dry_run:
        return _print_series(arguments)
    if arguments.o is None or arguments.key is None:
        raise Fault("dicom needs -o OUT and --key FILE", remedy="Give both, or --dry-run.")
    with output_folder(arguments.o):
        converted = from_dicom(arguments.source, arguments.o, rules=arguments.rules, key_file=arguments.key)
    return report(converted.outcomes, arguments.o)


def _print_series(arguments: argparse.Namespace) -> int:
    """What a dry run found: a table for every patient, and what would keep the patient from being converted."""
    from dataset_conversion.dicom.preview import preview

    n_patients = n_failed = 0
    for found in preview(arguments.source, rules=arguments.rules, key_file=arguments.key):
        print(found.patient, *(f"  {line}" for line in found.table), sep="\n")
        for fault in found.faults:
            print(f"  fault: {fault.problem}. {fault.remedy}")
        n_patients += 1
        n_failed += bool(found.faults)
    print(f"{n_of(n_patients, 'patient')}, {n_failed} with faults; nothing was written")
    return SOME_CASE_FAILED if n_failed else ALL_DONE
