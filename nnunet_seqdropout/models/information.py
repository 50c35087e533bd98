"""Says what a model folder holds: trainer, network, sequences, dropout, thresholds, folds, versions, fingerprint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_conversion.faults import Fault
from dataset_conversion.files.checksums import recorded
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.texts.dataset_json import DatasetJson, Description, described, read_dataset_json
from evaluation.inputs.thresholds import Thresholds, read_thresholds
from nnunet_seqdropout.models.checkpoints import Checkpoint, read_checkpoint
from nnunet_seqdropout.models.dropout_law import DropoutLaw, dropout_of_plans
from nnunet_seqdropout.models.folders import folds_there
from nnunet_seqdropout.models.plans_file import Plans, configuration_of, read_plans
from nnunet_seqdropout.models.rescaling import our_settings
from nnunet_seqdropout.models.shared import fingerprint


@dataclass(frozen=True)
class ModelFolder:
    """What is read of a model folder. checkpoints and thresholds: by ``fold_0/NAME`` and ``fold_0``."""

    folder: Path
    plans: Plans
    dataset_json: DatasetJson
    description: Description
    checkpoints: Mapping[str, Checkpoint]
    thresholds: Mapping[str, Thresholds]

    @property
    def first(self) -> Checkpoint:
        return next(iter(self.checkpoints.values()))

    @property
    def dropout(self) -> DropoutLaw | None:
        return dropout_of_plans(self.plans, self.description.channel_names)

    @property
    def fingerprint(self) -> str:
        """Of these folds and checkpoints: see ``shared.fingerprint``."""
        return fingerprint(self.plans, self.dataset_json, self.first.configuration, self.checkpoints)


def read_model_folder(folder: Path, folds: Sequence[str] | None, names: Sequence[str]) -> ModelFolder:
    """The folds that have the first of these checkpoints, or those given, and every checkpoint of these names.

    Raises Fault where one is missing or broken, or they are not one model.
    """
    chosen = [str(fold) for fold in folds or folds_there(folder, names[0])]
    if not chosen:
        raise Fault(f"no fold has the file {names[0]}", file=folder, remedy="Select a trained model, and -chk.")
    pairs = [(f"fold_{fold}", name) for fold in chosen for name in names]
    files = {f"{fold}/{name.removesuffix('.pth')}": folder / fold / name for fold, name in pairs}
    for file in files.values():
        if not file.is_file():
            raise Fault(f"no file {file}", remedy="Select folds with -f and checkpoints with -chk that are there.")
    plans, dataset_json = read_plans(folder / "plans.json"), read_dataset_json(folder / "dataset.json")
    checkpoints = {name: read_checkpoint(file) for name, file in files.items()}
    kinds = {(checkpoint.trainer, checkpoint.configuration) for checkpoint in checkpoints.values()}
    if len(kinds) > 1:
        raise Fault(f"its checkpoints are of several models: {kinds}", file=folder, remedy="Select one with -f.")
    (_, configuration) = next(iter(kinds))
    configuration_of(plans, configuration, folder / "plans.json")
    found = {f"fold_{fold}": read_thresholds_of(folder / f"fold_{fold}") for fold in chosen}
    thresholds = {fold: each for fold, each in found.items() if each is not None}
    return ModelFolder(folder, plans, dataset_json, described(dataset_json), checkpoints, thresholds)


def read_thresholds_of(fold: Path) -> Thresholds | None:
    """Those calibrated for a fold; None where there are none. Raises Fault where they cannot be read."""
    file = fold / "thresholds.json"
    return read_thresholds(file) if file.is_file() else None


def information(model: ModelFolder) -> dict[str, Any]:
    """What ``seqdropout model info`` says. No path is in it."""
    settings = our_settings(model.plans)
    first, law = model.first, model.dropout
    _, configuration = configuration_of(model.plans, first.configuration, model.folder / "plans.json")
    return {
        "name": model.folder.resolve().name,
        "dataset": model.plans["dataset_name"],
        "trainer": first.trainer,
        "plans": model.plans["plans_name"],
        "configuration": first.configuration,
        "network": {
            "class": configuration.network_arch_class_name,
            "settings": configuration.network_arch_init_kwargs,
            "parameters": first.n_parameters,
            "patch_size": list(configuration.patch_size),
            "spacing_mm": list(configuration.spacing),
        },
        "sequences": list(model.description.channel_names),
        "labels": dict(model.description.labels),
        "dropout": None if law is None else _dropout(law),
        "thresholds": {fold: _threshold(each) for fold, each in model.thresholds.items()},
        "checkpoints": {
            name: {
                "bytes": each.file.stat().st_size,
                "sha256": sha256_of(each.file),
                "recorded": each.file.name in recorded(each.file.parent),
            }
            for name, each in model.checkpoints.items()
        },
        "versions": {"trained_with": settings.get("version")},
        "fingerprint": model.fingerprint,
    }


def _dropout(law: DropoutLaw) -> dict[str, Any]:
    return {
        "subset_law": law.law,
        "drop_probability": law.drop_probability,
        "always_keep": list(law.always_keep),
        "subset_weights": law.weights,
        "rescale": law.rescale,
        "patterns": len(law.drawn),
    }


def _threshold(thresholds: Thresholds) -> dict[str, Any]:
    values = {pattern: each.value for pattern, each in thresholds.by_pattern.items()}
    return {"target": thresholds.target, "method": thresholds.method, "values": values}
