"""Checks the ``plans.json`` of a model before nnU-Net builds and runs what it names."""

import pydoc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite, prod
from pathlib import Path
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from dataset_conversion.faults import Fault
from dataset_conversion.files.json_files import read_json

REMEDY = "Restore the plans.json that nnU-Net wrote into this model folder."

_NETWORKS = ("dynamic_network_architectures", "nnunet_seqdropout", "nnunetv2")
_LAYERS = ("torch.nn", "dynamic_network_architectures")
LARGEST_PATCH_VOXELS = 2**28
"""Images are padded to the patch: a gigabyte for each sequence."""


def read_plans(file: Path) -> dict[str, Any]:
    """The plans. Raises Fault where there are none that can be read."""
    plans = read_json(file, keys=("configurations", "dataset_name", "plans_name"), remedy=REMEDY)
    if not isinstance(plans["configurations"], dict):
        raise Fault("configurations is no object", file=file, remedy=REMEDY)
    for key in ("dataset_name", "plans_name"):
        if not isinstance(plans[key], str):
            raise Fault(f"{key} is {plans[key]!r}, not a name", file=file, remedy=REMEDY)
    return plans


@contextmanager
def blamed_on(file: Path, doing: str, remedy: str = REMEDY) -> Iterator[None]:
    """Whatever goes wrong within it is a Fault of the file, whose content nnU-Net takes as it is."""
    try:
        yield
    except (Fault, KeyboardInterrupt):
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}"[:300]
        raise Fault(f"{doing} failed ({said})", file=file, remedy=remedy) from error


def configuration_of(plans: dict[str, Any], name: str, file: Path) -> tuple[PlansManager, ConfigurationManager]:
    """nnU-Net's view of a configuration. Raises Fault where it is not there, or prediction could not go by it."""
    if name not in plans["configurations"]:
        problem = f"it has no configuration {name}, only {', '.join(plans['configurations'])}"
        raise Fault(problem, file=file, remedy=REMEDY)
    with blamed_on(file, f"reading the configuration {name}"):
        manager = PlansManager(plans)
        configuration = manager.get_configuration(name)
        _require_sizes(configuration)
        for axes in (manager.transpose_forward, manager.transpose_backward):
            if sorted(axes) != [0, 1, 2]:
                raise ValueError(f"transpose_forward or transpose_backward is {axes}")
        _look_up(manager, configuration)
    return manager, configuration


def _require_sizes(configuration: ConfigurationManager) -> None:
    """Raises ValueError where the patch or the spacing is not one of images."""
    patch, spacing = configuration.patch_size, configuration.spacing
    if len(patch) not in (2, 3) or not all(isinstance(n, int) and n > 0 for n in patch):
        raise ValueError(f"patch_size is {patch}")
    if prod(patch) > LARGEST_PATCH_VOXELS:
        raise ValueError(f"patch_size is {patch}, more than {LARGEST_PATCH_VOXELS} voxels")
    # the patch of the 2.5D networks has an axis more than their spacing
    if len(spacing) not in (2, 3) or len(spacing) > len(patch) or not all(_is_positive(mm) for mm in spacing):
        raise ValueError(f"spacing is {spacing}, patch_size {patch}")


def _look_up(manager: PlansManager, configuration: ConfigurationManager) -> None:
    """Raises what nnU-Net raises where a class, a function or a value that it takes later is not there."""
    for later in ("image_reader_writer_class", "foreground_intensity_properties_per_channel"):
        getattr(manager, later)
    for later in (
        *("preprocessor_class", "normalization_schemes", "use_mask_for_norm", "previous_stage_name"),
        *("resampling_fn_data", "resampling_fn_seg", "resampling_fn_probabilities"),
    ):
        getattr(configuration, later)


def require_known_network(configuration: ConfigurationManager, file: Path) -> None:
    """Raises Fault where the plans name another network or layer than nnU-Net's and ours: nnU-Net calls whatever they
    name, with arguments that they give."""
    with blamed_on(file, "reading the architecture"):
        settings = configuration.network_arch_init_kwargs
        named = [settings[key] for key in configuration.network_arch_init_kwargs_req_import]
        layers = [(name, _LAYERS) for name in named if name is not None]
        for name, packages in [(configuration.network_arch_class_name, _NETWORKS), *layers]:
            if not _is_module_of(name, packages):
                problem = f"it names {name}, which is no network or layer of nnU-Net: it was not called"
                remedy = f"{REMEDY} Only if you trust whoever made it: --trust-checkpoint."
                raise Fault(problem, file=file, remedy=remedy)


def _is_module_of(name: object, packages: tuple[str, ...]) -> bool:
    """Whether a name is that of a class of torch modules in one of the packages."""
    if not isinstance(name, str) or not re.fullmatch(r"\w+(\.\w+)+", name):
        return False
    if not name.startswith(tuple(f"{package}." for package in packages)):
        return False
    # a module of the package that imports another one makes that one a part of its name
    found = pydoc.locate(name)
    inside = isinstance(found, type) and f"{found.__module__}.".startswith(tuple(f"{each}." for each in packages))
    return inside and issubclass(found, nn.Module)  # type: ignore[arg-type]


def _is_positive(number: object) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and number > 0 and isfinite(number)
