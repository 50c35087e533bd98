"""Takes labels and regions as a program names them."""

import os
from collections.abc import Sequence
from typing import TypeAlias

from dataset_conversion.files.texts.dataset_json import Description
from evaluation.inputs.target import Target

PathLike: TypeAlias = str | os.PathLike[str]
Label: TypeAlias = int | str | Sequence[int | str]
"""A label by its number or name, a region by its name, or several labels that make up a region."""


def target_of(label: Label, description: Description) -> Target:
    """Raises Fault where the description has no such label."""
    names = [label] if isinstance(label, (int, str)) else label
    return Target(tuple(value for name in names for value in description.values_of(str(name))))
