"""The one writer of nnU-Net raw data sets: images, placeholders, labels, ``dataset.json``, splits and the manifest.

What a patient became is recorded with his files (``.conversion/<case>.json``). A conversion that was killed goes on
with the patients who have no record, or whose sources, settings or written files differ from it.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.images import staged, write_image
from dataset_conversion.outcomes import Outcome, map_cases, write_json, write_summary
from dataset_conversion.patients import Patient
from dataset_conversion.placeholders import placeholder
from dataset_conversion.preparation import Preparation, Prepared, Series, Unregistered, prepare

log = logging.getLogger(__name__)

FILE_ENDING = ".nii.gz"
RECORDS, PICTURES = ".conversion", "qc"


@dataclass(frozen=True)
class RawDataset:
    """What is the same for all patients.

    labels: name -> value, consecutive, background 0, as nnU-Net has it. reference: the series to which the others are
    registered. link: an image that stays as it is becomes a link to the source's file in place of a copy. synthetic:
    the patients are made up, which every report says.
    """

    folder: Path
    source: Path
    channel_names: Sequence[str]
    labels: Mapping[str, int]
    reference: str | None = None
    link: bool = False
    synthetic: bool = False

    @property
    def order(self) -> list[str]:
        """The sequences, the reference series first."""
        return sorted(self.channel_names, key=lambda name: name != self.reference)

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
    Where there are validation patients, ``splits_final.json`` declares the one split.
    Raises Fault where the data set has other channels, or has one of the patients in another split.
    """
    preparation = preparation or Preparation()
    manifest = _patients_so_far(dataset, patients)

    def write_patient(case: str) -> dict:
        return _write_patient(dataset, case, patients[case], preparation)

    outcomes, entries = map_cases(patients, write_patient, doing="Converting", n_workers=n_workers)
    for case, outcome in outcomes.items():
        if outcome.status == "failed":
            manifest.pop(case, None)
    manifest = dict(sorted({**manifest, **entries}.items()))
    in_split = {
        split: [case for case, patient in manifest.items() if patient["split"] == split] for split in ("train", "val")
    }
    write_json(
        dataset.folder / "dataset.json",
        {
            "name": dataset.folder.name,
            "channel_names": {str(i): name for i, name in enumerate(dataset.channel_names)},
            "labels": dict(dataset.labels),
            "numTraining": sum(map(len, in_split.values())),
            "file_ending": FILE_ENDING,
        },
    )
    if in_split["val"]:
        write_json(dataset.folder / "splits_final.json", [in_split])
    write_json(dataset.folder / "manifest.json", {"version": 1, "settings": dataset.settings, "patients": manifest})
    settings = {**dataset.settings, **asdict(preparation)}
    write_summary(dataset.folder, command="convert", settings=settings, outcomes=outcomes)
    return outcomes


def _patients_so_far(dataset: RawDataset, patients: Mapping[str, Patient]) -> dict[str, dict]:
    """The manifest's patients, those included who were written by a conversion that was killed before its end."""
    file = dataset.folder / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"patients": {}}
    if manifest.get("settings", dataset.settings) != dataset.settings:
        remedy = "Choose another data set number."
        raise Fault(f"the data set was written with {manifest['settings']}", file=file, remedy=remedy)
    so_far: dict[str, dict] = dict(manifest["patients"])
    for record in sorted((dataset.folder / RECORDS).glob("*.json")):
        so_far.setdefault(record.stem, json.loads(record.read_text(encoding="utf-8"))["entry"])
    for case, patient in patients.items():
        before = so_far.get(case, {}).get("split", patient.split)
        if before != patient.split:
            remedy = "A patient belongs to one split: remove one, or choose another data set number."
            raise Fault(f"{case} is a {before} patient there, a {patient.split} patient here", remedy=remedy)
    return so_far


def _write_patient(dataset: RawDataset, case: str, patient: Patient, preparation: Preparation) -> dict:
    """Returns the manifest's entry. What a patient who now fails once had is removed, as is a part of him."""
    if not patient.label and patient.split != "test":
        _remove(dataset, case)
        raise Fault("a training patient without a label", remedy="Add the label or name the patient under --test.")
    inputs = _inputs(dataset, patient, preparation)
    record = dataset.folder / RECORDS / f"{case}.json"
    if (entry := _entry_if_whole(dataset, record, inputs)) is not None:
        return entry
    _remove(dataset, case)
    try:
        prepared = prepare(case, patient, preparation, order=dataset.order)
    except Unregistered as fault:
        with staged(dataset.folder) as stage:
            _save(fault.picture, stage, f"{case}_{fault.name}")
        raise
    entry = _entry(dataset, patient, prepared)
    with staged(dataset.folder) as stage:
        _write_files(stage, dataset, case, patient, prepared)
        files = {file.relative_to(stage).as_posix(): _sha256(file) for file in sorted(stage.rglob("*.nii.gz"))}
    # last, so that a patient with a record is whole
    write_json(record, {"inputs": inputs, "files": files, "entry": entry})
    return entry


def _inputs(dataset: RawDataset, patient: Patient, preparation: Preparation) -> dict:
    """All that the written files depend on; a source is known by its content."""
    return {
        "split": patient.split,
        "order": dataset.order,
        "channels": list(dataset.channel_names),
        "images": {name: _sha256(patient.images[name]) for name in dataset.order if name in patient.images},
        "label": [_sha256(file) for file in patient.label],
        "label_mapping": {str(value): label for value, label in (patient.label_mapping or {}).items()},
        "preparation": json.loads(json.dumps(asdict(preparation))),
    }


def _entry_if_whole(dataset: RawDataset, record: Path, inputs: dict) -> dict | None:
    if not record.is_file():
        return None
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        whole = content["inputs"] == inputs and all(
            _sha256(dataset.folder / name) == sha256 for name, sha256 in content["files"].items()
        )
    except (OSError, ValueError, KeyError):
        return None
    return content["entry"] if whole else None


def _remove(dataset: RawDataset, case: str) -> None:
    (dataset.folder / RECORDS / f"{case}.json").unlink(missing_ok=True)
    for subset in ("Tr", "Ts"):
        (dataset.folder / f"labels{subset}" / f"{case}{FILE_ENDING}").unlink(missing_ok=True)
        for channel in range(len(dataset.channel_names)):
            (dataset.folder / f"images{subset}" / f"{case}_{channel:04d}{FILE_ENDING}").unlink(missing_ok=True)
    for name in (*dataset.channel_names, "deface"):
        (dataset.folder / PICTURES / f"{case}_{name}.png").unlink(missing_ok=True)


def _write_files(stage: Path, dataset: RawDataset, case: str, patient: Patient, prepared: Prepared) -> None:
    subset = "Ts" if patient.split == "test" else "Tr"
    (stage / f"images{subset}").mkdir()
    reference = next(iter(prepared.series.values())).image
    for channel, name in enumerate(dataset.channel_names):
        file = stage / f"images{subset}" / f"{case}_{channel:04d}{FILE_ENDING}"
        if name in prepared.series:
            _write_series(prepared.series[name], file, link=dataset.link)
        else:
            write_image(placeholder(reference), file)
    if prepared.label is not None:
        (stage / f"labels{subset}").mkdir()
        write_image(prepared.label, stage / f"labels{subset}" / f"{case}{FILE_ENDING}")
    for name, picture in prepared.pictures.items():
        _save(picture, stage, f"{case}_{name}")


def _write_series(series: Series, target: Path, *, link: bool) -> None:
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


def _save(picture: "object", stage: Path, name: str) -> None:
    (stage / PICTURES).mkdir(exist_ok=True)
    picture.savefig(stage / PICTURES / f"{name}.png", dpi=80)  # type: ignore[attr-defined]


def _entry(dataset: RawDataset, patient: Patient, prepared: Prepared) -> dict:
    sequences: dict[str, dict] = {}
    for name in dataset.channel_names:
        if (series := prepared.series.get(name)) is None:
            sequences[name] = {"present": False}
            continue
        sequences[name] = {"present": True, "source": _below(dataset, series.file), "sha256": series.sha256}
        if (found := series.registration) is not None:
            sequences[name] |= {
                "transform": found.matrix,
                "similarity_before": round(found.similarity_before, 4),
                "similarity_after": round(found.similarity_after, 4),
                "translation_mm": round(found.translation_mm, 2),
                "rotation_deg": round(found.rotation_deg, 2),
            }
    label = None
    if patient.label:
        label = {"source": " ".join(_below(dataset, file) for file in patient.label), "sha256": prepared.label_sha256}
    return {
        "split": patient.split,
        "sequences": sequences,
        "label": label,
        "warnings": [*prepared.warnings, *(["synthetic patient"] if patient.is_synthetic else [])],
    }


def _below(dataset: RawDataset, file: Path) -> str:
    return str(file.relative_to(dataset.source))


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
