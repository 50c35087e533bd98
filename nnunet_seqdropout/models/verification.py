"""Says of every file of a model folder whether it is whole and loads."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.checksums import recorded
from nnunet_seqdropout.models.dropout_law import dropout_of_plans
from nnunet_seqdropout.models.folders import description_of_model, folds_there
from nnunet_seqdropout.models.information import read_thresholds_of
from nnunet_seqdropout.models.networks import load_network
from nnunet_seqdropout.models.plans_file import read_plans

NOT_RECORDED = "loads; no SHA-256 was recorded when it was written"


def verify_model(folder: Path, folds: Sequence[str] | None, name: str) -> Iterator[tuple[str, Fault | str]]:
    """File and what is wrong with it, or how it is; every ``checkpoint_*.pth`` of each fold.

    Raises Fault where there is nothing to look at: no fold, or plans or a ``dataset.json`` that cannot be read.
    """
    description = description_of_model(folder)
    dropout_of_plans(read_plans(folder / "plans.json"), description.channel_names)
    chosen = [str(fold) for fold in folds or folds_there(folder, name)]
    if not chosen:
        raise Fault(f"no fold has the file {name}", file=folder, remedy="Select a trained model, and -chk.")
    for fold in chosen:
        others = (file.name for file in sorted((folder / f"fold_{fold}").glob("checkpoint_*.pth")))
        for each in dict.fromkeys([name, *others]):
            yield _looked_at(f"fold_{fold}/{each}", partial(_state, folder, fold, each))
        if (folder / f"fold_{fold}" / "thresholds.json").is_file():
            yield _looked_at(f"fold_{fold}/thresholds.json", partial(_thresholds, folder / f"fold_{fold}"))


def _looked_at(name: str, look: Callable[[], str]) -> tuple[str, Fault | str]:
    try:
        return name, look()
    except Fault as fault:
        return name, fault


def _state(folder: Path, fold: str, name: str) -> str:
    file = folder / f"fold_{fold}" / name
    if not file.is_file():
        raise Fault("it is not there", file=file, remedy="Restore it, or select folds with -f.")
    load_network(folder, [fold], name)
    return "ok" if name in recorded(file.parent) else NOT_RECORDED


def _thresholds(fold: Path) -> str:
    read_thresholds_of(fold)
    return "ok"
