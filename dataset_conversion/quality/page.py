"""Writes one HTML file with thumbnails of all patients of a converted data set, those who need a check first."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

from dataset_conversion.files.pages import templates
from dataset_conversion.files.staging import staged
from dataset_conversion.files.texts.dataset_json import Description, read_description
from dataset_conversion.files.texts.manifest_json import CaseEntry, Split, read_manifest
from dataset_conversion.outcomes import map_cases, read_summary
from dataset_conversion.quality.findings import Converted, by_reason, findings
from dataset_conversion.quality.thumbnails import Thumbnails, thumbnails

REMEDY = "Name the folder of a data set that was written by seqdropout convert."


def write_quality_page(dataset: Path, *, n_workers: int | None = 1) -> Path:
    """Writes ``qc.html`` into the data set, whole or not at all, and returns its path.

    A patient whose files cannot be read has a row that says why. Links lead to the pictures in ``qc``, if they are
    there. Raises Fault where the data set has no manifest or no ``dataset.json``.
    """
    manifest = read_manifest(dataset, remedy=REMEDY)
    description = read_description(dataset / "dataset.json")
    entries = manifest["patients"]
    work = partial(_pictures_of, dataset, entries, description)
    outcomes, pictures = map_cases(entries, work, doing="Drawing", n_workers=n_workers)
    patients = []
    for case, entry in entries.items():
        # the page may be handed on: no paths of the machine that it was made on
        problem = outcomes[case].problem.replace(f"{dataset}/", "")
        patients.append(Converted(case, entry, pictures.get(case), problem))
    pages = templates(Path(__file__).with_name("templates"))
    text = pages.get_template("quality.html.jinja").render(
        **_contents(patients),
        name=dataset.resolve().name,
        sequences=description.channel_names,
        checks=_checks(dataset, patients),
        not_converted=_not_converted(dataset, entries),
        synthetic=manifest["settings"].get("synthetic", False),
        version=version("nnunet_seqdropout"),
    )
    with staged(dataset) as stage:
        (stage / "qc.html").write_text(text, encoding="utf-8")
    return dataset / "qc.html"


def _pictures_of(dataset: Path, entries: Mapping[str, CaseEntry], description: Description, case: str) -> Thumbnails:
    subset, ending = "Ts" if entries[case]["split"] == "test" else "Tr", description.file_ending
    images = {
        name: dataset / f"images{subset}" / f"{case}_{channel:04d}{ending}"
        for channel, name in enumerate(description.channel_names)
    }
    return thumbnails(images, dataset / f"labels{subset}" / f"{case}{ending}" if entries[case]["label"] else None)


def _contents(patients: Iterable[Converted]) -> dict[str, Any]:
    """Counts for the page: patients by split and by the sequences present, and the reasons for a check."""
    found = {patient.case: findings(patient) for patient in patients}
    to_look_at = {case for case, each in found.items() if any(not finding.expected for finding in each)}
    splits = Counter(patient.entry["split"] for patient in patients)
    patterns = Counter(patient.pattern for patient in patients)
    return {
        "patients": sorted(patients, key=lambda patient: patient.case not in to_look_at),
        "findings": found,
        "to_look_at": to_look_at,
        "reasons": by_reason(found),
        "splits": {split: splits[split] for split in get_args(Split) if splits[split]},
        "patterns": dict(patterns.most_common()),
        "availability": Counter((patient.pattern, patient.entry["split"]) for patient in patients),
        "registered": any("translation_mm" in s for p in patients for s in p.entry["sequences"].values()),
        "anchors": {patient.case: f"patient-{i}" for i, patient in enumerate(patients, 1)},
    }


def _checks(dataset: Path, patients: Iterable[Converted]) -> dict[str, dict[str, str]]:
    """By patient and sequence the addresses, from the page, of the pictures that conversion left."""
    return {
        patient.case: {
            name: quote(f"qc/{patient.case}_{name}.png")
            for name in patient.entry["sequences"]
            if (dataset / "qc" / f"{patient.case}_{name}.png").is_file()
        }
        for patient in patients
    }


def _not_converted(dataset: Path, entries: Mapping[str, CaseEntry]) -> list[str]:
    """Who failed in the last conversion. Why is left to its summary, whose paths may name a patient."""
    if not (dataset / "summary.json").is_file():
        return []
    cases = read_summary(dataset / "summary.json", remedy=REMEDY)["cases"]
    return [case for case, outcome in cases.items() if outcome.status == "failed" and case not in entries]
