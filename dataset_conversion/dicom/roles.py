"""Assigns the DICOM series of a patient to sequences: by the user's decision, else by the first rule that matches."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from dataset_conversion.dicom.rules import NOT_USED, SeriesRules
from dataset_conversion.dicom.series import DicomSeries
from dataset_conversion.faults import Fault


def choose_series(candidates: Sequence[DicomSeries], rules: SeriesRules, *, patient: str) -> dict[str, DicomSeries]:
    """The one series for each sequence that the patient has.

    Raises Fault where there is none at all, where several claim one sequence, or where they are of several
    examinations: images of different days are not to be read as one case.
    """
    decided = rules.decided.get(patient, {})
    claims = {role: _named(name, candidates, role=role) for role, name in decided.items() if name != NOT_USED}
    taken = {series.uid for claim in claims.values() for series in claim}
    for series in candidates:
        role = next((rule.role for rule in rules.rules if rule.holds(series)), NOT_USED)
        if series.modality == "MR" and series.uid not in taken and role not in (NOT_USED, *decided):
            claims.setdefault(role, []).append(series)
    if not claims:
        remedy = "Look up their descriptions in a viewer, by number, and write a rules file that matches them."
        raise Fault(f"no rule matches any of {_listed(candidates)}", remedy=remedy)
    _require_one_examination(claims, patient=patient)
    if several := {role: claim for role, claim in claims.items() if len(claim) > 1}:
        problem = "; ".join(f"{len(claim)} series for {role}: {_listed(claim)}" for role, claim in several.items())
        raise Fault(problem, remedy=_decision(several, patient=patient))
    return {role: claim[0] for role, claim in sorted(claims.items())}


def _named(name: str, candidates: Sequence[DicomSeries], *, role: str) -> list[DicomSeries]:
    """The series of that number or UID. Raises Fault where there is none."""
    found = [series for series in candidates if name in (series.number, series.uid)]
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
