"""Checks the ``plans.json`` of a model before nnU-Net builds and runs what it names."""

import pydoc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Annotated, Any, TypedDict

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.json_files import read_json
from dataset_conversion.files.texts.typed import Must, Positive, PositiveCount, typed_of
from nnunet_seqdropout.models.rescaling import OurPlans

Axes = Annotated[list[int], Must("the axes 0, 1 and 2", lambda axes: sorted(axes) == [0, 1, 2])]

REMEDY = "Restore the plans.json that nnU-Net wrote into this model folder."

_NETWORKS = ("dynamic_network_architectures", "nnunet_seqdropout", "nnunetv2")
_LAYERS = ("torch.nn", "dynamic_network_architectures")
LARGEST_PATCH_VOXELS = 2**28
"""Images are padded to the patch: a gigabyte for each sequence."""


class Plans(OurPlans):
    """What we read of ``plans.json``; the rest is for nnU-Net."""

    configurations: dict[str, dict[str, Any]]
    dataset_name: str
    plans_name: str
    transpose_forward: Axes
    transpose_backward: Axes


class Architecture(TypedDict):
    network_class_name: str
    arch_kwargs: dict[str, Any]
    _kw_requires_import: list[str]


class Configuration(TypedDict):
    """What we read of a configuration, with what it inherits."""

    architecture: Architecture

    patch_size: Annotated[list[PositiveCount], Must("2 or 3 whole numbers", lambda sizes: len(sizes) in (2, 3))]
    spacing: Annotated[list[Positive], Must("2 or 3 numbers above 0", lambda sizes: len(sizes) in (2, 3))]


def read_plans(file: Path) -> Plans:
    """The plans. Raises Fault where there are none that can be read."""
    return read_json(file, Plans, remedy=REMEDY)


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


def configuration_of(plans: Mapping[str, Any], name: str, file: Path) -> tuple[PlansManager, ConfigurationManager]:
    """nnU-Net's view of a configuration. Raises Fault where it is not there, or prediction could not go by it."""
    if name not in plans["configurations"]:
        problem = f"it has no configuration {name}, only {', '.join(plans['configurations'])}"
        raise Fault(problem, file=file, remedy=REMEDY)
    with blamed_on(file, f"reading the configuration {name}"):
        manager = PlansManager(plans)
        configuration = manager.get_configuration(name)
        how = {"remedy": REMEDY, "at": f"configurations.{name}"}
        _require_sizes(typed_of(file, configuration.configuration, Configuration, **how))
        _look_up(manager, configuration)
    return manager, configuration


def _require_sizes(configuration: Configuration) -> None:
    """Raises ValueError where the patch is larger than any image, or has fewer axes than the spacing."""
    patch, spacing = configuration["patch_size"], configuration["spacing"]
    if prod(patch) > LARGEST_PATCH_VOXELS:
        raise ValueError(f"patch_size is {patch}, more than {LARGEST_PATCH_VOXELS} voxels")
    # the patch of the 2.5D networks has an axis more than their spacing
    if len(spacing) > len(patch):
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
