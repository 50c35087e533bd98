"""Records how the images of a data set were prepared, so that what a model is given later can be prepared alike."""

from dataclasses import asdict, dataclass
from typing import Any, TypedDict

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


class WithPreparation(TypedDict, total=False):
    """What is read of ``dataset.json``, and of our part of ``plans.json``."""

    preparation: PreparationRecord
