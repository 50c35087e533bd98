"""Finds patients of a converted data set who need a visual check, with the reasons."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dataset_conversion.files.texts.manifest_json import CaseEntry, pattern_of
from dataset_conversion.quality.thumbnails import Thumbnails

LARGE_SHIFT_MM, LARGE_ROTATION_DEG = 5.0, 5.0
"""Between the series of one examination a patient moves by a millimetre or two; more may be a bad registration."""

LARGE_CUT_OFF = 0.1
"""Share of the head in one slice. A sequence loses some of its rim where the masks or the fields of view differ."""


@dataclass(frozen=True)
class Converted:
    """A patient of the data set. entry: what the manifest says. pictures: None where the files cannot be read.

    problem: the reason why not.
    """

    case: str
    entry: CaseEntry
    pictures: Thumbnails | None
    problem: str = ""

    @property
    def pattern(self) -> str:
        """The sequences present, as the manifest has them, joined by ``+``."""
        return str(pattern_of(self.entry))


@dataclass(frozen=True)
class Finding:
    """reason: in the same words for all patients who share it. detail: of this one. expected: no reason for a look."""

    reason: str
    detail: str = ""
    expected: bool = False


def findings(patient: Converted) -> list[Finding]:
    """The findings on a patient, expected ones last."""
    checks = (_unreadable, _contradicted, _cut_off, _unlabelled, _moved, _warned)
    found = dict.fromkeys(finding for check in checks for finding in check(patient))
    return sorted(found, key=lambda finding: finding.expected)


def by_reason(found: Mapping[str, Iterable[Finding]]) -> dict[Finding, list[str]]:
    """The patients of each reason: the unexpected first, then the rarest; the findings are without their detail."""
    patients: dict[Finding, list[str]] = {}
    for case, each in found.items():
        for reason in dict.fromkeys(Finding(finding.reason, expected=finding.expected) for finding in each):
            patients.setdefault(reason, []).append(case)
    return dict(sorted(patients.items(), key=lambda item: (item[0].expected, len(item[1]))))


def _unreadable(patient: Converted) -> Iterator[Finding]:
    if patient.pictures is None:
        yield Finding("files cannot be used", patient.problem)


def _contradicted(patient: Converted) -> Iterator[Finding]:
    for name, picture in (patient.pictures.grey if patient.pictures else {}).items():
        present = name in pattern_of(patient.entry)
        if present and picture is None:
            yield Finding(f"{name}: present according to the manifest, but 0 everywhere")
        elif not present and picture is not None:
            yield Finding(f"{name}: absent according to the manifest, but not 0")


def _cut_off(patient: Converted) -> Iterator[Finding]:
    for name, share in (patient.pictures.cut_off if patient.pictures else {}).items():
        if share > LARGE_CUT_OFF:
            yield Finding("part of the head is cut off", f"{name}, {share:.0%} of it in this slice")


def _unlabelled(patient: Converted) -> Iterator[Finding]:
    if not patient.entry["label"]:
        yield Finding("label: none")
    elif patient.pictures and not patient.pictures.label_mm3:
        yield Finding("label: empty")


def _moved(patient: Converted) -> Iterator[Finding]:
    for name, sequence in patient.entry["sequences"].items():
        shift_mm, rotation_deg = sequence.get("translation_mm", 0), sequence.get("rotation_deg", 0)
        if shift_mm > LARGE_SHIFT_MM or rotation_deg > LARGE_ROTATION_DEG:
            reason = f"moved by more than {LARGE_SHIFT_MM:g} mm or {LARGE_ROTATION_DEG:g}°"
            yield Finding(reason, f"{name}, {shift_mm:.1f} mm, {rotation_deg:.1f}°")
        if sequence.get("similarity_after", 0) < sequence.get("similarity_before", 0):
            yield Finding("lower similarity after registration", name)


def _warned(patient: Converted) -> Iterator[Finding]:
    """The manifest's own warnings; that a sequence is absent or all is synthetic, the page says in other places too."""
    absent = {name for name, sequence in patient.entry["sequences"].items() if not sequence["present"]}
    known = {f"{name}: absent, written as zeros" for name in absent} | {"synthetic patient"}
    for warning in patient.entry["warnings"]:
        if " is not used: " in warning:
            # worth a look where it may be the absent sequence under another name
            yield Finding("images that are not used", warning, expected=not absent)
        else:
            yield Finding(warning, expected=warning in known)
