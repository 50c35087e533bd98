"""Creates the data sets of a study, one per choice of sequences, as links to one converted data set."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.dataset_json import read_dataset_json, stored_names
from dataset_conversion.files.texts.json_files import read_json, write_json
from nnunet_seqdropout.study.cohort import Cohort


def link_dataset(cohort: Cohort, sequences: Sequence[str], folder: Path) -> None:
    """A raw data set of the training patients with these sequences; those who have none of them are left out."""
    cases = [case for case in cohort.training if set(cohort.present[case]) & set(sequences)]
    link_images(cohort, cases, sequences, folder / "imagesTr", subset="Tr")
    link_labels(cohort, cases, folder / "labelsTr", subset="Tr")
    description = read_dataset_json(cohort.folder / "dataset.json")
    stored = stored_names(description["channel_names"])
    channels = {str(new): stored[cohort.channel_names.index(name)] for new, name in enumerate(sequences)}
    write_if_new(folder / "dataset.json", {**description, "channel_names": channels, "numTraining": len(cases)})
    splits = [{part: [c for c in split[part] if c in cases] for part in ("train", "val")} for split in cohort.splits]
    write_if_new(folder / "splits_final.json", splits)


def link_images(cohort: Cohort, cases: Sequence[str], sequences: Sequence[str], folder: Path, *, subset: str) -> None:
    """``<case>_XXXX`` links to the images of these sequences, numbered anew in their order."""
    links = {}
    for new, name in enumerate(sequences):
        old = cohort.channel_names.index(name)
        for case in cases:
            source = cohort.folder / f"images{subset}" / f"{case}_{old:04d}{cohort.file_ending}"
            if source.is_file():
                links[f"{case}_{new:04d}{cohort.file_ending}"] = source
    sync_links(folder, links)


def link_labels(cohort: Cohort, cases: Sequence[str], folder: Path, *, subset: str) -> None:
    names = [f"{case}{cohort.file_ending}" for case in cases]
    sync_links(folder, {name: cohort.folder / f"labels{subset}" / name for name in names})


def sync_links(folder: Path, wanted: Mapping[str, Path]) -> None:
    """The folder holds these links and nothing else; those that are right stay. Raises Fault where none can be made."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.name not in wanted or file.resolve() != wanted[file.name].resolve():
            file.unlink()
    for name, source in wanted.items():
        link = folder / name
        if not link.exists():
            try:
                link.symlink_to(source.resolve())
            except OSError as error:
                remedy = "Give with -o a folder on a file system that supports symbolic links."
                raise Fault(f"cannot create a link to {source} ({error})", file=link, remedy=remedy) from error


def write_if_new(file: Path, content: dict | list) -> None:
    if not file.is_file() or read_json(file, type(content)) != content:
        write_json(file, content)
