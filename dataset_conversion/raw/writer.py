"""Writes nnU-Net raw data sets: images, placeholders, labels, ``dataset.json``, splits and the manifest.

The outcome of each patient is recorded in ``.conversion/<case>.json``. Rerunning a killed conversion converts
the patients who have no record, or whose sources, settings or written files differ from it.
"""

import logging
from collections.abc import Container, Mapping
from dataclasses import asdict
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.disk import bytes_of, require_room
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.names import require_name
from dataset_conversion.files.staging import staged
from dataset_conversion.files.texts.json_files import read_json_if_there, write_json
from dataset_conversion.files.texts.manifest_json import CaseEntry, read_manifest_if_there
from dataset_conversion.files.texts.preparation_record import KEY as PREPARATION
from dataset_conversion.files.texts.preparation_record import PreparationRecord, WithPreparation
from dataset_conversion.outcomes import Outcome, map_cases, write_summary
from dataset_conversion.raw.dataset import FILE_ENDING, PICTURES, RECORDS, RawDataset, faces_folder
from dataset_conversion.raw.manifest import manifest_entry
from dataset_conversion.raw.patient_files import remove, save_picture, write_files
from dataset_conversion.raw.preparing.preparation import prepare_patient
from dataset_conversion.raw.preparing.prepared import Preparation, Prepared, Unregistered
from dataset_conversion.raw.records import NotTheSame, entry_if_whole, inputs_of, read_record, require_same, root_of
from dataset_conversion.raw.sources.patient import Patient
from dataset_conversion.raw.sources.pseudonymised import without_names_in
from dataset_conversion.raw.splits import declared_splits, sources_of, with_an_image_in_common

log = logging.getLogger(__name__)


def write_raw_dataset(
    dataset: RawDataset,
    patients: Mapping[str, Patient],
    preparation: Preparation | None = None,
    *,
    n_workers: int | None = 1,
) -> dict[str, Outcome]:
    """Adds the patients' files to the data set and describes the whole; a patient with a fault is left out.

    Training and validation patients go to ``imagesTr``/``labelsTr``, test patients to ``imagesTs``/``labelsTs``.
    ``splits_final.json`` declares what ``declared_splits`` says.
    Raises Fault where the data set has other channels, or has one of the patients in another split, or has no room.
    """
    preparation = preparation or Preparation()
    if strangers := set((preparation.label_mapping or {}).values()) - set(dataset.labels.values()):
        remedy = f"The data set's labels are {dict(dataset.labels)}."
        raise Fault(f"--map gives the value {min(strangers)}, which is not a label of the data set", remedy=remedy)
    manifest = patients_so_far(dataset, patients)
    require_room(dataset.folder, _bytes_needed(dataset, patients))

    def write_patient(case: str) -> CaseEntry:
        patient = patients[case]
        try:
            entry = _write_patient(dataset, case, patient, preparation)
        except Exception as error:
            if not patient.has_pseudonym:
                raise
            raise without_names_in(error, patient) from None
        # of a case that was kept, an earlier version may have taken a time point for a person; files may have come
        warnings = dict.fromkeys([*entry["warnings"], *patient.unused])
        return {**entry, "person": patient.person, "warnings": list(warnings)}

    entries: dict[str, CaseEntry]
    outcomes, entries = map_cases(patients, write_patient, doing="Converting", n_workers=n_workers)
    for case, outcome in outcomes.items():
        if outcome.status == "failed" and not (dataset.folder / RECORDS / f"{case}.json").is_file():
            manifest.pop(case, None)
    manifest = dict(sorted({**manifest, **entries}.items()))
    for case, fault in _in_two_splits(manifest, patients).items():
        remove(dataset, case)
        del manifest[case]
        outcomes[case] = Outcome("failed", fault.problem, fault.remedy)
        log.error("%s: %s", case, fault)
    in_split = {
        split: [case for case, patient in manifest.items() if patient["split"] == split] for split in ("train", "val")
    }
    splits = declared_splits(in_split, {case: patient["person"] for case, patient in manifest.items()})
    how = _preparation_record(dataset, preparation, trains="train" in {patients[case].split for case in entries})
    write_json(
        dataset.folder / "dataset.json",
        {
            "name": dataset.folder.name,
            "channel_names": {str(i): name for i, name in enumerate(dataset.channel_names)},
            "labels": dict(dataset.labels),
            "numTraining": sum(map(len, in_split.values())),
            "file_ending": FILE_ENDING,
            PREPARATION: how.as_json(),
        },
    )
    if splits:
        write_json(dataset.folder / "splits_final.json", splits)
    else:
        (dataset.folder / "splits_final.json").unlink(missing_ok=True)
    write_json(dataset.folder / "manifest.json", {"version": 1, "settings": dataset.settings, "patients": manifest})
    settings = {**dataset.settings, **asdict(preparation)}
    write_summary(dataset.folder, command="convert", settings=settings, outcomes=outcomes)
    return outcomes


def _preparation_record(dataset: RawDataset, preparation: Preparation, *, trains: bool) -> PreparationRecord:
    """How the training images were prepared; that of other patients only where there are none of them."""
    described = read_json_if_there(dataset.folder / "dataset.json", WithPreparation) or {}
    before = described.get("preparation")
    how = preparation.skull_strip or preparation.deface
    now = PreparationRecord(
        reference=dataset.reference,
        registered=dataset.registered or preparation.register == "auto",
        skull_stripped=True if preparation.skull_strip else dataset.skull_stripped,
        defaced=True if how else None,
        extractor=None if how is None or Path(how).is_dir() else how,
        storage_order=dataset.storage_order,
    )
    if before is not None and (differing := now.differences(before)):
        log.warning("these patients are prepared otherwise than those in the data set: %s", ", ".join(differing))
    return now if trains or before is None else before


def _bytes_needed(dataset: RawDataset, patients: Mapping[str, Patient]) -> int:
    """The sizes of the sources of those who are not converted yet; links take no room."""
    if dataset.link:
        return 0
    new = [patients[case] for case in patients if not (dataset.folder / RECORDS / f"{case}.json").is_file()]
    return bytes_of(file for patient in new for file in (*patient.images.values(), *patient.label))


def patients_so_far(dataset: RawDataset, patients: Mapping[str, Patient]) -> dict[str, CaseEntry]:
    """The manifest's patients, those included who were written by a conversion that was killed before its end.

    Raises Fault where these patients cannot join them: the data set has other channels or labels, or has one of the
    patients in another split.
    """
    file = dataset.folder / "manifest.json"
    manifest = read_manifest_if_there(dataset.folder)
    so_far = manifest["patients"]
    for case in so_far:
        require_name(case, what="the case", file=file)
    for record in sorted((dataset.folder / RECORDS).glob("*.json")):
        if (found := read_record(record)) is not None:
            so_far.setdefault(record.stem, found["entry"])
    # one in which every patient failed may be written anew
    if so_far and (settings := manifest["settings"] or dataset.settings) != dataset.settings:
        remedy = "Choose another data set number."
        raise Fault(f"the data set was written with other settings: {settings}", file=file, remedy=remedy)
    split_of_person = {entry["person"]: entry["split"] for entry in so_far.values()}
    for patient in patients.values():
        before = split_of_person.get(patient.person, patient.split)
        if before != patient.split and patient.fault is None:
            remedy = "A patient belongs to one split: remove one, or choose another data set number."
            problem = f"{patient.person} is a {before} patient in the data set, but a {patient.split} patient here"
            raise Fault(problem, remedy=remedy)
    return so_far


def _in_two_splits(manifest: Mapping[str, CaseEntry], patients: Container[str]) -> dict[str, Fault]:
    """Those of the patients who share an image with a case of another split: one person under two names."""
    faults = {}
    for pair in with_an_image_in_common({case: sources_of(entry) for case, entry in manifest.items()}):
        for case, other in (pair, pair[::-1]):
            if case in patients and manifest[case]["split"] == manifest[other]["split"]:
                log.warning("%s has the same image as %s: they may be one patient under two names", case, other)
            elif case in patients:
                problem = f"it has the same image as {other}, which is in another split"
                faults[case] = Fault(problem, remedy="A patient belongs to one split: keep one of the two.")
    return faults


def _write_patient(dataset: RawDataset, case: str, patient: Patient, preparation: Preparation) -> CaseEntry:
    """Writes the patient's files and returns the manifest's entry.

    Where the sources cannot be used the patient's files of an earlier run are removed; where the new ones cannot be
    written they stay.
    """
    try:
        before = require_same(dataset, case, patient)
        inputs = inputs_of(dataset, patient, preparation)
        if (entry := entry_if_whole(dataset, before, inputs)) is not None:
            # an earlier version may have taken a time point for a person
            return {**entry, "person": patient.person}
        prepared = _prepared(dataset, case, patient, preparation)
    except NotTheSame:
        raise
    except Unregistered as fault:
        remove(dataset, case)
        if preparation.deface is None:
            with staged(dataset.folder) as stage:
                save_picture(fault.picture, stage / PICTURES, f"{case}_{fault.name}")
        raise
    except Exception:
        remove(dataset, case)
        raise
    return _write(dataset, case, patient, prepared, inputs)


def _prepared(dataset: RawDataset, case: str, patient: Patient, preparation: Preparation) -> Prepared:
    prepared = prepare_patient(case, patient, preparation, order=dataset.order, storage_order=dataset.storage_order)
    if not prepared.series.keys() & set(dataset.channel_names):
        raise Fault("no usable sequence", remedy=f"Give at least one of {', '.join(dataset.channel_names)}.")
    return prepared


def _write(dataset: RawDataset, case: str, patient: Patient, prepared: Prepared, inputs: dict) -> CaseEntry:
    entry = manifest_entry(patient, prepared, channel_names=dataset.channel_names, source=dataset.source)
    with staged(dataset.folder) as stage:
        write_files(stage, dataset, case, patient, prepared)
        files = {file.relative_to(stage).as_posix(): sha256_of(file) for file in sorted(stage.rglob("*.nii.gz"))}
        # an earlier run may have had another split, or a label
        remove(dataset, case)
        if prepared.face is not None:
            with staged(faces_folder(dataset.folder)) as beside:
                save_picture(prepared.face, beside, case)
    # last, so that a patient with a record is whole
    record = {"root": root_of(dataset), "inputs": inputs, "files": files, "entry": entry}
    write_json(dataset.folder / RECORDS / f"{case}.json", record)
    return entry
