"""Extends nnU-Net v2 to segment with missing MRI sequences (Grøvik, Yi et al., npj Digital Medicine 2021)."""

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("nnunet_seqdropout")

_API = ("Prediction", "convert", "evaluate_folders", "evaluate_patient", "load_model", "predict")
__all__ = ["__version__", *_API]


def __getattr__(name: str) -> Any:
    """The functions of ``api``, which loads torch, are looked up where they are first used; __init__.pyi has types."""
    if name in _API:
        return getattr(import_module("nnunet_seqdropout.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_API})
