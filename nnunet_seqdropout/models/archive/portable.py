"""Finds the trainer by which others can load a model whose own trainer they lack."""

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

from nnunet_seqdropout.models.networks import find_trainer
from nnunet_seqdropout.models.nnunet_folders import TRAINERS

BUILDS = "build_network_architecture"


def portable_trainer(name: str) -> tuple[str, bool]:
    """The trainer to name in an archive, and whether every installation of this package and nnU-Net has it.

    A trainer of a study or of a user's own, in which only settings differ, builds its network from the plans by the
    same methods as one that is shipped, and prediction takes nothing else of a trainer. Raises Fault where it is not
    there.
    """
    own = find_trainer(name)
    if own.__module__.startswith("nnunetv2.") or _in_our_folder(name) is not None:
        return name, True
    alike = [each for each in _shipped() if _builders(each) == _builders(own) and {*each.__bases__} <= {*own.__mro__}]
    if not alike:
        return name, False
    return max(alike, key=lambda each: len(each.__mro__)).__name__, True


def _in_our_folder(name: str) -> type | None:
    return recursive_find_python_class(str(TRAINERS), name, None, cleanup_imports_from_base_folder=True)


def _shipped() -> list[type]:
    names = sorted(file.stem for file in TRAINERS.glob("*.py") if not file.stem.endswith("_demo"))
    return [nnUNetTrainer, *(found for name in names if (found := _in_our_folder(name)) is not None)]


def _builders(trainer: type) -> list[type]:
    """The classes that take part in building the network, in the order in which they are asked."""
    return [each for each in trainer.__mro__ if BUILDS in vars(each)]
