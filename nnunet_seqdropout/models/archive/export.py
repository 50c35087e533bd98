"""Exports a model folder as one archive that holds no code, no path and no patient."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dataset_conversion.faults import Fault
from dataset_conversion.files.staging import staged
from nnunet_seqdropout.models.archive.card import model_card
from nnunet_seqdropout.models.archive.container import CARD, MODEL, Manifest, write_archive
from nnunet_seqdropout.models.archive.portable import portable_trainer
from nnunet_seqdropout.models.archive.weights import stored
from nnunet_seqdropout.models.information import ModelFolder, information
from nnunet_seqdropout.models.plans_file import configuration_of, require_known_network
from nnunet_seqdropout.models.shared import (
    require_no_paths,
    shared_dataset_json,
    shared_plans,
    shared_thresholds,
)


def export_model(
    model: ModelFolder, file: Path, *, about: str = "", evaluation: Mapping[str, Any] | None = None
) -> list[str]:
    """Writes the archive, whole or not at all; what the user should know of it.

    Raises Fault where a text of the model looks like a path, or the model is a cascade.
    """
    first = model.first
    if model.plans["configurations"][first.configuration].get("previous_stage") is not None:
        remedy = "Export its first stage, or use nnUNetv2_export_model_to_zip."
        raise Fault("the model is a cascade", file=model.folder, remedy=remedy)
    plans_file = model.folder / "plans.json"
    require_known_network(configuration_of(model.plans, first.configuration, plans_file)[1], plans_file)
    trainer, everywhere = portable_trainer(first.trainer)
    said = {**information(model), "trainer": trainer}
    texts = {
        "plans.json": shared_plans(model.plans, first.configuration),
        "dataset.json": shared_dataset_json(model.dataset_json),
        **{f"{fold}/thresholds.json": _thresholds(model, fold) for fold in model.thresholds},
    }
    for name, content in texts.items():
        require_no_paths(content, name)
    packed = {name: stored(checkpoint) for name, checkpoint in model.checkpoints.items()}
    manifest = Manifest(
        dataset=str(model.plans["dataset_name"]),
        trainer=trainer,
        plans=str(model.plans["plans_name"]),
        configuration=first.configuration,
        fingerprint=said["fingerprint"],
        versions={**_versions(), **({"trained_with": with_} if (with_ := said["versions"]["trained_with"]) else {})},
        checkpoints={name: kept for name, (kept, _) in packed.items()},
    )
    files: dict[str, bytes | str] = {
        MODEL: manifest.as_json(),
        CARD: model_card(said, about=about, evaluation=evaluation),
        **{name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in texts.items()},
        **{f"{name}.safetensors": weights for name, (_, weights) in packed.items()},
    }
    with staged(file.absolute().parent) as stage:
        write_archive(stage / file.name, files)
    return _notes(first.trainer, trainer, everywhere)


def _thresholds(model: ModelFolder, fold: str) -> dict[str, Any]:
    thresholds = asdict(model.thresholds[fold])
    return shared_thresholds({"version": 1, **thresholds, "thresholds": thresholds.pop("by_pattern")})


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("nnunet_seqdropout", "nnunetv2", "torch")}


def _notes(own: str, named: str, everywhere: bool) -> list[str]:
    if not everywhere:
        return [f"Its trainer {own} is not one of nnU-Net or this package: send the file {own}.py with the archive."]
    if own != named:
        return [f"The archive names {named} in place of {own}: both build the same network, the plans hold the rest."]
    return []
