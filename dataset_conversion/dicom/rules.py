"""Reads from YAML the rules that map DICOM series to sequences; ``rules.yaml`` holds the default rules."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dataset_conversion.dicom.headers.slices import DicomSeries
from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.patterns import BoundedPattern, bounded, limited_time
from dataset_conversion.files.texts.typed import typed_of
from dataset_conversion.files.texts.yaml_files import read_yaml
from dataset_conversion.sequences import ALIASES, canonical

SHIPPED_RULES = Path(__file__).with_name("rules.yaml")
NOT_USED = "none"
TIMES = {"inversion_time_ms": "InversionTime", "echo_time_ms": "EchoTime", "repetition_time_ms": "RepetitionTime"}
TEXTS = {
    "sequence_name": "SequenceName",
    "scanning_sequence": "ScanningSequence",
    "acquisition_contrast": "AcquisitionContrast",
}
"""Conditions on one tag each: its keyword."""
PATTERNS = ("description", "exclude", *TEXTS)
"""Conditions that are regular expressions."""


@dataclass(frozen=True)
class Rule:
    """A sequence (or ``none``), and the conditions that a series must meet to be it; what is not stated is met.

    description: patterns that are all found in the series' description, or where it has none in its protocol's name; in
    both ``_``, ``-`` and blanks are one blank and case does not count. exclude: none of these is. described: whether
    there is a description. sequence_name, scanning_sequence, acquisition_contrast: patterns likewise, of the tags.
    Times in ms, the lowest and the highest; a series without that time does not meet it.
    """

    role: str
    description: Sequence[BoundedPattern] = ()
    exclude: Sequence[BoundedPattern] = ()
    described: bool | None = None
    contrast: bool | None = None
    inversion_time_ms: tuple[float, float] | None = None
    echo_time_ms: tuple[float, float] | None = None
    repetition_time_ms: tuple[float, float] | None = None
    sequence_name: Sequence[BoundedPattern] = ()
    scanning_sequence: Sequence[BoundedPattern] = ()
    acquisition_contrast: Sequence[BoundedPattern] = ()

    def holds(self, series: DicomSeries) -> bool:
        return (
            self.described in (None, bool(series.description))
            and self.contrast in (None, series.contrast_agent)
            and all(_lies_in(limits, getattr(series, name)) for name, limits in self.times.items())
            and self._describes(series)
        )

    @property
    def times(self) -> dict[str, tuple[float, float] | None]:
        return {name: getattr(self, name) for name in TIMES}

    def why(self, series: DicomSeries) -> str:
        """The tags that made it hold, with times in ms; never what a text says, which may name a patient."""
        tag = "SeriesDescription" if series.description else "ProtocolName"
        found = [tag] if self.description or self.exclude else []
        found += [TIMES[name] + f" {getattr(series, name):g} ms" for name, limits in self.times.items() if limits]
        found += [tag for name, tag in TEXTS.items() if getattr(self, name)]
        found += ["no SeriesDescription"] if self.described is False else []
        if self.contrast is not None:
            found.append("ContrastBolusAgent" if self.contrast else "no ContrastBolusAgent")
        return ", ".join(found)

    def _describes(self, series: DicomSeries) -> bool:
        text = re.sub(r"[_\-\s]+", " ", series.description or series.protocol)
        with limited_time():
            return (
                all(pattern.search(text) for pattern in self.description)
                and not any(pattern.search(text) for pattern in self.exclude)
                and all(p.search(getattr(series, name)) for name in TEXTS for p in getattr(self, name))
            )


def _lies_in(limits: tuple[float, float] | None, time_ms: float | None) -> bool:
    return limits is None or (time_ms is not None and limits[0] <= time_ms <= limits[1])


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
    described: bool | None = None
    contrast: bool | None = None
    inversion_time_ms: tuple[float, float] | None = None
    echo_time_ms: tuple[float, float] | None = None
    repetition_time_ms: tuple[float, float] | None = None
    sequence_name: str | tuple[str, ...] = ()
    scanning_sequence: str | tuple[str, ...] = ()
    acquisition_contrast: str | tuple[str, ...] = ()


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
    conditions: dict[str, Any] = {each.name: getattr(written, each.name) for each in fields(written)}
    patterns = {name: _patterns(conditions[name]) for name in PATTERNS}
    return Rule(**{**conditions, **patterns, "role": _role(written.role)})


def _role(name: str) -> str:
    role = NOT_USED if name == NOT_USED else canonical(name)
    if role not in (NOT_USED, *ALIASES):
        raise ValueError(f"unknown sequence {name}, choose among {', '.join(ALIASES)}, {NOT_USED}")
    return role


def _patterns(found: str | Sequence[str]) -> list[BoundedPattern]:
    return [bounded(pattern) for pattern in ([found] if isinstance(found, str) else found)]
