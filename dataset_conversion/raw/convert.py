"""Converts a hospital's folder to an nnU-Net raw data set, or adds it to an existing one."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.headers import stored_geometry
from dataset_conversion.files.images.storage_order import storage_order
from dataset_conversion.files.texts.manifest_json import pattern_of, read_folds, read_manifest
from dataset_conversion.outcomes import Outcome
from dataset_conversion.plurals import all_are
from dataset_conversion.quality.page import write_quality_page
from dataset_conversion.raw.availability import nowhere_note
from dataset_conversion.raw.dataset import FILE_ENDING, RawDataset
from dataset_conversion.raw.layout import Layout
from dataset_conversion.raw.preparing.preparation import EMPTY_LABEL
from dataset_conversion.raw.preparing.prepared import Preparation
from dataset_conversion.raw.sources.patient import Patient
from dataset_conversion.raw.splits import folds_note
from dataset_conversion.raw.writer import write_raw_dataset
from dataset_conversion.sequences import require_channel


def dataset_of(
    layout: Layout,
    source: Path,
    folder: Path,
    patients: Mapping[str, Patient],
    *,
    sequences: Collection[str] | None = None,
) -> RawDataset:
    """The data set that the patients found below ``source`` become in ``folder``.

    sequences: only these channels (the paper's baseline is trained on those that Hospital B has); their files are
    linked, not copied, where the file system can. The reference series, on which the label is drawn, is used all the
    same. Raises Fault for a sequence that the layout does not have.
    """
    return RawDataset(
        folder,
        source,
        layout.channels if sequences is None else _limited(layout, sequences),
        layout.labels,
        layout.order,
        link=sequences is not None and not any(patient.has_pseudonym for patient in patients.values()),
        synthetic=any(patient.is_synthetic for patient in patients.values()),
        storage_order=_storage_order(folder, patients, layout.order),
        reference=layout.reference,
        registered=layout.registered,
        skull_stripped=layout.skull_stripped,
    )


def _storage_order(folder: Path, patients: Mapping[str, Patient], order: Sequence[str]) -> str | None:
    """That of the images in the folder; in a new data set that of most reference series, so that few are rewritten."""
    there = (file for subset in ("Tr", "Ts") for file in sorted((folder / f"images{subset}").glob(f"*{FILE_ENDING}")))
    for found in _storage_orders(there):
        return found
    series = ([patient.images[name] for name in order if name in patient.images] for patient in patients.values())
    orders = Counter(_storage_orders(files[0] for files in series if files))
    return orders.most_common(1)[0][0] if orders else None


def _storage_orders(files: Iterable[Path]) -> Iterator[str]:
    """Of those whose header can be read; what is wrong with the others is said when they are."""
    for file in files:
        try:
            yield storage_order(stored_geometry(file))
        except (Fault, RuntimeError):  # RuntimeError of what is no volume
            continue


def convert(
    dataset: RawDataset,
    patients: Mapping[str, Patient],
    preparation: Preparation | None = None,
    *,
    n_workers: int | None = 1,
) -> dict[str, Outcome]:
    """Adds the patients to the data set and writes its quality page. Raises Fault as ``write_raw_dataset`` does."""
    outcomes = write_raw_dataset(dataset, patients, preparation, n_workers=n_workers)
    write_quality_page(dataset.folder, n_workers=n_workers)
    return outcomes


def training_notes(dataset: RawDataset) -> list[tuple[str, str]]:
    """``folds_note`` and ``nowhere_note`` of a data set that was written."""
    entries = read_manifest(dataset.folder)["patients"].values()
    training = [pattern_of(entry) for entry in entries if entry["split"] != "test"]
    notes = folds_note(len(training), read_folds(dataset.folder)), nowhere_note(dataset.channel_names, training)
    return [note for note in notes if note]


def require_a_lesion(folder: Path) -> None:
    """Raises Fault where patients were converted to train on, and none of them has anything to learn."""
    entries = read_manifest(folder)["patients"].values()
    is_empty = [EMPTY_LABEL in entry["warnings"] for entry in entries if entry["split"] != "test"]
    if is_empty and all(is_empty):
        problem = f"{all_are(len(is_empty), 'label')} empty"
        remedy = "Do not plan or train; check that the right files were converted."
        raise Fault(problem, file=folder / "labelsTr", remedy=remedy)


def _limited(layout: Layout, sequences: Collection[str]) -> tuple[str, ...]:
    """The channels of the layout that these names mean, in its order. Raises Fault for an unknown or ambiguous name."""
    chosen = {require_channel(name, layout.channels) for name in sequences}
    return tuple(name for i, name in enumerate(layout.channels) if i in chosen)
