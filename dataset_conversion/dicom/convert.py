"""Converts DICOM files of many patients to ``<pseudonym>/<sequence>.nii.gz`` without identifying data."""

import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dataset_conversion.dicom.headers.slices import DicomSeries
from dataset_conversion.dicom.roles import assign, chosen_of
from dataset_conversion.dicom.rules import read_rules
from dataset_conversion.dicom.series import find_series
from dataset_conversion.dicom.table import unused
from dataset_conversion.dicom.volume import find_dcm2niix, require_sound, volume_of
from dataset_conversion.faults import Fault
from dataset_conversion.files.disk import bytes_of, require_room
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.images.image_io import read_image, write_image
from dataset_conversion.files.staging import staged
from dataset_conversion.files.texts.json_files import read_json_if_there, write_json
from dataset_conversion.outcomes import Outcome, for_each_case, write_summary
from dataset_conversion.pseudonyms import pseudonym, read_or_make_key
from dataset_conversion.sequences import ALIASES

log = logging.getLogger(__name__)

RECORD = "dicom.json"


@dataclass(frozen=True)
class Converted:
    """The images and the series of which they were made, by pseudonym and sequence, and what became of each patient."""

    images: dict[str, dict[str, Path]] = field(default_factory=dict)
    series: dict[str, dict[str, DicomSeries]] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)


def from_dicom(source: Path, work: Path, *, rules: Path | None = None, key_file: Path | None = None) -> Converted:
    """Converts every patient below ``source``.

    A patient converted before from the same files is skipped; one with a fault has no image in ``work``. Other files
    in a patient's folder, a label for instance, are left as they are. Without a key pseudonyms are of one run.
    Raises Fault where nothing can be done: no dcm2niix or pydicom, no DICOM, no rules, no key that will do.
    """
    require_room(work)
    find_dcm2niix()
    chosen_by = read_rules(rules)
    key = secrets.token_bytes() if key_file is None else read_or_make_key(key_file, away_from=work)
    patients = by_patient(find_series(source), lambda patient_id: pseudonym(patient_id, key))
    if strangers := chosen_by.decided.keys() - patients.keys():
        log.warning("the rules file has decisions for %s, but there is no such patient", ", ".join(sorted(strangers)))
    converted = Converted()
    unchanged = set()

    def convert(patient: str) -> None:
        folder = work / patient
        try:
            require_identified(patients[patient])
            assigned = assign(patients[patient], chosen_by, patient=patient)
            if beside := unused(assigned):
                log.info("%s: not used: %s", patient, "; ".join(beside))
            chosen = chosen_of(assigned, patient=patient)
            if is_converted(chosen, folder):
                unchanged.add(patient)
            else:
                convert_series(chosen, folder)
        except Exception as error:
            _remove_converted(folder)
            raise error if isinstance(error, Fault) else _without_names(error) from None
        converted.images[patient] = {role: image_file(folder, role) for role in chosen}
        converted.series[patient] = chosen

    outcomes = for_each_case(sorted(patients), convert, doing="Converting")
    outcomes |= {patient: Outcome("skipped") for patient in unchanged}
    write_summary(work, command="dicom", settings={"own_rules": rules is not None}, outcomes=outcomes)
    return replace(converted, outcomes=outcomes)


def by_patient(found: Iterable[DicomSeries], name: Callable[[str], str]) -> dict[str, list[DicomSeries]]:
    """The series of each patient, under the name that is made of the PatientID."""
    patients: dict[str, list[DicomSeries]] = defaultdict(list)
    for series in found:
        patients[name(series.patient)].append(series)
    return patients


def require_identified(series: Sequence[DicomSeries]) -> None:
    """Raises Fault where nobody can say whose the series are."""
    if not series[0].patient:
        raise Fault("these series have no PatientID", remedy="Set the PatientID of every patient.")


def convert_series(chosen: Mapping[str, DicomSeries], folder: Path) -> dict[str, Path]:
    """Writes ``<sequence>.nii.gz`` of each chosen series of a patient, all or none, in place of those there before.

    Raises Fault where a series is no whole volume, or dcm2niix does not make one of it that lies where it should.
    """
    converter = find_dcm2niix()
    for series in chosen.values():
        require_sound(series)
    require_room(folder, bytes_of(file for series in chosen.values() for file in series.files))
    with staged(folder) as stage:
        for role, series in chosen.items():
            log.info("%s: %s is %s", folder.name, role, series)
            write_image(volume_of(series, converter), image_file(stage, role))
        write_json(stage / RECORD, {"version": 1, "series": _fingerprints(chosen)})
        _remove_converted(folder)
    return {role: image_file(folder, role) for role in chosen}


def is_converted(chosen: Mapping[str, DicomSeries], folder: Path) -> bool:
    """Whether the images are there, made of these files, and can be read."""
    try:
        if (read_json_if_there(folder / RECORD, dict) or {}).get("series") != _fingerprints(chosen):
            return False
        there = [role for role in ALIASES if image_file(folder, role).is_file()]
        for role in there:
            read_image(image_file(folder, role))
    except Fault:
        return False
    return {*there} == chosen.keys()


def _without_names(error: Exception) -> Fault:
    """The kind of the error alone: its message may name a file of the source, and that the patient."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else f"unexpected {type(error).__name__}"
    remedy = "See that all files of this patient can be read and the disk has room; -v tells more."
    log.debug("%s", reason, exc_info=error)
    return Fault(f"it cannot be converted ({reason})", remedy=remedy)


def image_file(folder: Path, role: str) -> Path:
    return folder / f"{role}.nii.gz"


def _fingerprints(chosen: Mapping[str, DicomSeries]) -> dict[str, str]:
    """Another one if a file has come, gone or changed."""
    return {role: _fingerprint(series) for role, series in chosen.items()}


def _fingerprint(series: DicomSeries) -> str:
    files = sorted({(str(one.file.resolve()), one.modified_ns) for one in series.slices})
    return sha256_of(repr((series.uid, files)))


def _remove_converted(folder: Path) -> None:
    for file in (folder / RECORD, *(image_file(folder, role) for role in ALIASES)):
        file.unlink(missing_ok=True)
