"""Installs the archive of a model among nnU-Net's models: whole or not at all, and never over another one."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dataset_conversion.faults import Fault
from dataset_conversion.files.checksums import replace_recorded
from dataset_conversion.files.staging import staged, to_disk
from dataset_conversion.files.texts.json_files import write_json
from evaluation.inputs.thresholds import read_thresholds
from nnunet_seqdropout.models.archive.container import CARD, DATASET, Archive, open_archive
from nnunet_seqdropout.models.archive.weights import restored
from nnunet_seqdropout.models.information import read_model_folder
from nnunet_seqdropout.models.networks import find_trainer, load_network
from nnunet_seqdropout.models.nnunet_folders import NNUNET_FOLDERS
from nnunet_seqdropout.models.plans_file import Plans, configuration_of, require_known_network

GIBIBYTE = 2**30
LARGEST_GB = 16.0


@dataclass(frozen=True)
class Installed:
    """folder: of the model. before: it was there, the same. missing: what is said of a trainer that is not there."""

    folder: Path
    before: bool = False
    missing: str = ""


def install_archive(
    file: Path, results: Path, *, number: int | None = None, name: str | None = None, largest_gb: float = LARGEST_GB
) -> Installed:
    """Installs into ``results``, nnU-Net's folder of models. number, name: of the data set, in place of the archive's.

    Raises Fault, and leaves nothing, where the archive is broken, another model is there, or the number is taken.
    """
    with open_archive(file, largest_bytes=int(largest_gb * GIBIBYTE)) as archive:
        dataset = _dataset(archive, number, name)
        target = results / dataset / archive.manifest.folder
        if target.exists():
            _require_same(archive, target)
            return Installed(target, before=True)
        _require_free_number(dataset)
        results.mkdir(parents=True, exist_ok=True)
        with staged(results) as stage:
            model = stage / target.name
            _write(archive, model, dataset)
            missing = _require_whole(archive, model)
            for written in (each for each in model.rglob("*") if each.is_file()):
                to_disk(written)
            _move(model, target)
    return Installed(target, missing=missing)


def _dataset(archive: Archive, number: int | None, name: str | None) -> str:
    own = archive.manifest.dataset.removeprefix("Dataset")
    wanted = f"Dataset{own[:3] if number is None else f'{number:03d}'}_{own[4:] if name is None else name}"
    if not DATASET.fullmatch(wanted):
        raise Fault(f"{wanted} is no data set of nnU-Net", remedy="Give a number from 1 to 999 and a plain name.")
    return wanted


def _write(archive: Archive, model: Path, dataset: str) -> None:
    manifest = archive.manifest
    plans = {**archive.json("plans.json", Plans), "dataset_name": dataset}
    write_json(model / "plans.json", plans)
    _, configuration = configuration_of(plans, manifest.configuration, archive.file)
    require_known_network(configuration, archive.file)
    for name in archive.names:
        if name in ("dataset.json", CARD) or name.endswith("thresholds.json"):
            (model / name).parent.mkdir(parents=True, exist_ok=True)
            (model / name).write_bytes(archive.read(name))
    for name, stored in manifest.checkpoints.items():
        how = {"trainer": manifest.trainer, "configuration": manifest.configuration}
        content = restored(archive.read(f"{name}.safetensors"), stored, **how)
        final = model / f"{name}.pth"
        final.parent.mkdir(parents=True, exist_ok=True)
        torch.save(content, f"{final}.partial")
        replace_recorded(Path(f"{final}.partial"), final)


def _require_whole(archive: Archive, model: Path) -> str:
    """What is said of a trainer that is missing. Raises Fault where the model is not what the archive says."""
    read = _read(archive, model)
    if read != archive.manifest.fingerprint:
        raise archive.fault("what it holds is not the model whose fingerprint it names")
    for thresholds in model.glob("fold_*/thresholds.json"):
        read_thresholds(thresholds)
    try:
        find_trainer(archive.manifest.trainer)
    except Fault as fault:
        return str(fault)
    for name in archive.manifest.checkpoints:
        fold, _, checkpoint = name.partition("/")
        load_network(model, [fold.removeprefix("fold_")], f"{checkpoint}.pth")
    return ""


def _require_same(archive: Archive, target: Path) -> None:
    remedy = "Install it under another number with -d and -n, or remove the folder."
    try:
        same = _read(archive, target) == archive.manifest.fingerprint
    except Fault as fault:
        raise Fault(f"a model is there that cannot be read ({fault.problem})", file=target, remedy=remedy) from fault
    if not same:
        raise Fault("another model is there", file=target, remedy=remedy)


def _read(archive: Archive, model: Path) -> str:
    """The fingerprint of the checkpoints that the archive names, in a model folder."""
    pairs = [name.partition("/")[::2] for name in archive.manifest.checkpoints]
    folds = list(dict.fromkeys(fold.removeprefix("fold_") for fold, _ in pairs))
    names = list(dict.fromkeys(f"{checkpoint}.pth" for _, checkpoint in pairs))
    if {(f"fold_{fold}", name) for fold in folds for name in names} != {(fold, f"{name}.pth") for fold, name in pairs}:
        raise archive.fault("its folds do not have the same checkpoints")
    found = read_model_folder(model, folds, names)
    if found.first.configuration != archive.manifest.configuration:
        return ""
    named = {name: found.checkpoints[name] for name in archive.manifest.checkpoints}
    return replace(found, checkpoints=named).fingerprint


def _require_free_number(name: str) -> None:
    """Raises Fault where another data set has this number: nnU-Net would not know which one is meant."""
    number = re.match(r"Dataset\d{3}_", name)
    roots = [Path(os.environ[variable]) for variable in NNUNET_FOLDERS if variable in os.environ]
    taken = [each for root in roots for each in root.glob(f"{number[0] if number else name}*") if each.name != name]
    if taken:
        problem = f"the number of {name} is taken by {taken[0].name}"
        raise Fault(problem, remedy="Choose another number with -d, and a name with -n.")


def _move(model: Path, target: Path) -> None:
    was_there = target.parent.is_dir()
    target.parent.mkdir(exist_ok=True)
    try:
        model.rename(target)
    except OSError:
        if not was_there:
            target.parent.rmdir()
        raise
