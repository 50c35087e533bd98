"""Defines the results of ``predict --dicom`` that are DICOM themselves: --dicom-seg and --rtstruct."""

import argparse
from typing import TYPE_CHECKING

from dataset_conversion.faults import Fault

if TYPE_CHECKING:
    from nnunet_seqdropout.prediction.extras import Extra


def add_dicom_results(predict: argparse.ArgumentParser) -> None:
    results = predict.add_argument_group("DICOM results of --dicom, on the reference series")
    results.add_argument("--dicom-seg", action="store_true", help="write <case>_seg.dcm, a DICOM Segmentation")
    results.add_argument(
        "--segments",
        choices=("lesion", "class"),
        help="segments of --dicom-seg: one per lesion of the target, or per label or region of the model. "
        "Default: lesion",
    )
    results.add_argument(
        "--rtstruct",
        action="store_true",
        help="write <case>_rtstruct.dcm, an RT Structure Set with the contours of every lesion",
    )


def wants_dicom_results(arguments: argparse.Namespace) -> bool:
    return arguments.dicom_seg or arguments.rtstruct


def dicom_results_of(arguments: argparse.Namespace) -> "list[Extra]":
    """Raises Fault where they are asked for, but cannot be had."""
    if arguments.segments and not arguments.dicom_seg:
        raise Fault("--segments requires --dicom-seg", remedy="Give both, or neither.")
    if not wants_dicom_results(arguments):
        return []
    if arguments.dicom is None:
        problem = f"{'--dicom-seg' if arguments.dicom_seg else '--rtstruct'} requires --dicom"
        raise Fault(problem, remedy="DICOM results lie on DICOM images: give the folder of a study with --dicom.")
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise Fault("highdicom is not installed", remedy="Run: pip install 'nnunet_seqdropout[dicom]'") from error
    from nnunet_seqdropout.prediction.dicom_results import DicomResults

    return [DicomResults((arguments.segments or "lesion") if arguments.dicom_seg else None, arguments.rtstruct)]
