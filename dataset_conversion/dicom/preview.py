"""Says what ``from_dicom`` would do with each patient, and writes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from dataset_conversion.dicom.convert import by_patient, require_identified
from dataset_conversion.dicom.roles import assign
from dataset_conversion.dicom.rules import read_rules
from dataset_conversion.dicom.series import find_series
from dataset_conversion.dicom.table import faults_of, lines_of
from dataset_conversion.faults import Fault
from dataset_conversion.pseudonyms import pseudonym, read_key


@dataclass(frozen=True)
class Preview:
    """table: lines. faults: why the patient would not be converted, as far as headers tell."""

    patient: str
    table: list[str]
    faults: list[Fault]


def preview(source: Path, *, rules: Path | None = None, key_file: Path | None = None) -> Iterator[Preview]:
    """Patients have their pseudonyms if there is a key, else numbers: for the decisions of a rules file make one first.

    Raises Fault where nothing can be said: no pydicom, no DICOM, no rules, no key that will do.
    """
    chosen_by = read_rules(rules)
    if key_file is not None and key_file.exists():
        key = read_key(key_file)
        patients = by_patient(find_series(source), lambda patient_id: pseudonym(patient_id, key))
    else:
        numbers = count(1)
        numbered = by_patient(find_series(source), str)
        patients = {f"patient {next(numbers)}": series for _, series in sorted(numbered.items())}
    for patient, found in sorted(patients.items()):
        try:
            assigned = assign(found, chosen_by, patient=patient)
            require_identified(found)
        except Fault as fault:
            yield Preview(patient, [], [fault])
        else:
            yield Preview(patient, lines_of(assigned), list(faults_of(assigned, patient=patient)))
