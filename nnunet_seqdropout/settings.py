"""Finds the settings that our trainers declare, and checks names and values of those that a user's trainer has."""

from collections.abc import Collection, Mapping
from inspect import isroutine
from typing import ClassVar, get_origin

from dataset_conversion.nearest import nearest

OF_NNUNET: Mapping[str, str] = {
    "num_epochs": "epochs",
    "num_iterations_per_epoch": "iterations_per_epoch",
    "num_val_iterations_per_epoch": "val_iterations_per_epoch",
    "initial_lr": "learning_rate",
    "save_every": "save_every_epochs",
}
"""Attributes that nnU-Net sets in its ``__init__``, so that a class attribute has no effect -> our setting."""


def declared_settings(trainer: type) -> set[str]:
    """The names of the class attributes that it and the classes that it derives from annotate as ``ClassVar``."""
    annotations = [item for each in trainer.__mro__ for item in vars(each).get("__annotations__", {}).items()]
    return {name for name, kind in annotations if get_origin(kind) is ClassVar}


def unknown_attributes(trainer: type, *, ours: Collection[str]) -> dict[str, str]:
    """Class attributes of a user's trainer that nothing reads -> the setting that was probably meant, or nothing.

    ours: the top-level packages whose classes are not a user's. Names with an underscore, functions, properties, and
    what the user annotates are the user's own affair.
    """
    settings = declared_settings(trainer)
    users = [each for each in trainer.__mro__[:-1] if each.__module__.partition(".")[0] not in ours]
    known = {name for each in trainer.__mro__ if each not in users for name in vars(each)} | settings
    names = dict.fromkeys(name for each in users for name, value in vars(each).items() if _is_plain(name, value))
    return {name: _meant(name, settings) for name in names if name not in known}


def _is_plain(name: str, value: object) -> bool:
    return not name.startswith("_") and not isroutine(value) and not hasattr(type(value), "__get__")


def _meant(name: str, settings: Collection[str]) -> str:
    return OF_NNUNET.get(name) or nearest(name, settings)


def require_one_of(setting: str, value: object, known: Collection[str]) -> None:
    """Raises ValueError where a setting has a value that it cannot have."""
    if value not in known:
        raise ValueError(f"{setting} is {value!r}: choose one of {', '.join(known)}.")


def require_not_negative(setting: str, value: int) -> None:
    """Raises ValueError where a number of epochs is below 0."""
    if value < 0:
        raise ValueError(f"{setting} is {value}: give a number of epochs, 0 for none.")
