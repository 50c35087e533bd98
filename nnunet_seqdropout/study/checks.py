"""Checks before any training that a study's design is possible with its cohort."""

from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.dataset_json import read_dataset_json, stored_names
from nnunet_seqdropout.study.folder import Study


def require_possible(study: Study) -> None:
    """Raises Fault where the study could not come to its end."""
    for labels in study.design.targets.values():
        study.cohort.require_target(labels)
    _require_each_to_validate_once(study)
    _require_folder_of_this_cohort(study)
    if study.design.threshold != "argmax":
        _require_validation_of_every_pattern(study)
    if study.design.threshold in ("dice", "youden"):
        _require_lesions_in_every_validation_pattern(study)


def _require_each_to_validate_once(study: Study) -> None:
    """Requires that each patient is a validation patient of one fold only, since one model makes the predictions."""
    if twice := {case for case in study.validation_cases if study.validation_cases.count(case) > 1}:
        problem = f"{', '.join(sorted(twice))} are validation patients in several of the folds {study.design.folds}"
        file = study.cohort.folder / "splits_final.json"
        raise Fault(problem, file=file, remedy="Give fewer folds in the design.")


def _require_folder_of_this_cohort(study: Study) -> None:
    """nnU-Net takes one data set for each number, and all of a study have channels of one data set."""
    ours = {*_stored(study.cohort.folder)}
    for folder in sorted(study.raw_data.glob("Dataset*")):
        if (folder / "dataset.json").is_file() and {*_stored(folder)} - ours:
            raise _of_another(study, folder)
    for raw in map(study.raw, study.sequence_sets):
        if others := {*raw.parent.glob(f"{raw.name.partition('_')[0]}_*")} - {raw}:
            raise _of_another(study, others.pop())


def _stored(folder: Path) -> list[str]:
    return stored_names(read_dataset_json(folder / "dataset.json", required=("channel_names",))["channel_names"])


def _of_another(study: Study, raw: Path) -> Fault:
    problem = f"this is the study of another data set, {raw.name}"
    return Fault(problem, file=study.folder, remedy="Give another folder with -o.")


def _require_validation_of_every_pattern(study: Study) -> None:
    """A threshold is that of the same sequences, or of more."""
    for scenario, gone in study.design.scenarios.items():
        calibrated = _validated(study, scenario)
        for case in study.test_cases:
            has = {*study.cohort.present[case]} - {*study.cohort.named(gone)}
            if not any(has <= patient for patient in calibrated.values()):
                problem = f"no validation patient has all of {', '.join(sorted(has))}, as test patient {case} has"
                remedy = "Declare validation patients who have them, or write threshold: argmax into the design."
                raise Fault(problem, file=study.cohort.folder, remedy=remedy)


def _require_lesions_in_every_validation_pattern(study: Study) -> None:
    """Without any there is neither a Dice nor a Youden index."""
    (labels,) = study.design.targets.values()
    diseased = {case for case in study.validation_cases if study.cohort.has(labels, case)}
    for scenario in study.design.scenarios:
        patterns = _validated(study, scenario)
        for case, pattern in patterns.items():
            if pattern not in {patterns[other] for other in diseased}:
                problem = f"no validation patient with {', '.join(sorted(pattern))} (those of {case}) has a lesion"
                remedy = (
                    "Declare one with a lesion, remove these patients from the validation, or write threshold: argmax."
                )
                raise Fault(problem, file=study.cohort.folder, remedy=remedy)


def _validated(study: Study, scenario: str) -> dict[str, frozenset[str]]:
    """What each validation patient is predicted with. Raises Fault where that is nothing."""
    absent = {*study.absent_in_validation(scenario)}
    patterns = {case: frozenset(study.cohort.present[case]) - absent for case in study.validation_cases}
    for case, pattern in patterns.items():
        if not pattern:
            problem = f"validation patient {case} has no sequence that any test patient has"
            raise Fault(problem, file=study.cohort.folder, remedy="Remove this patient from the validation patients.")
    return patterns
