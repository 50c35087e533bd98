"""Reads checkpoints without running code that they may hold: a payload or a changed byte is a Fault."""

import codecs
import logging
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataset_conversion.faults import Fault
from dataset_conversion.files.checksums import NAME as CHECKSUMS
from dataset_conversion.files.checksums import is_unchanged
from dataset_conversion.files.hashing import sha256_of

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
    mirroring_axes: tuple[int, ...] | None
    logging: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_parameters(self) -> int:
        """Running statistics are none; nor does what nnU-Net's decoder holds of its encoder count twice."""
        learned = [t for name, t in self.weights.items() if name.rpartition(".")[2] in ("weight", "bias")]
        return sum({tensor.data_ptr(): tensor.numel() for tensor in learned}.values())


def read_checkpoint(file: Path, *, trusted: bool = False) -> Checkpoint:
    """Reads a checkpoint of nnU-Net. trusted: code that it holds is run, as nnU-Net does.

    Raises Fault where it holds such code, a byte has changed since it was written, or it is no checkpoint.
    """
    sha256 = sha256_of(file)
    if is_unchanged(file, sha256) is False:
        remedy = f"{REMEDY} If you replaced it on purpose, remove its entry from {CHECKSUMS} beside it."
        raise Fault("it has changed since it was written: its SHA-256 differs", file=file, remedy=remedy)
    content = _loaded(file, trusted=trusted)
    if not isinstance(content, dict):
        raise Fault(f"it holds no checkpoint of nnU-Net but a {type(content).__name__}", file=file, remedy=REMEDY)
    arguments = content.get("init_args")
    return Checkpoint(
        file,
        sha256,
        # a copy, since the file that the tensors are mapped to may be written anew
        deepcopy(_require(file, content, "network_weights", _are_weights, "tensors by name")),
        _require(file, content, "trainer_name", _is_name, "a name"),
        _require(file, arguments if isinstance(arguments, dict) else {}, "configuration", _is_text, "a name"),
        _require(file, content, "inference_allowed_mirroring_axes", _are_axes, "axes of the image, or none"),
        content["logging"] if isinstance(content.get("logging"), dict) else {},
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


def _require(file: Path, content: Mapping[str, Any], key: str, is_right: Callable[[Any], bool], expected: str) -> Any:
    value = content.get(key)
    if not is_right(value):
        shown = "nothing" if value is None else f"a {type(value).__name__}"
        raise Fault(f"{key} should be {expected}, and is {shown}", file=file, remedy=REMEDY)
    return value


def _are_weights(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str)
        and isinstance(tensor, torch.Tensor)
        and (tensor.device.type, tensor.layout) == ("cpu", torch.strided)
        for name, tensor in value.items()
    )


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier()


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_axes(value: Any) -> bool:
    return value is None or (isinstance(value, tuple | list) and all(axis in (0, 1, 2) for axis in value))
