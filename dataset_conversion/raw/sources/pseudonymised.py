"""Gives patients of any layout pseudonyms, and keeps their names out of all that is written."""

import hmac
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.plurals import n_of
from dataset_conversion.pseudonyms import pseudonym
from dataset_conversion.raw.sources.patient import Patient

log = logging.getLogger(__name__)

_WHERE = "run convert --dry-run without --key"
_SHORT_TIME = re.compile(r"[A-Za-z]?\d{0,3}[A-Za-z]?")
"""Of a time point: too short for a date or a name."""


def under_pseudonyms(patients: Mapping[str, Patient], key: bytes) -> dict[str, Patient]:
    """The patients by the pseudonym of the person, with ``_`` and the time point where there are time points.

    A time point that may be a date or a name becomes six hexadecimal digits. What is wrong with the names of files is
    not said in their words. Raises Fault where two cases would have one id.
    """
    renamed: dict[str, Patient] = {}
    for case, patient in patients.items():
        person, name = pseudonym(patient.person, key), pseudonym_of(case, patient, key)
        if name in renamed:
            raise Fault(f"two cases would have the pseudonym {name}", remedy="Use another key.")
        fault = patient.fault
        if fault is not None:
            fault = Fault("its files, or their names, are at fault", remedy=f"Their names: {_WHERE}.")
        if patient.unused:
            log.warning("%s: not used: %s (%s)", name, n_of(len(patient.unused), "image"), _WHERE)
        renamed[name] = replace(patient, person=person, fault=fault, hidden={}, unused=(), has_pseudonym=True)
    return dict(sorted(renamed.items()))


def pseudonym_of(case: str, patient: Patient, key: bytes) -> str:
    """The id of a case under the pseudonym of its person."""
    time = case.removeprefix(patient.person).strip("_-")
    if not _SHORT_TIME.fullmatch(time):
        time = hmac.new(key, f"{patient.person} {time}".encode(), sha256).hexdigest()[:6]
    return "_".join(filter(None, (pseudonym(patient.person, key), time)))


def without_names_in(error: Exception, patient: Patient) -> Fault:
    """The same error, with no file of the source named."""
    if isinstance(error, Fault):
        return Fault(without_names(error.problem, patient), remedy=without_names(error.remedy, patient))
    remedy = "See that its files can be read and the disk has room."
    return Fault(without_names(str(error) or type(error).__name__, patient), remedy=remedy)


def without_names(text: str, patient: Patient) -> str:
    """A sentence about the patient in which no file of the source is named."""
    files = {str(file): f"the {name}" for name, file in patient.images.items()}
    files |= {str(file): "the label" for file in patient.label}
    # as a Fault or an OSError writes bytes that are no UTF-8
    files |= {file.encode("utf-8", "backslashreplace").decode("utf-8"): name for file, name in files.items()}
    # the longest first: a name may begin as another does
    for file in sorted(files, key=len, reverse=True):
        text = text.replace(file, files[file])
    for folder in sorted({str(Path(file).parent) for file in files}, key=len, reverse=True):
        text = text.replace(folder, "the patient's folder")
    return text
