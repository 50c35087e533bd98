"""Defines the sub-command ``model``: what a trained model is, whether it is whole, export and installation."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_conversion.faults import Fault
from nnunet_seqdropout.cli.arguments.models import add_model_names, named_model
from nnunet_seqdropout.cli.arguments.parsers import add_command
from nnunet_seqdropout.cli.process.exit_codes import ALL_DONE, SOME_CASE_FAILED
from nnunet_seqdropout.models.nnunet_folders import environment, nnunet_folder

if TYPE_CHECKING:
    from nnunet_seqdropout.models.information import ModelFolder


def add_commands(commands: "argparse._SubParsersAction") -> None:
    model = add_command(
        commands,
        "model",
        "describe, verify, export and install trained models",
        "seqdropout model info -d 1",
    )
    actions = model.add_subparsers(required=True, metavar="ACTION")

    info = add_command(
        actions,
        "info",
        "print what a model is: trainer, network, sequences, thresholds, folds",
        "seqdropout model info -d 1 -tr SeqDropoutPlusTrainer",
    )
    add_model_names(info)
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(run=_info)

    verify = add_command(
        actions,
        "verify",
        "check that every file of a model is there, unchanged, finite and loads",
        "seqdropout model verify -d 1 -tr SeqDropoutPlusTrainer",
    )
    add_model_names(verify)
    verify.set_defaults(run=_verify)

    export = add_command(
        actions,
        "export",
        "write a model into one archive, with a model card and without code",
        'seqdropout model export -d 1 -tr SeqDropoutPlusTrainer -o model.zip --about "60 patients of one scanner"',
    )
    add_model_names(export, several_checkpoints=True)
    export.add_argument("-o", type=Path, required=True, metavar="FILE", help="output file, such as model.zip")
    export.add_argument(
        "--about", default="", metavar="TEXT|FILE", help="the training data in your words, for the model card"
    )
    export.add_argument(
        "--evaluation", type=Path, metavar="DIR", help="results of seqdropout evaluate, for the model card"
    )
    export.set_defaults(run=_export)

    install = add_command(
        actions,
        "install",
        "install an archive of export into nnUNet_results",
        "seqdropout model install model.zip",
    )
    install.add_argument("archive", type=Path, metavar="FILE", help="archive that seqdropout model export wrote")
    install.add_argument("-d", type=int, metavar="ID", help="data set number to install it under. Default: its own")
    install.add_argument("-n", metavar="NAME", help="data set name to install it under. Default: its own")
    install.add_argument(
        "--max-size-gb", type=float, default=16.0, metavar="X", help="largest size of its files in GiB. Default: 16"
    )
    install.set_defaults(run=_install)


def _read(arguments: argparse.Namespace, names: list[str]) -> "ModelFolder":
    from nnunet_seqdropout.models.information import read_model_folder

    return read_model_folder(named_model(arguments), arguments.f, names)


def _info(arguments: argparse.Namespace) -> int:
    from nnunet_seqdropout.models.information import information

    said = information(_read(arguments, [arguments.chk]))
    if arguments.json:
        print(json.dumps(said, indent=2, ensure_ascii=False))
        return ALL_DONE
    for line in _lines(said):
        print(line)
    return ALL_DONE


def _lines(said: dict[str, Any], indent: str = "") -> list[str]:
    """``key: value``, what is nested below it; nothing of what is empty."""
    lines = []
    for key, value in said.items():
        name = f"{indent}{key.replace('_', ' ')}"
        if isinstance(value, dict) and value:
            lines += [f"{name}:", *_lines(value, f"{indent}  ")]
        elif isinstance(value, list):
            lines.append(f"{name}: {', '.join(map(str, value)) or 'none'}")
        else:
            lines.append(f"{name}: {'none' if value is None or value == {} else value}")
    return lines


def _verify(arguments: argparse.Namespace) -> int:
    from nnunet_seqdropout.models.verification import verify_model

    n_bad = 0
    folder = named_model(arguments)
    for name, found in verify_model(folder, arguments.f, arguments.chk):
        n_bad += isinstance(found, Fault)
        print(f"{name}: {found}")
    print(f"{folder}: {'not whole' if n_bad else 'whole'}")
    return SOME_CASE_FAILED if n_bad else ALL_DONE


def _export(arguments: argparse.Namespace) -> int:
    from nnunet_seqdropout.models.archive.export import export_model

    evaluation = None
    if arguments.evaluation is not None:
        from evaluation.tables.results import read_evaluation

        evaluation = read_evaluation(arguments.evaluation).summary
    model = _read(arguments, arguments.chk)
    for note in export_model(model, arguments.o, about=_about(arguments.about), evaluation=evaluation):
        print(note)
    print(f"{arguments.o}: {arguments.o.stat().st_size:,} bytes, fingerprint {model.fingerprint}")
    return ALL_DONE


def _about(given: str) -> str:
    """The text, or that of the file of this name."""
    try:
        is_file = Path(given).is_file()
    except (OSError, ValueError):  # a text that is no name of a file
        is_file = False
    return Path(given).read_text(encoding="utf-8", errors="replace") if given and is_file else given


def _install(arguments: argparse.Namespace) -> int:
    import os

    from nnunet_seqdropout.models.archive.install import install_archive

    os.environ.update(environment())
    results = nnunet_folder("nnUNet_results")
    installed = install_archive(
        arguments.archive, results, number=arguments.d, name=arguments.n, largest_gb=arguments.max_size_gb
    )
    print(f"{installed.folder}: {'was installed before' if installed.before else 'installed'}")
    if installed.missing:
        print(f"It cannot predict yet: {installed.missing}")
        return SOME_CASE_FAILED
    return ALL_DONE
