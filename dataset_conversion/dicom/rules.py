"""Reads from YAML the rules that map DICOM series to sequences; ``rules.yaml`` holds the default rules."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataset_conversion.dicom.series import DicomSeries
from dataset_conversion.faults import Fault
from dataset_conversion.files.patterns import BoundedPattern, bounded, limited_time
from dataset_conversion.files.typed import typed_of
from dataset_conversion.files.yaml_files import read_yaml
from dataset_conversion.sequences import ALIASES, canonical

SHIPPED_RULES = Path(__file__).with_name("rules.yaml")
NOT_USED = "none"


@dataclass(frozen=True)
class Rule:
    """A sequence (or ``none``), and the conditions that a series must meet to be it; what is not stated is met.

    description: patterns that are all found in the series' description, in which ``_``, ``-`` and blanks are one blank
    and case does not count. exclude: none of these is. inversion_time_ms: the lowest and the highest; a series without
    an inversion time does not meet it.
    """

    role: str
    description: Sequence[BoundedPattern] = ()
    exclude: Sequence[BoundedPattern] = ()
    contrast: bool | None = None
    inversion_time_ms: tuple[float, float] | None = None

    def holds(self, series: DicomSeries) -> bool:
        return (
            self._describes(re.sub(r"[_\-\s]+", " ", series.description))
            and self.contrast in (None, series.contrast_agent)
            and self._holds_for_time(series.inversion_time_ms)
        )

    def _describes(self, text: str) -> bool:
        with limited_time():
            return all(pattern.search(text) for pattern in self.description) and not any(
                pattern.search(text) for pattern in self.exclude
            )

    def _holds_for_time(self, time_ms: float | None) -> bool:
        if self.inversion_time_ms is None:
            return True
        low, high = self.inversion_time_ms
        return time_ms is not None and low <= time_ms <= high


@dataclass(frozen=True)
class SeriesRules:
    """The first rule that holds says what a series is.

    decided: pseudonym -> sequence -> number or UID of the series to take, or ``none``; no rule is asked about these.
    """

    rules: Sequence[Rule]
    decided: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class WrittenRule:
    """As ``Rule``, with patterns as texts."""

    role: str
    description: str | tuple[str, ...] = ()
    exclude: str | tuple[str, ...] = ()
    contrast: bool | None = None
    inversion_time_ms: tuple[float, float] | None = None


@dataclass(frozen=True)
class RulesFile:
    """words: for anchors. series: the number or the UID of each."""

    rules: list[WrittenRule]
    words: Any = None
    series: dict[str | int, dict[str, str | int]] = field(default_factory=dict)


def read_rules(file: Path | None = None) -> SeriesRules:
    """A rules file of the user's, whose ``rules`` stand in place of the shipped ones where it has any.

    Raises Fault where the file is not of the form that the shipped one shows.
    """
    remedy = f"Write them as in {SHIPPED_RULES}."
    how = {"what": "rules for DICOM series", "remedy": remedy}
    content = typed_of(
        file, {**read_yaml(SHIPPED_RULES, **how), **(read_yaml(file, **how) if file else {})}, RulesFile, remedy=remedy
    )
    try:
        rules = [_rule(written) for written in content.rules]
        decided = {
            str(patient): {_role(role): str(series) for role, series in choices.items()}
            for patient, choices in content.series.items()
        }
    except (ValueError, re.error) as error:
        raise Fault(f"invalid rules ({error})", file=file, remedy=remedy) from error
    return SeriesRules(rules, decided)


def _rule(written: WrittenRule) -> Rule:
    described, excluded = _patterns(written.description), _patterns(written.exclude)
    return Rule(_role(written.role), described, excluded, written.contrast, written.inversion_time_ms)


def _role(name: str) -> str:
    role = NOT_USED if name == NOT_USED else canonical(name)
    if role not in (NOT_USED, *ALIASES):
        raise ValueError(f"unknown sequence {name}, choose among {', '.join(ALIASES)}, {NOT_USED}")
    return role


def _patterns(found: str | Sequence[str]) -> list[BoundedPattern]:
    return [bounded(pattern) for pattern in ([found] if isinstance(found, str) else found)]
