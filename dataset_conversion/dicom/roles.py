"""Assigns the DICOM series of a patient to sequences: by the user's decision, else by the first rule that matches."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from dataset_conversion.dicom.headers.slices import DicomSeries
from dataset_conversion.dicom.rules import NOT_USED, Rule, SeriesRules
from dataset_conversion.faults import Fault


@dataclass(frozen=True)
class Assignment:
    """What a series is taken for: a sequence, or ``none``; and why, in words that no header holds."""

    series: DicomSeries
    role: str
    why: str


def assign(candidates: Sequence[DicomSeries], rules: SeriesRules, *, patient: str) -> list[Assignment]:
    """What each series of the patient is taken for, in order of their numbers. Several may claim one sequence.

    A derived image counts only where no original one claims its sequence.
    Raises Fault where the rules file names a series that is not there.
    """
    decided = rules.decided.get(patient, {})
    named = {
        id(series): role
        for role, name in decided.items()
        if name != NOT_USED
        for series in _named(name, candidates, role=role)
    }
    found = [
        Assignment(series, named[id(series)], "decided in the rules file")
        if id(series) in named
        else _by_rules(series, rules.rules, decided)
        for series in sorted(candidates, key=_by_number)
    ]
    originals = {one.role for one in found if not one.series.derived or id(one.series) in named}
    return [
        replace(one, role=NOT_USED, why=f"derived, and there is an original for {one.role}")
        if one.series.derived and id(one.series) not in named and one.role in originals - {NOT_USED}
        else one
        for one in found
    ]


def choose_series(candidates: Sequence[DicomSeries], rules: SeriesRules, *, patient: str) -> dict[str, DicomSeries]:
    """The one series for each sequence that the patient has.

    Raises Fault where there is none at all, where several claim one sequence, or where they are of several
    examinations: images of different days are not to be read as one case.
    """
    return chosen_of(assign(candidates, rules, patient=patient), patient=patient)


def chosen_of(assigned: Sequence[Assignment], *, patient: str) -> dict[str, DicomSeries]:
    """``choose_series``, of what ``assign`` found."""
    claims: dict[str, list[DicomSeries]] = defaultdict(list)
    for one in assigned:
        if one.role != NOT_USED:
            claims[one.role].append(one.series)
    if not claims:
        remedy = "Look at their headers in a viewer, by number, and write a rules file that matches them."
        raise Fault(f"no rule matches any of {_listed([one.series for one in assigned])}", remedy=remedy)
    _require_one_examination(claims, patient=patient)
    if several := {role: claim for role, claim in claims.items() if len(claim) > 1}:
        problem = "; ".join(f"{len(claim)} series for {role}: {_listed(claim)}" for role, claim in several.items())
        raise Fault(problem, remedy=_decision(several, patient=patient))
    return {role: claim[0] for role, claim in sorted(claims.items())}


def _by_rules(series: DicomSeries, rules: Sequence[Rule], decided: Collection[str]) -> Assignment:
    if series.aside:
        return Assignment(series, NOT_USED, series.aside)
    number, rule = next(((i, rule) for i, rule in enumerate(rules, 1) if rule.holds(series)), (0, None))
    if rule is None:
        return Assignment(series, NOT_USED, "no rule matches")
    why = f"rule {number}{' (none)' if rule.role == NOT_USED else ''}: {rule.why(series)}"
    if rule.role in decided:
        return Assignment(series, NOT_USED, f"{why} ({rule.role}, but decided in the rules file)")
    return Assignment(series, rule.role, f"{why}; derived, there is no original" if series.derived else why)


def _by_number(series: DicomSeries) -> tuple[int, str]:
    return (int(series.number) if series.number.isdecimal() else 0), series.uid


def _named(name: str, candidates: Sequence[DicomSeries], *, role: str) -> list[DicomSeries]:
    """The series of that number or UID. Raises Fault where there is none."""
    found = [series for series in candidates if name in (series.number, series.uid)]
    # A screenshot may be stored under the series' UID.
    found = [series for series in found if not series.aside] or found
    if not found:
        remedy = f"Correct 'series' in the rules file; choose one of {_listed(candidates)}."
        raise Fault(f"there is no series {name}, which the rules file assigns to {role}", remedy=remedy)
    return found


def _require_one_examination(claims: Mapping[str, Sequence[DicomSeries]], *, patient: str) -> None:
    examinations: dict[str, list[DicomSeries]] = defaultdict(list)
    for claim in claims.values():
        for series in claim:
            examinations[series.examination].append(series)
    if len(examinations) > 1:
        listed = "; ".join(f"({i}) {_listed(group)}" for i, (_, group) in enumerate(sorted(examinations.items()), 1))
        remedy = f"Keep one examination in the folder, or choose series. {_decision(claims, patient=patient)}"
        raise Fault(f"series of {len(examinations)} examinations: {listed}", remedy=remedy)


def _decision(claims: Mapping[str, Sequence[DicomSeries]], *, patient: str) -> str:
    numbers = {role: claim[0].number if claim[0].number.isdecimal() else "UID" for role, claim in claims.items()}
    choices = ", ".join(f"{role}: {number}" for role, number in numbers.items())
    return (
        f"Choose in a rules file by series number, or by SeriesInstanceUID where the number does not tell: "
        f"'series: {{{patient}: {{{choices}}}}}'."
    )


def _listed(series: Sequence[DicomSeries]) -> str:
    return ", ".join(map(str, series))
