"""Writes nnU-Net raw data sets: images, placeholders, labels, ``dataset.json``, splits and the manifest.

The outcome of each patient is recorded in ``.conversion/<case>.json``. Rerunning a killed conversion converts
the patients who have no record, or whose sources, settings or written files differ from it.
"""

import json
import logging
import os
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import SimpleITK as sitk
from matplotlib.figure import Figure

from dataset_conversion.faults import Fault
from dataset_conversion.files.disk import bytes_of, require_room
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.images import write_image
from dataset_conversion.files.json_files import read_json, read_json_if_there, write_json
from dataset_conversion.files.manifest_json import CaseEntry, ConversionRecord, read_manifest_if_there
from dataset_conversion.files.names import require_name
from dataset_conversion.files.preparation_record import KEY as PREPARATION
from dataset_conversion.files.preparation_record import PreparationRecord, WithPreparation
from dataset_conversion.files.staging import staged
from dataset_conversion.outcomes import Outcome, map_cases, write_summary
from dataset_conversion.raw.manifest import manifest_entry
from dataset_conversion.raw.patients import Patient
from dataset_conversion.raw.placeholders import placeholder
from dataset_conversion.raw.preparation import Preparation, Prepared, PreparedSeries, Unregistered, prepare_patient
from dataset_conversion.raw.pseudonymised import without_names_in
from dataset_conversion.raw.splits import declared_splits, sources_of, with_an_image_in_common

log = logging.getLogger(__name__)

FILE_ENDING = ".nii.gz"
RECORDS, PICTURES = ".conversion", "qc"


@dataclass(frozen=True)
class RawDataset:
    """The settings of a data set that are the same for all patients.

    labels: name -> value, consecutive, background 0, as nnU-Net has it. order: the sequences in which patients are
    prepared, the reference series first; those that are no channel are used for registration only. link: an image that
    stays as it is becomes a link to the source's file in place of a copy. synthetic: the patients are made up, which
    every report says. storage_order: that of the axes of all images, such as LPS; None: that of the first. reference,
    registered, skull_stripped: what the layout says of the sources.
    """

    folder: Path
    source: Path
    channel_names: Sequence[str]
    labels: Mapping[str, int]
    order: Sequence[str]
    link: bool = False
    synthetic: bool = False
    storage_order: str | None = None
    reference: str | None = None
    registered: bool = False
    skull_stripped: bool | None = None

    @property
    def settings(self) -> dict[str, object]:
        settings: dict[str, object] = {"channel_names": list(self.channel_names), "labels": dict(self.labels)}
        return {**settings, "synthetic": True} if self.synthetic else settings


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
    manifest = _patients_so_far(dataset, patients)
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
        _remove(dataset, case)
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


def _patients_so_far(dataset: RawDataset, patients: Mapping[str, Patient]) -> dict[str, CaseEntry]:
    """The manifest's patients, those included who were written by a conversion that was killed before its end."""
    file = dataset.folder / "manifest.json"
    manifest = read_manifest_if_there(dataset.folder)
    if (settings := manifest["settings"] or dataset.settings) != dataset.settings:
        remedy = "Choose another data set number."
        raise Fault(f"the data set was written with other settings: {settings}", file=file, remedy=remedy)
    so_far = manifest["patients"]
    for case in so_far:
        require_name(case, what="the case", file=file)
    for record in sorted((dataset.folder / RECORDS).glob("*.json")):
        if (found := _read_record(record)) is not None:
            so_far.setdefault(record.stem, found["entry"])
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
        before = _require_same(dataset, case, patient)
        inputs = _inputs(dataset, patient, preparation)
        if (entry := _entry_if_whole(dataset, before, inputs)) is not None:
            # an earlier version may have taken a time point for a person
            return {**entry, "person": patient.person}
        prepared = _prepared(dataset, case, patient, preparation)
    except NotTheSame:
        raise
    except Unregistered as fault:
        _remove(dataset, case)
        if preparation.deface is None:
            with staged(dataset.folder) as stage:
                _save(fault.picture, stage / PICTURES, f"{case}_{fault.name}")
        raise
    except Exception:
        _remove(dataset, case)
        raise
    return _write(dataset, case, patient, prepared, inputs)


class NotTheSame(Fault):
    """Another source has a case of this id; the one that is there stays."""


def _require_same(dataset: RawDataset, case: str, patient: Patient) -> ConversionRecord | None:
    """What was recorded of the case. Raises Fault where its name is taken, or its files cannot be used."""
    before = _read_record(dataset.folder / RECORDS / f"{case}.json")
    if before and before["root"] != _root(dataset) and before["inputs"]["images"] != _sources(dataset, patient):
        remedy = "Give every patient a unique id, or remove the other patient from the data set."
        raise NotTheSame("the data set has a case of this name from another folder", remedy=remedy)
    if (fault := patient.known_fault) is not None:
        raise fault
    return before


def _root(dataset: RawDataset) -> str:
    return sha256_of(str(dataset.source.resolve()))


def _prepared(dataset: RawDataset, case: str, patient: Patient, preparation: Preparation) -> Prepared:
    prepared = prepare_patient(case, patient, preparation, order=dataset.order, storage_order=dataset.storage_order)
    if not prepared.series.keys() & set(dataset.channel_names):
        raise Fault("no usable sequence", remedy=f"Give at least one of {', '.join(dataset.channel_names)}.")
    return prepared


def _write(dataset: RawDataset, case: str, patient: Patient, prepared: Prepared, inputs: dict) -> CaseEntry:
    entry = manifest_entry(patient, prepared, channel_names=dataset.channel_names, source=dataset.source)
    with staged(dataset.folder) as stage:
        _write_files(stage, dataset, case, patient, prepared)
        files = {file.relative_to(stage).as_posix(): sha256_of(file) for file in sorted(stage.rglob("*.nii.gz"))}
        # an earlier run may have had another split, or a label
        _remove(dataset, case)
        if prepared.face is not None:
            with staged(faces_folder(dataset.folder)) as beside:
                _save(prepared.face, beside, case)
    # last, so that a patient with a record is whole
    record = {"root": _root(dataset), "inputs": inputs, "files": files, "entry": entry}
    write_json(dataset.folder / RECORDS / f"{case}.json", record)
    return entry


def _read_record(file: Path) -> ConversionRecord | None:
    """What was recorded of a case; None where there is no record, or none that can be read."""
    try:
        return read_json(file, ConversionRecord)
    except Fault:
        return None


def _sources(dataset: RawDataset, patient: Patient) -> dict[str, str]:
    return {name: sha256_of(patient.images[name]) for name in dataset.order if name in patient.images}


def _inputs(dataset: RawDataset, patient: Patient, preparation: Preparation) -> dict:
    """All that the written files depend on; a source is known by its content."""
    return {
        "split": patient.split,
        "order": list(dataset.order),
        "channels": list(dataset.channel_names),
        "images": _sources(dataset, patient),
        "label": [sha256_of(file) for file in patient.label],
        "label_mapping": {str(value): label for value, label in (patient.label_mapping or {}).items()},
        "preparation": json.loads(json.dumps(asdict(preparation))),
    }


def _entry_if_whole(dataset: RawDataset, record: ConversionRecord | None, inputs: dict) -> CaseEntry | None:
    if record is None or record["inputs"] != inputs:
        return None
    try:
        unchanged = all(sha256_of(dataset.folder / name) == sha256 for name, sha256 in record["files"].items())
    except OSError:
        return None
    return record["entry"] if unchanged else None


def _remove(dataset: RawDataset, case: str) -> None:
    (dataset.folder / RECORDS / f"{case}.json").unlink(missing_ok=True)
    for subset in ("Tr", "Ts"):
        (dataset.folder / f"labels{subset}" / f"{case}{FILE_ENDING}").unlink(missing_ok=True)
        for channel in range(len(dataset.channel_names)):
            (dataset.folder / f"images{subset}" / f"{case}_{channel:04d}{FILE_ENDING}").unlink(missing_ok=True)
    for name in dataset.order:
        (dataset.folder / PICTURES / f"{case}_{name}.png").unlink(missing_ok=True)
    (faces_folder(dataset.folder) / f"{case}.png").unlink(missing_ok=True)


def faces_folder(dataset: Path) -> Path:
    """Beside the data set, for the pictures of faces before they were removed."""
    return dataset.with_name(f"faces_{dataset.name}")


def _write_files(stage: Path, dataset: RawDataset, case: str, patient: Patient, prepared: Prepared) -> None:
    subset = "Ts" if patient.split == "test" else "Tr"
    (stage / f"images{subset}").mkdir()
    reference = next(iter(prepared.series.values())).image
    for channel, name in enumerate(dataset.channel_names):
        file = stage / f"images{subset}" / f"{case}_{channel:04d}{FILE_ENDING}"
        if name in prepared.series:
            if patient.has_pseudonym:
                write_image(_bare(prepared.series[name].image), file)
            else:
                _write_series(prepared.series[name], file, link=dataset.link)
        else:
            write_image(placeholder(reference), file)
    if prepared.label is not None:
        (stage / f"labels{subset}").mkdir()
        write_image(prepared.label, stage / f"labels{subset}" / f"{case}{FILE_ENDING}")
    for name, draw in prepared.pictures.items():
        _save(draw(), stage / PICTURES, f"{case}_{name}")


def _bare(image: sitk.Image) -> sitk.Image:
    """Voxels and geometry alone: a header may name the patient in its description."""
    bare = sitk.Image(image)
    for key in bare.GetMetaDataKeys():
        bare.EraseMetaData(key)
    return bare


def _write_series(series: PreparedSeries, target: Path, *, link: bool) -> None:
    """What is unchanged keeps its bytes, as a copy, or as a hard link if that is asked for and the file system can."""
    if series.original is None or not series.file.name.endswith(FILE_ENDING):
        write_image(series.image, target)
        return
    if link:
        try:
            os.link(series.file.resolve(), target)
        except OSError:
            log.warning("%s cannot be linked; copied", series.file)
        else:
            return
    target.write_bytes(series.original)


def _save(picture: Figure, folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    picture.savefig(folder / f"{name}.png", dpi=80)
