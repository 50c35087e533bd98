"""Tells of an image whether its patient is known to be synthetic."""

from functools import cache
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.manifest_json import read_manifest_if_there
from dataset_conversion.raw.sources.patient import TRUTH


def lies_with_synthetic(file: Path) -> bool:
    """Whether the phantom's truth lies beside the image or its data set's manifest says so; links are followed."""
    folder = file.resolve().parent
    return (folder / TRUTH).is_file() or _says_synthetic(folder.parent)


@cache
def _says_synthetic(dataset: Path) -> bool:
    # a manifest has an entry for each case: it is read once, not for each of them
    try:
        return read_manifest_if_there(dataset)["settings"].get("synthetic", False)
    except Fault:
        # another tool's file of that name
        return False
