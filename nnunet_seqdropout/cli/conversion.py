"""Defines the sub-commands that write data sets: ``fill`` and ``convert``."""

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_conversion.faults import Fault
from dataset_conversion.nearest import did_you_mean
from dataset_conversion.plurals import n_of
from dataset_conversion.raw.layout import SHIPPED, read_layout, shipped_layouts
from dataset_conversion.sequences import Pattern
from nnunet_seqdropout.cli.arguments.parsers import add_command
from nnunet_seqdropout.cli.arguments.shared import (
    add_brain_extraction,
    add_register,
    add_trust_geometry,
    mapping,
    named_description,
    output,
    processes,
)
from nnunet_seqdropout.cli.process.exit_codes import ALL_DONE, SOME_CASE_FAILED, exit_code, report
from nnunet_seqdropout.cli.process.outputs import alone_in_output, output_folder
from nnunet_seqdropout.models.nnunet_folders import folder_for_dataset

if TYPE_CHECKING:
    from dataset_conversion.raw.layout import Layout
    from dataset_conversion.raw.sources.patient import Patient


def add_commands(commands: "argparse._SubParsersAction") -> None:
    fill = add_command(
        commands,
        "fill",
        "add placeholder images of zeros, so that stock nnUNetv2_predict accepts a folder",
        "seqdropout fill -i images -o filled -d 1",
    )
    fill.add_argument("-i", type=Path, required=True, metavar="IN", help="folder of <case>_XXXX images, some missing")
    fill.add_argument("-o", type=output, required=True, metavar="OUT", help="output folder for images and placeholders")
    model = fill.add_mutually_exclusive_group(required=True)
    model.add_argument("-d", metavar="ID", help="data set (number or name) whose channels the images have")
    model.add_argument("-m", type=Path, metavar="MODEL", help="model folder (TRAINER__PLANS__CONFIGURATION)")
    add_trust_geometry(fill)
    fill.set_defaults(run=_fill)

    convert = add_command(
        commands,
        "convert",
        "write an nnU-Net raw data set from a hospital's folders",
        "seqdropout convert hospital_a patients -d 1 -n Mets --test P8 P9",
    )
    layouts = ", ".join(shipped_layouts())
    convert.add_argument(
        "layout", metavar="LAYOUT", help=f"name of the folder layout: {layouts}; or generic, with --layout"
    )
    convert.add_argument("source", type=Path, metavar="SOURCE", help="folder that contains the patients' folders")
    convert.add_argument(
        "--layout", dest="layout_file", type=Path, metavar="FILE", help="YAML file with your own layout, for generic"
    )
    convert.add_argument("-d", type=int, required=True, metavar="ID", help="data set number")
    convert.add_argument("-n", required=True, metavar="NAME", help="data set name")
    convert.add_argument("--val", nargs="+", default=[], metavar="PATIENT", help="patients for validation")
    convert.add_argument("--test", nargs="+", default=[], metavar="PATIENT", help="patients for imagesTs and labelsTs")
    convert.add_argument(
        "--sequences",
        type=lambda s: s.split(","),
        metavar="A,B",
        help="convert only these sequences, as hard links where possible. Default: all",
    )
    add_register(convert, default="as the layout says")
    add_brain_extraction(convert, default="no")
    convert.add_argument(
        "--nan",
        choices=("refuse", "zero"),
        default="refuse",
        help="reject images with NaN, or replace NaN by 0. Default: refuse",
    )
    add_trust_geometry(convert)
    convert.add_argument(
        "--map", type=mapping, default={}, metavar="255=1", help="replace label values: STORED=NEW,... Default: none"
    )
    convert.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="give pseudonyms, made with this secret key; created if missing. Default: patients keep their ids",
    )
    convert.add_argument("--dry-run", action="store_true", help="print what would be converted, and write nothing")
    convert.add_argument("-np", type=processes, default=1, metavar="K", help="number of processes. Default: 1")
    convert.set_defaults(run=_convert)


@alone_in_output()
def _fill(arguments: argparse.Namespace) -> int:
    from dataset_conversion.raw.fill import fill
    from nnunet_seqdropout.cli.process.records import print_patterns
    from nnunet_seqdropout.dropout import Rescale, factor
    from nnunet_seqdropout.models.rescaling import rescaling_of_model

    description = named_description(arguments)
    # without a model the factor is the paper's
    rescale: Rescale = rescaling_of_model(arguments.m) if arguments.m else "paper"
    outcomes = fill(
        arguments.i,
        arguments.o,
        channel_names=description.channel_names,
        file_ending=description.file_ending,
        factor=partial(factor, rescale=rescale),
        trust_geometry=arguments.trust_geometry,
    )
    print_patterns(arguments.o, outcomes)
    return exit_code(outcomes)


def _convert(arguments: argparse.Namespace) -> int:
    from dataset_conversion.pseudonyms import read_or_make_key
    from dataset_conversion.raw.availability import nowhere_note
    from dataset_conversion.raw.convert import convert, dataset_of, require_a_lesion, training_notes
    from dataset_conversion.raw.preparing.prepared import Preparation
    from dataset_conversion.raw.sources.patients import find_patients, require_fitting
    from dataset_conversion.raw.sources.persons import names_note
    from dataset_conversion.raw.sources.pseudonymised import pseudonym_of, under_pseudonyms
    from dataset_conversion.raw.writer import patients_so_far

    if (arguments.layout == "generic") != (arguments.layout_file is not None):
        raise Fault(
            "--layout requires the layout generic, and generic requires --layout",
            remedy="Run: convert generic --layout FILE SOURCE",
        )
    if arguments.layout not in (*shipped_layouts(), "generic"):
        meant = did_you_mean(arguments.layout, shipped_layouts())
        remedy = f"{meant}Choose one of {', '.join(shipped_layouts())}, generic."
        raise Fault(f"unknown layout {arguments.layout}", remedy=remedy)
    layout = read_layout(arguments.layout_file or SHIPPED / f"{arguments.layout}.yaml")
    folder = folder_for_dataset(arguments.d, arguments.n)
    secret = arguments.key is not None and not arguments.dry_run
    try:
        patients = find_patients(arguments.source, layout, val=arguments.val, test=arguments.test, secret=secret)
        require_fitting(layout, patients)
    except Fault:
        if not secret or not arguments.source.is_dir():
            raise
        # it would name patients and files
        remedy = "To know why, run convert --dry-run without --key."
        raise Fault("the patients cannot be taken from these files", file=arguments.source, remedy=remedy) from None
    if arguments.dry_run:
        dataset = dataset_of(layout, arguments.source, folder, patients, sequences=arguments.sequences)
        patients_so_far(dataset, patients)
        code = _print_patients(patients, layout)
        found = [Pattern(tuple(patient.images)) for patient in patients.values() if patient.split != "test"]
        if note := nowhere_note(dataset.channel_names, found):
            print("note: {}. {}".format(*note))
        if arguments.key is not None and arguments.key.exists():
            key = read_or_make_key(arguments.key, away_from=folder)
            for case, patient in patients.items():
                print(f"{case:30s} becomes {pseudonym_of(case, patient, key)}")
        return code
    if arguments.key is not None:
        patients = under_pseudonyms(patients, read_or_make_key(arguments.key, away_from=folder))
    elif note := names_note(patients):
        print("note: {}. {}".format(*note))
    dataset = dataset_of(layout, arguments.source, folder, patients, sequences=arguments.sequences)
    preparation = Preparation(
        arguments.register or layout.register,
        arguments.deface,
        arguments.skull_strip,
        arguments.nan,
        arguments.map,
        trust_geometry=arguments.trust_geometry,
    )
    with output_folder(folder):
        outcomes = convert(dataset, patients, preparation, n_workers=arguments.np)
    code = report(outcomes, folder, noun="case", then=f"; look at {folder / 'qc.html'}")
    for note in training_notes(dataset):
        print("note: {}. {}".format(*note))
    require_a_lesion(folder)
    return code


def _print_patients(patients: "Mapping[str, Patient]", layout: "Layout") -> int:
    """What a dry run found: a line for every case, with its fault if its files' names show one."""
    for case, patient in patients.items():
        sequences = [name if name in patient.images else f"({name} absent)" for name in layout.channels]
        found = patient.known_fault or " ".join([*sequences, "label" if patient.label else "(no label)"])
        print(f"{case:30s} {patient.split:5s} {found}")
    persons = {patient.person for patient in patients.values()}
    print(f"{n_of(len(patients), 'case')} of {n_of(len(persons), 'patient')}; nothing was written")
    return SOME_CASE_FAILED if any(patient.known_fault for patient in patients.values()) else ALL_DONE
