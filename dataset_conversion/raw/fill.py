"""Adds placeholders for absent sequences to nnU-Net inputs, so that stock ``nnUNetv2_predict`` accepts them."""

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.disk import bytes_of, require_room
from dataset_conversion.files.images.grids import has_geometry_of
from dataset_conversion.files.images.headers import stored_geometry
from dataset_conversion.files.images.image_io import write_image
from dataset_conversion.files.staging import staged
from dataset_conversion.files.texts.json_files import write_json
from dataset_conversion.outcomes import Outcome, for_each_case, write_summary
from dataset_conversion.raw.cases import find_cases
from dataset_conversion.raw.preparing.placeholders import log_missing, placeholder, usable_images
from dataset_conversion.sequences import Pattern

log = logging.getLogger(__name__)


def fill(
    source: Path,
    target: Path,
    *,
    channel_names: Sequence[str],
    file_ending: str,
    factor: Callable[[int, int], float],
    trust_geometry: bool = False,
) -> dict[str, Outcome]:
    """Copies the cases of ``source`` to ``target`` and adds exact zeros for the channels that are absent.

    Beside each case stands ``<case>.json`` with its availability pattern and the factor by which the model multiplies
    the sequences present: ``factor(n_present, n_sequences)``. The whole is summed up in ``summary.json``. A case whose
    images cannot be used has no file in ``target``. trust_geometry: images of one size get the geometry of the case's
    first. An image that gets another geometry is written anew, the others are copied.
    Raises Fault where ``source`` has no image or is ``target``, or ``target`` has no room.
    """
    if source.resolve() == target.resolve():
        raise Fault(f"{source} is input and output", remedy="Give another output folder.")
    cases = find_cases(source, channel_names=channel_names, file_ending=file_ending)
    new = [
        file
        for case, found in cases.items()
        for channel, file in found.by_channel.items()
        if not (target / f"{case}_{channel:04d}{file_ending}").is_file()
    ]
    require_room(target, bytes_of(new))

    def images_of(case: str) -> dict[int, sitk.Image]:
        if faults := cases[case].faults:
            raise Fault("; ".join(fault.problem for fault in faults), remedy=faults[0].remedy)
        return usable_images(cases[case].by_channel, trust_geometry=trust_geometry).by_channel

    def remove(case: str) -> None:
        for channel in range(len(channel_names)):
            (target / f"{case}_{channel:04d}{file_ending}").unlink(missing_ok=True)
        (target / f"{case}.json").unlink(missing_ok=True)

    def fill_case(case: str) -> None:
        try:
            usable = images_of(case)
        except (Fault, OSError):
            remove(case)
            raise
        with staged(target) as stage:
            for channel in range(len(channel_names)):
                filled = stage / f"{case}_{channel:04d}{file_ending}"
                if channel not in usable:
                    write_image(placeholder(next(iter(usable.values()))), filled)
                elif has_geometry_of(usable[channel], stored_geometry(cases[case].by_channel[channel])):
                    shutil.copyfile(cases[case].by_channel[channel], filled)
                else:
                    write_image(usable[channel], filled)
            present = [channel in usable for channel in range(len(channel_names))]
            write_json(
                stage / f"{case}.json", _record(case, present, channel_names, factor(sum(present), len(present)))
            )

    outcomes = for_each_case(cases, fill_case, doing="Filling")
    settings = {
        "channel_names": list(channel_names),
        "file_ending": file_ending,
        "trust_geometry": trust_geometry,
    }
    write_summary(target, command="fill", settings=settings, outcomes=outcomes)
    return outcomes


def _record(case: str, present: Sequence[bool], channel_names: Sequence[str], factor: float) -> dict[str, object]:
    """What stands beside the case; what is absent is logged."""
    log_missing(case, present, channel_names, factor=factor)
    absent = [name for name, there in zip(channel_names, present, strict=True) if not there]
    return {"case": case, "pattern": str(Pattern.of(present, channel_names)), "absent": absent, "factor": factor}
