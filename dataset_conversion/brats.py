"""BraTS layouts, old and new: ``<case>_{t1,t1ce,t2,flair,seg}`` and ``<case>-{t1n,t1c,t2w,t2f,seg}``."""

import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.outcomes import Outcome
from dataset_conversion.raw_dataset import Patient, RawDataset, write_raw_dataset
from dataset_conversion.sequences import BRATS_CHANNELS, channel_of

LABELS = {"background": 0, "necrosis": 1, "oedema": 2, "enhancing": 3}
LABELS_UNTIL_2021 = {0: 0, 1: 1, 2: 2, 4: 3}
LABELS_FROM_2023 = {0: 0, 1: 1, 2: 2, 3: 3}

_UNTIL_2021 = re.compile(r"(?P<case>.+)_(?P<name>t1|t1ce|t2|flair|seg)\.nii(\.gz)?")
_FROM_2023 = re.compile(r"(?P<case>.+)-(?P<name>t1n|t1c|t2w|t2f|seg)\.nii(\.gz)?")


def find_patients(source: Path, *, test: Collection[str] = ()) -> dict[str, Patient]:
    """All patients below ``source``; those named in ``test`` are test patients, all others training patients.

    Tumour core and whole tumour are regions of the labels: 1 and 3; 1, 2 and 3.
    Raises Fault where there is none, where ``test`` names somebody who is not there, or where two files are
    the same image of one patient.
    """
    images: dict[str, dict[str, Path]] = defaultdict(dict)
    labels: dict[str, tuple[Path, dict[int, int]]] = {}
    for file in sorted(source.rglob("*.nii*")):
        old, new = _UNTIL_2021.fullmatch(file.name), _FROM_2023.fullmatch(file.name)
        match = old or new
        if match is None:
            continue
        case, name = match["case"], match["name"]
        channel = channel_of(name, BRATS_CHANNELS)
        if channel is None:  # seg
            taken, _ = labels.setdefault(case, (file, LABELS_UNTIL_2021 if old else LABELS_FROM_2023))
        else:
            taken = images[case].setdefault(BRATS_CHANNELS[channel], file)
        if taken != file:
            raise Fault(
                f"{taken} and {file} are both the {name} of {case}", remedy="Keep one of them below the folder."
            )
    if not images:
        raise Fault(f"no file {source}/**/<case>_t1ce.nii.gz or <case>-t1c.nii.gz", remedy="Name the folder above.")
    if strangers := set(test) - images.keys():
        raise Fault(f"no such patient: {', '.join(sorted(strangers))}", remedy=f"There are: {', '.join(images)}.")
    return {
        case: Patient("test" if case in test else "train", files, *labels.get(case, (None, {})))
        for case, files in images.items()
    }


def convert(source: Path, folder: Path, *, test: Collection[str] = ()) -> dict[str, Outcome]:
    """Writes the patients below ``source`` as the nnU-Net raw data set ``folder``."""
    dataset = RawDataset(folder, source, BRATS_CHANNELS, LABELS)
    return write_raw_dataset(dataset, find_patients(source, test=test))
