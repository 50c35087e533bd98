"""Converts a hospital's folder to an nnU-Net raw data set, or adds it to an existing one."""

from collections.abc import Collection, Mapping
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.json_files import read_json
from dataset_conversion.outcomes import Outcome
from dataset_conversion.quality.page import write_quality_page
from dataset_conversion.raw.layout import Layout
from dataset_conversion.raw.patients import Patient, find_patients
from dataset_conversion.raw.preparation import EMPTY_LABEL, Preparation
from dataset_conversion.raw.writer import RawDataset, write_raw_dataset
from dataset_conversion.sequences import require_channel


def convert(
    source: Path,
    folder: Path,
    layout: Layout,
    *,
    preparation: Preparation | None = None,
    val: Collection[str] = (),
    test: Collection[str] = (),
    sequences: Collection[str] | None = None,
    dry_run: bool = False,
    n_workers: int | None = 1,
) -> dict[str, Outcome]:
    """Adds the patients below ``source`` to the data set ``folder`` and prints how many have which sequences.

    sequences: only these channels (the paper's baseline is trained on those that Hospital B has); their files are
    linked, not copied, where the file system can. The reference series, on which the label is drawn, is used all the
    same. dry_run: prints what was found, writes nothing and returns who would fail by what is there.
    Raises Fault for a sequence that the layout does not have, where all labels for training are empty, and as
    ``find_patients`` and ``write_raw_dataset`` do.
    """
    channels = layout.channels if sequences is None else _limited(layout, sequences)
    patients = find_patients(source, layout, val=val, test=test)
    if dry_run:
        for case, patient in patients.items():
            print(_line(case, patient, layout))
        print(f"{len(patients)} cases of {len({p.person for p in patients.values()})} patients; nothing was written")
        faults = {case: patient.known_fault for case, patient in patients.items()}
        return {case: Outcome("failed", fault.problem, fault.remedy) for case, fault in faults.items() if fault}
    dataset = RawDataset(
        folder,
        source,
        channels,
        layout.labels,
        sorted(layout.channels, key=lambda name: name != layout.reference),
        link=sequences is not None,
        synthetic=any(patient.is_synthetic for patient in patients.values()),
    )
    outcomes = write_raw_dataset(dataset, patients, preparation, n_workers=n_workers)
    page = write_quality_page(folder, n_workers=n_workers)
    n_done = sum(outcome.status == "ok" for outcome in outcomes.values())
    print(f"{folder}: {n_done} of {len(outcomes)} cases; look at {page}")
    _require_a_lesion(folder)
    return outcomes


def _require_a_lesion(folder: Path) -> None:
    """Raises Fault where patients were converted to train on, and none of them has anything to learn."""
    entries = read_json(folder / "manifest.json", keys=("patients",))["patients"].values()
    is_empty = [EMPTY_LABEL in entry["warnings"] for entry in entries if entry["split"] != "test"]
    if is_empty and all(is_empty):
        problem = f"all {len(is_empty)} labels of the training patients are empty"
        remedy = "Do not plan or train; check that the right files were converted."
        raise Fault(problem, file=folder / "labelsTr", remedy=remedy)


def _limited(layout: Layout, sequences: Collection[str]) -> tuple[str, ...]:
    chosen = {require_channel(name, layout.channels) for name in sequences}
    return tuple(name for i, name in enumerate(layout.channels) if i in chosen)


def _line(case: str, patient: Patient, layout: Layout) -> str:
    present: Mapping[str, Path] = patient.images
    if patient.known_fault is not None:
        return f"{case:30s} {patient.split:5s} {patient.known_fault}"
    sequences = " ".join(name if name in present else f"({name} absent)" for name in layout.channels)
    return f"{case:30s} {patient.split:5s} {sequences} {'label' if patient.label else '(no label)'}"
