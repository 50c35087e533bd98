"""Copies patient and study from a file of the source, or puts a pseudonym and keyed UIDs in their place."""

import hmac
import re
from hashlib import sha256

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from dataset_conversion.dicom.headers.frames import text
from dataset_conversion.dicom.headers.header_file import without_quotations
from dataset_conversion.dicom.results.source import Source
from dataset_conversion.files.hashing import sha256_of

REQUIRED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator"),
)
"""Attributes that every result has, if only empty."""

OPTIONAL = ("IssuerOfPatientID", "PatientAge", "StudyDescription")

FORMS = {
    "PatientSex": r"[MFO]",
    "PatientAge": r"\d{3}[DWMY]",
    "PatientBirthDate": r"\d{8}",
    "StudyDate": r"\d{8}",
    "StudyTime": r"\d{2,6}(\.\d{1,6})?",
}
"""A value of another form, which readers of the result might refuse, counts as absent."""

NO_DAY, NO_TIME = "19000101", "000000"
"""Where the standard requires a date and the patient has a pseudonym."""

METHOD = "Pseudonym, UIDs by keyed hash; no dates, no source instances"


def identity_of(source: Source) -> Dataset:
    """Patient, study and frame of reference of all results on the source."""
    identity = _pseudonymous(source) if source.key else _copied(source)
    identity.SpecificCharacterSet = "ISO_IR 192"
    return identity


def fingerprint_of(source: Source) -> str:
    """Another one if the patient, the study or the instances that results name are others."""
    instances = [] if source.key else [(one.sop_class, one.sop_uid, one.frame) for one in source.planes]
    return sha256_of(repr((identity_of(source).to_json_dict(), instances)))


def undate(result: Dataset) -> None:
    """Takes the dates away that tell when the result was made: on the day of the examination, as a rule."""
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime"):
        result.pop(keyword, None)
    for equipment in result.get("ContributingEquipmentSequence", ()):
        equipment.pop("ContributionDateTime", None)
    if "StructureSetDate" in result:
        result.StructureSetDate = result.StructureSetTime = ""
    if "ContentDate" in result:
        result.ContentDate, result.ContentTime = NO_DAY, NO_TIME


def _copied(source: Source) -> Dataset:
    identity = Dataset()
    with without_quotations():
        header = dcmread(source.planes[0].file, stop_before_pixels=True, force=True)
        for keyword in (*REQUIRED, *OPTIONAL):
            value = text(header, keyword)
            fits = re.fullmatch(FORMS.get(keyword, ".*"), value, re.ASCII | re.DOTALL)
            if (fits and value) or keyword in REQUIRED:
                setattr(identity, keyword, value if fits else "")
    identity.StudyInstanceUID = source.series.study_uid
    identity.SeriesInstanceUID = source.series.uid
    identity.FrameOfReferenceUID = source.series.frame_of_reference
    return identity


def _pseudonymous(source: Source) -> Dataset:
    """One source has the same UIDs in all results under one key; nobody without the key gets from them to its own."""
    identity = Dataset()
    for keyword in REQUIRED:
        setattr(identity, keyword, "")
    identity.PatientID = identity.PatientName = source.pseudonym
    identity.PatientIdentityRemoved, identity.DeidentificationMethod = "YES", METHOD
    series = source.series
    identity.StudyInstanceUID = _keyed("study", series.study_uid or series.uid, source.key)
    identity.SeriesInstanceUID = _keyed("series", series.uid, source.key)
    identity.FrameOfReferenceUID = _keyed("frame of reference", series.frame_of_reference or series.uid, source.key)
    return identity


def _keyed(what: str, uid: str, key: bytes) -> UID:
    """A UID derived from a UUID (PS3.5, B.2), here of 128 bits of a keyed hash."""
    digest = hmac.new(key, f"{what} {uid}".encode(), sha256).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")
