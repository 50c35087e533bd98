"""Reads checkpoints without running code that they may hold: a payload or a changed byte is a Fault."""

import codecs
import logging
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np
import torch

from dataset_conversion.faults import Fault
from dataset_conversion.files.checksums import NAME as CHECKSUMS
from dataset_conversion.files.checksums import is_unchanged
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.texts.typed import Must, typed_of
from nnunet_seqdropout.models.archive.container import MirroringAxes, TrainerName

log = logging.getLogger(__name__)

REMEDY = "Restore it from a backup, choose another checkpoint with -chk, or train the model again."

_numpy_scalar: Any = np.float64(0).__reduce__()[0]
_SAFE: list[Any] = [
    # numpy 1 and 2 write it under different names
    (_numpy_scalar, "numpy.core.multiarray.scalar"),
    (_numpy_scalar, "numpy._core.multiarray.scalar"),
    np.dtype,
    *{type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?"},
    codecs.encode,
]
"""What a checkpoint of nnU-Net holds beside tensors and plain values: numbers of numpy, in its log."""


@dataclass(frozen=True)
class Checkpoint:
    """What prediction takes of a checkpoint.

    sha256: that of the file. logging: nnU-Net's curves, empty where there are none.
    """

    file: Path
    sha256: str
    weights: Mapping[str, torch.Tensor]
    trainer: str
    configuration: str
    mirroring_axes: MirroringAxes | None
    logging: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_parameters(self) -> int:
        """Running statistics are none; nor does what nnU-Net's decoder holds of its encoder count twice."""
        learned = [t for name, t in self.weights.items() if name.rpartition(".")[2] in ("weight", "bias")]
        return sum({tensor.data_ptr(): tensor.numel() for tensor in learned}.values())


def _is_ordinary(tensor: torch.Tensor) -> bool:
    return (tensor.device.type, tensor.layout) == ("cpu", torch.strided)


class _Arguments(TypedDict):
    configuration: str


class _CheckpointAlways(TypedDict):
    network_weights: dict[str, Annotated[torch.Tensor, Must("an ordinary tensor on the CPU", _is_ordinary)]]
    trainer_name: TrainerName
    init_args: _Arguments


class CheckpointFile(_CheckpointAlways, total=False):
    """What we read of a checkpoint; the state of the optimiser is for nnU-Net."""

    inference_allowed_mirroring_axes: MirroringAxes | None
    logging: dict[str, Any]


def read_checkpoint(file: Path, *, trusted: bool = False) -> Checkpoint:
    """Reads a checkpoint of nnU-Net. trusted: code that it holds is run, as nnU-Net does.

    Raises Fault where it holds such code, a byte has changed since it was written, or it is no checkpoint.
    """
    sha256 = sha256_of(file)
    if is_unchanged(file, sha256) is False:
        remedy = f"{REMEDY} If you replaced it on purpose, remove its entry from {CHECKSUMS} beside it."
        raise Fault("it has changed since it was written: its SHA-256 differs", file=file, remedy=remedy)
    content = _loaded(file, trusted=trusted)
    found = typed_of(file, content, CheckpointFile, remedy=REMEDY)
    return Checkpoint(
        file,
        sha256,
        # a copy, since the file that the tensors are mapped to may be written anew; with what torch keeps beside them
        deepcopy(content["network_weights"]),
        found["trainer_name"],
        found["init_args"]["configuration"],
        found.get("inference_allowed_mirroring_axes"),
        found.get("logging", {}),
    )


def _loaded(file: Path, *, trusted: bool) -> Any:
    if trusted:
        log.warning("%s is trusted: if it holds code, the code is run.", file)
    try:
        # mapped, so that the state of the optimiser, twice the weights, is not read
        how: dict[str, Any] = {"map_location": "cpu", "mmap": zipfile.is_zipfile(file), "weights_only": not trusted}
        with torch.serialization.safe_globals(_SAFE), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other pickles than torch writes
            return torch.load(file, **how)
    except pickle.UnpicklingError as error:
        if named := re.search(r"GLOBAL (\S+)", str(error)):
            problem = f"it names {named[1]}, which no checkpoint needs and which may run code: it was not loaded"
            remedy = "Ask whoever made it for the weights alone. Only if you trust them: --trust-checkpoint."
            raise Fault(problem, file=file, remedy=remedy) from error
        raise Fault("it is not a checkpoint, or broken", file=file, remedy=REMEDY) from error
    except Exception as error:  # what torch raises on broken files is of any kind
        raise Fault(f"it cannot be read ({type(error).__name__})", file=file, remedy=REMEDY) from error
