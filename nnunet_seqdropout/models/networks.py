"""Builds the trained network of a model folder as nnU-Net's predictor does, from files that nobody vouches for."""

import inspect
import io
import logging
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.dataset_json import DatasetJson, read_dataset_json
from dataset_conversion.nearest import did_you_mean
from nnunet_seqdropout.models.checkpoints import REMEDY, Checkpoint, read_checkpoint
from nnunet_seqdropout.models.nnunet_folders import trainer_names
from nnunet_seqdropout.models.plans_file import blamed_on, configuration_of, read_plans, require_known_network

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedNetwork:
    """What nnU-Net's predictor needs to know. checkpoints: of each fold; the network has the weights of the first."""

    network: nn.Module
    plans: PlansManager
    configuration: ConfigurationManager
    dataset_json: DatasetJson
    checkpoints: tuple[Checkpoint, ...]


def load_network(
    folder: Path, folds: Sequence[str], checkpoint: str, *, trust_checkpoint: bool = False
) -> TrainedNetwork:
    """Loads the folds of a model folder; what ``nnUNetPredictor.initialize_from_trained_model_folder`` makes of it.

    trust_checkpoint: code in the checkpoint is run, and a network that the plans name is built, whatever they are.
    Raises Fault where a file is missing, broken, changed or holds code, or the trainer is not there.
    """
    plans_file, dataset_file = folder / "plans.json", folder / "dataset.json"
    plans = read_plans(plans_file)
    dataset_json = read_dataset_json(dataset_file)
    files = [folder / f"fold_{fold}" / checkpoint for fold in folds]
    checkpoints = tuple(read_checkpoint(file, trusted=trust_checkpoint) for file in files)
    first = checkpoints[0]
    manager, configuration = configuration_of(plans, first.configuration, plans_file)
    if not trust_checkpoint:
        require_known_network(configuration, plans_file)
    trainer = find_trainer(first.trainer)
    with blamed_on(plans_file, "building the network"):
        network = _built(trainer, manager, configuration, dataset_json)
    for each in checkpoints:
        _require_fit(network, each)
    network.load_state_dict(first.weights)
    return TrainedNetwork(network, manager, configuration, dataset_json, checkpoints)


def find_trainer(name: str) -> type:
    """nnU-Net's trainer of this name. Raises Fault where it is not there, or a file beside it cannot be imported."""
    said = io.StringIO()
    try:
        with redirect_stdout(said):  # a dozen lines about where it looks
            return recursive_find_trainer_class_by_name(name)
    except RuntimeError as error:
        remedy = f"Put the file {name}.py that trained it into a folder, and add the folder to nnUNet_extTrainer."
        remedy = f"{did_you_mean(name, trainer_names())}{remedy}"
        raise Fault(f"the model was trained by {name}, and there is no such trainer", remedy=remedy) from error
    except (AssertionError, TypeError) as error:
        remedy = "Rename the trainer, or mend the checkpoint's trainer_name."
        raise Fault(f"the model was trained by {name}, which is no trainer of nnU-Net", remedy=remedy) from error
    except Exception as error:
        problem = f"a file of trainers cannot be imported ({type(error).__name__}: {error})"
        raise Fault(problem, remedy="Mend or remove it in the folders of nnUNet_extTrainer.") from error
    finally:
        log.debug(said.getvalue())


def _built(
    trainer: Any, plans: PlansManager, configuration: ConfigurationManager, dataset_json: Mapping[str, Any]
) -> nn.Module:
    n_inputs = determine_num_input_channels(plans, configuration, dataset_json)
    n_outputs = plans.get_label_manager(dataset_json).num_segmentation_heads
    how = {"enable_deep_supervision": False}
    if "plans_manager" in inspect.signature(trainer.build_network_architecture).parameters:
        return trainer.build_network_architecture(plans, configuration, n_inputs, n_outputs, **how)
    # trainers written before nnU-Net 2.6
    return trainer.build_network_architecture(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        n_inputs,
        n_outputs,
        **how,
    )


def _require_fit(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Raises Fault where the weights are not those of the network, or one is not finite."""
    expected, weights = network.state_dict(), checkpoint.weights
    if differing := sorted(expected.keys() ^ weights.keys()):
        problem = f"its weights do not fit the network of plans.json: {differing[0]} is in one of the two only"
        raise Fault(problem, file=checkpoint.file, remedy=REMEDY)
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            problem = f"its weights do not fit the network of plans.json: {name} is {[*tensor.shape]}"
            raise Fault(f"{problem}, not {[*expected[name].shape]}", file=checkpoint.file, remedy=REMEDY)
        if not torch.isfinite(tensor).all():
            problem = f"{name} is not finite: the training diverged, or the file is broken"
            raise Fault(problem, file=checkpoint.file, remedy=REMEDY)
