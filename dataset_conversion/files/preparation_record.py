"""Records how the images of a data set were prepared, so that what a model is given later can be prepared alike."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from dataset_conversion.faults import Fault

KEY = "preparation"
"""Of ``dataset.json``, which nnU-Net copies into every model, and of our part of ``plans.json``."""


@dataclass(frozen=True)
class PreparationRecord:
    """What was done to all images of a data set.

    reference: the sequence to whose grid the others were brought; None: the first that a patient had. registered:
    whether series were looked at for motion, here or before. skull_stripped, defaced: whether nothing but the brain, or
    no face, is in them; None: not known. extractor: the brain extractor that was used for it. storage_order: of the
    axes of all images, such as LPS.
    """

    reference: str | None
    registered: bool
    skull_stripped: bool | None
    defaced: bool | None
    extractor: str | None
    storage_order: str | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def differences(self, other: "PreparationRecord") -> list[str]:
        """In what the two disagree, in words; what one of them does not know is no disagreement."""
        pairs = (
            ("registered", self.registered, other.registered),
            ("skull-stripped", self.skull_stripped, other.skull_stripped),
            ("defaced", self.defaced, other.defaced),
        )
        return [f"{'' if ours else 'not '}{what}" for what, ours, theirs in pairs if {ours, theirs} == {True, False}]


def read_preparation(content: Mapping[str, Any]) -> PreparationRecord | None:
    """The record in a ``dataset.json`` or in our part of a ``plans.json``; None where there is none.

    Raises Fault where it is not of this form.
    """
    found = content.get(KEY)
    if found is None:
        return None
    names = [field.name for field in fields(PreparationRecord)]
    if not isinstance(found, dict) or sorted(found) != sorted(names) or not _are_right(found):
        problem = f"{KEY} does not have the form that convert writes: {', '.join(names)}"
        raise Fault(problem, remedy="Restore the file that the conversion or the training wrote.")
    return PreparationRecord(**found)


def _are_right(found: Mapping[str, Any]) -> bool:
    texts = (found[name] for name in ("reference", "extractor", "storage_order"))
    known = (found[name] for name in ("skull_stripped", "defaced"))
    return (
        all(text is None or isinstance(text, str) for text in texts)
        and all(value in (None, True, False) for value in known)
        and isinstance(found["registered"], bool)
    )
