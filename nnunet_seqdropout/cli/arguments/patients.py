"""Defines how ``predict`` takes patients as the scanner or the archive hands them over: --patients and --dicom."""

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dataset_conversion.faults import Fault
from nnunet_seqdropout.cli.arguments.dicom_results import wants_dicom_results
from nnunet_seqdropout.cli.arguments.shared import add_brain_extraction, add_register, output

if TYPE_CHECKING:
    from dataset_conversion.dicom.results.source import Source
    from dataset_conversion.raw.sources.patient import Patient
    from nnunet_seqdropout.prediction.case import CaseInput


def add_inputs(what: "argparse._MutuallyExclusiveGroup") -> None:
    """Adds the two inputs, one of which excludes the others."""
    what.add_argument(
        "--patients", type=Path, metavar="FOLDER", help="folder of patients whose series have grids of their own"
    )
    what.add_argument("--dicom", type=Path, metavar="STUDY", help="folder of the DICOM files of a study, at any depth")


def add_preparation(predict: argparse.ArgumentParser) -> None:
    """Adds what is done to them before they are predicted."""
    how = predict.add_argument_group(
        "preparation of --patients and --dicom: as the images that the model was trained on, if this is recorded",
    )
    add_register(how, default="as the layout says, or auto")
    add_brain_extraction(how, default="as the training images, no: not")
    how.add_argument(
        "--rules", type=Path, metavar="FILE", help="YAML rules that map DICOM series to sequences. Default: built-in"
    )
    how.add_argument(
        "--key",
        type=output,
        metavar="FILE",
        help="secret key, which gives the cases of --dicom pseudonyms; created if missing. Default: one case, --case",
    )


@contextmanager
def unprepared(
    arguments: argparse.Namespace, model: Path, channel_names: tuple[str, ...]
) -> "Iterator[dict[str, CaseInput]]":
    """The cases of ``--patients`` or ``--dicom``; what is made of DICOM is there within the block alone."""
    if arguments.patients is not None:
        yield _of_patients(arguments, model, channel_names)
        return
    from dataset_conversion.files.staging import staging_prefix

    arguments.o.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=staging_prefix(), dir=arguments.o) as scratch:
        yield _of_dicom(arguments, model, channel_names, Path(scratch))


def _of_patients(arguments: argparse.Namespace, model: Path, channel_names: tuple[str, ...]) -> "dict[str, CaseInput]":
    from dataset_conversion.raw.layout import named_layout
    from dataset_conversion.raw.sources.patients import find_patients, require_fitting

    if arguments.layout is None:
        raise Fault("--patients requires --layout", remedy="Name the layout of the folder, as for convert.")
    layout = named_layout(arguments.layout)
    patients = find_patients(arguments.patients, layout)
    require_fitting(layout, patients)
    register = arguments.register or layout.register
    return _cases(arguments, model, channel_names, patients, layout.order, register, layout.skull_stripped, {})


def _of_dicom(
    arguments: argparse.Namespace, model: Path, channel_names: tuple[str, ...], scratch: Path
) -> "dict[str, CaseInput]":
    from dataset_conversion.dicom.convert import from_dicom
    from dataset_conversion.dicom.results.source import Source
    from dataset_conversion.pseudonyms import read_key
    from dataset_conversion.raw.sources.patient import Patient
    from dataset_conversion.sequences import ALIASES, channels_of

    converted = from_dicom(arguments.dicom, scratch / "images", rules=arguments.rules, key_file=arguments.key)
    if arguments.key is None and len(converted.outcomes) > 1:
        remedy = "Give the folder of one patient, or a key with --key, by which they get pseudonyms."
        raise Fault(
            f"{arguments.dicom} holds {len(converted.outcomes)} patients, and only one case can have the name --case",
            remedy=remedy,
        )
    hidden = read_key(arguments.key) if arguments.key else b""
    patients, sources = {}, {}
    for pseudonym, outcome in converted.outcomes.items():
        case = pseudonym if arguments.key else arguments.case
        fault = Fault(outcome.problem, remedy=outcome.remedy) if outcome.status == "failed" else None
        patients[case] = Patient(case, "test", converted.images.get(pseudonym, {}), fault=fault, has_pseudonym=True)
        if wants_dicom_results(arguments):
            series = converted.series.get(pseudonym, {})
            sources[case] = {role: Source(one, pseudonym if hidden else "", hidden) for role, one in series.items()}
    order = sorted(ALIASES, key=lambda role: min(channels_of(role, channel_names), default=len(channel_names)))
    return _cases(arguments, model, channel_names, patients, order, arguments.register or "auto", None, sources)


def _cases(
    arguments: argparse.Namespace,
    model: Path,
    channel_names: tuple[str, ...],
    patients: "Mapping[str, Patient]",
    order: list[str],
    register: str,
    skull_stripped: bool | None,
    sources: "Mapping[str, Mapping[str, Source]]",
) -> "dict[str, CaseInput]":
    from dataset_conversion.raw.preparing.prepared import Preparation
    from nnunet_seqdropout.models.preparation import preparation_of_model
    from nnunet_seqdropout.prediction.patients import UnpreparedPatient, as_trained

    wanted = Preparation(
        register,  # type: ignore[arg-type]
        arguments.deface,
        arguments.skull_strip,
        arguments.nan,
        trust_geometry=arguments.trust_geometry,
    )
    how = as_trained(preparation_of_model(model), wanted, sequences=order, skull_stripped=skull_stripped)
    return {
        case: UnpreparedPatient(case, patient, how, channel_names, sources.get(case, {}))
        for case, patient in patients.items()
    }
