"""A hospital's folder becomes, or joins, an nnU-Net raw data set."""

from collections.abc import Collection, Mapping
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.layouts import Layout
from dataset_conversion.outcomes import Outcome
from dataset_conversion.patients import Patient, find_patients
from dataset_conversion.preparation import Preparation
from dataset_conversion.quality import write_quality_page
from dataset_conversion.raw_dataset import RawDataset, write_raw_dataset
from dataset_conversion.sequences import channel_of


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
    same. dry_run: prints what was found and writes nothing.
    Raises Fault for a sequence that the layout does not have, and as ``find_patients`` and ``write_raw_dataset`` do.
    """
    channels = layout.channels if sequences is None else _limited(layout, sequences)
    patients = find_patients(source, layout, val=val, test=test)
    if dry_run:
        for case, patient in patients.items():
            print(_line(case, patient, layout))
        print(f"{len(patients)} cases of {len({p.person for p in patients.values()})} patients; nothing was written")
        return {}
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
    return outcomes


def _limited(layout: Layout, sequences: Collection[str]) -> tuple[str, ...]:
    chosen = {name: channel_of(name, layout.channels) for name in sequences}
    if unknown := [name for name, channel in chosen.items() if channel is None]:
        raise Fault(f"unknown sequence {', '.join(unknown)}", remedy=f"Choose among {', '.join(layout.channels)}.")
    return tuple(name for i, name in enumerate(layout.channels) if i in chosen.values())


def _line(case: str, patient: Patient, layout: Layout) -> str:
    present: Mapping[str, Path] = patient.images
    if patient.fault is not None:
        return f"{case:30s} {patient.split:5s} {patient.fault}"
    sequences = " ".join(name if name in present else f"({name} absent)" for name in layout.channels)
    return f"{case:30s} {patient.split:5s} {sequences} {'label' if patient.label else '(no label)'}"
