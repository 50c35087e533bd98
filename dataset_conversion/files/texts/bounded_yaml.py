"""Loads YAML with PyYAML's safe loader, within bounds on nesting and on what its aliases stand for."""

from typing import Any

import yaml

DEEPEST = 100
MOST_CHARACTERS = 2**20


class BoundedLoader(yaml.SafeLoader):
    """Counts what is read as if every alias were written out. Raises YAMLError beyond the bounds, before it is built.

    Without them nine lines of aliases of aliases stand for a billion values, which are few as long as nobody prints
    them, and an alias of what it lies in for infinitely many.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._characters = 0
        self._of_anchor: dict[str, int] = {}
        self._open: list[tuple[str | None, int]] = []  # anchor of each open collection, and the count before it

    def get_event(self) -> Any:
        event = super().get_event()
        if isinstance(event, yaml.AliasEvent):
            self._characters += self._of_alias(event.anchor)
        elif isinstance(event, yaml.ScalarEvent):
            self._open.append((event.anchor, self._characters))
            # half of a pair of surrogates is no character, and cannot be written again
            self._characters += 1 + len(event.value.encode().decode())
            self._close()
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open.append((event.anchor, self._characters))
            self._characters += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        if len(self._open) > DEEPEST:
            raise yaml.YAMLError(f"it is nested more than {DEEPEST} deep")
        if self._characters > MOST_CHARACTERS:
            raise yaml.YAMLError(f"its aliases stand for more than {MOST_CHARACTERS:,} characters")
        return event

    def _of_alias(self, anchor: str) -> int:
        if anchor not in self._of_anchor:
            raise yaml.YAMLError(f"*{anchor} stands for nothing, or lies in what it stands for")
        return self._of_anchor[anchor]

    def _close(self) -> None:
        anchor, before = self._open.pop()
        if anchor is not None:
            self._of_anchor[anchor] = self._characters - before


def load(text: str) -> Any:
    """Raises YAMLError, or whatever PyYAML makes of a value that is not of the type that it says."""
    return yaml.load(text, Loader=BoundedLoader)
