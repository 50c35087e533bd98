"""Predicts many cases into a folder; a bad case is reported, the others continue, and finished ones are kept."""

import logging
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.json_files import write_json
from dataset_conversion.outcomes import Outcome, attempt, is_quiet, map_cases, write_summary
from dataset_conversion.plurals import n_of
from dataset_conversion.sequences import Pattern
from evaluation.inputs.thresholds import Thresholds
from nnunet_seqdropout.prediction.case import CaseInput, CaseRead
from nnunet_seqdropout.prediction.model import Model
from nnunet_seqdropout.prediction.outputs import Choices, Ready, Writer

log = logging.getLogger(__name__)

_RECORD_BYTES = 2**20
"""An upper limit for the size of a case's record and its table of lesions."""


@dataclass(frozen=True)
class Preflight:
    """cases: all that were looked at. One that was read holds its images until it is its turn.

    faulty: those that cannot be predicted, and why. n_voxels: of each of the others, the size of its images.
    """

    cases: Mapping[str, CaseInput]
    faulty: Mapping[str, Outcome]
    n_voxels: Mapping[str, int]


def preflight(
    cases: Mapping[str, CaseInput],
    *,
    thresholds: Thresholds | None = None,
    channel_names: Sequence[str] = (),
    there: Collection[str] = (),
) -> Preflight:
    """Looks at every case and its threshold before a model is loaded. Raises Fault if none can be predicted.

    All are judged by their headers; then they are read until one is found that is sound in every voxel, which is kept.
    No case is read twice, and none at all where one of ``there`` is among them, whose results lie there already.
    """

    def look_at(case: str) -> int:
        found = cases[case].preview()
        for note in cases[case].notes:
            log.warning("%s: %s", case, note)
        try:
            require_threshold(thresholds, found.channels, channel_names)
        except Fault:
            # an image with one value, which headers do not tell, is as good as absent; what has a threshold has one
            # without it, too
            require_threshold(thresholds, cases[case].read().by_channel, channel_names)
        return found.n_voxels

    outcomes, n_voxels = map_cases(cases, look_at, doing="Checking")
    faulty = {case: outcome for case, outcome in outcomes.items() if outcome.status == "failed"}
    kept: dict[str, CaseInput] = {}
    with logging_redirect_tqdm():
        for case in () if n_voxels.keys() & set(there) else tuple(n_voxels):
            outcome, images = attempt(case, lambda each: cases[each].read())
            if outcome.status == "ok":
                kept[case] = CaseRead(cases[case], [images])
                break
            log.error("%s: %s. %s", case, outcome.problem, outcome.remedy)
            faulty[case] = outcome
            del n_voxels[case]
    if cases and len(faulty) == len(cases):
        first = faulty[next(iter(cases))]
        raise Fault(
            f"none of {n_of(len(cases), 'case')} can be predicted; the first: {first.problem}", remedy=first.remedy
        )
    return Preflight({**cases, **kept}, faulty, n_voxels)


def require_threshold(thresholds: Thresholds | None, channels: Collection[int], channel_names: Sequence[str]) -> None:
    """Raises Fault where there are thresholds, and none for a case that has these channels."""
    if thresholds is not None:
        present = [channel in channels for channel in range(len(channel_names))]
        thresholds.for_pattern(str(Pattern.of(present, channel_names)), channel_names=channel_names)


def cases_there(target: Path, cases: Collection[str], choices: Choices, file_ending: str) -> set[str]:
    """On resuming, those whose files are there, if perhaps broken or of other settings."""
    further = {case: [name for extra in choices.extras for name in extra.names(case)] for case in cases}
    names = {case: [f"{case}{file_ending}", *further[case]] for case in cases if choices.resume}
    return {case for case, files in names.items() if all((target / name).is_file() for name in files)}


def bytes_needed(found: Preflight, choices: Choices, there: Collection[str]) -> int:
    """The most that the outputs of those not ``there`` can take: as if nothing could be compressed."""
    of_voxel = 1 + {None: 0, "uint16": 2, "float32": 4}[choices.save_probabilities]
    return sum(
        n_voxels * of_voxel + _RECORD_BYTES + sum(extra.most_bytes(n_voxels) for extra in choices.extras)
        for case, n_voxels in found.n_voxels.items()
        if case not in there
    )


def predict_folder(
    model: Model,
    cases: Mapping[str, CaseInput],
    target: Path,
    choices: Choices | None = None,
    *,
    known_faulty: Mapping[str, Outcome] | None = None,
    summary: str = "summary.json",
    n_prepared: int = 1,
    n_written: int = 1,
) -> dict[str, Outcome]:
    """Predicts every case into ``target`` but those known to be faulty; a bad one is reported and the others go on.

    While one case is predicted, the next ``n_prepared`` are read and preprocessed, and the previous ``n_written`` are
    written; more are not held in memory, however slow the disk.
    summary: name of the file with the outcomes, where several processes share the folder.
    """
    choices = choices or Choices()
    target.mkdir(parents=True, exist_ok=True)
    writer = Writer(model, target, choices)
    outcomes = dict(known_faulty or {})
    for case, found in cases.items():
        if choices.resume and case not in outcomes and writer.is_done(case, found):
            outcomes[case] = Outcome("skipped", "predicted before")
    todo = [case for case in cases if case not in outcomes]
    being_written: deque[tuple[str, Future]] = deque()

    def finish(case: str, outcome: Outcome) -> None:
        outcomes[case] = outcome
        if outcome.status == "failed":
            log.error("%s: %s. %s", case, outcome.problem, outcome.remedy)

    def finish_oldest() -> None:
        case, future = being_written.popleft()
        finish(case, future.result())

    with logging_redirect_tqdm(), ThreadPoolExecutor(n_prepared) as readers, ThreadPoolExecutor(n_written) as writers:
        prepared = _ahead(model, cases, todo, readers, n_prepared)
        for case, (outcome, ready) in tqdm(prepared, total=len(todo), desc="Predicting", disable=is_quiet()):
            if outcome.status == "failed":
                finish(case, outcome)
                continue
            warnings: list[str] = []
            logits = model.logits(ready.preprocessed, warn=warnings.append)
            for warning in warnings:
                log.warning("%s: %s", case, warning)
            predicted = replace(ready, warnings=(*ready.warnings, *warnings))
            if len(being_written) == n_written:
                finish_oldest()
            being_written.append((case, writers.submit(writer.attempt, case, predicted, logits)))
        while being_written:
            finish_oldest()
    outcomes = {case: outcomes[case] for case in cases}
    settings = {"model": str(model.folder), "target": str(choices.target), "threshold_source": choices.threshold_source}
    write_summary(target, command="predict", settings=settings, outcomes=outcomes, name=summary)
    if summary == "summary.json":
        # what parts of the prediction said is no longer true of the whole
        for of_part in target.glob("summary_part_*.json"):
            of_part.unlink()
    write_json(target / "dataset.json", model.predictor.dataset_json)
    return outcomes


def _ahead(
    model: Model, cases: Mapping[str, CaseInput], todo: list[str], readers: ThreadPoolExecutor, n: int
) -> Iterator[tuple[str, Any]]:
    """Yields each case read and preprocessed, and prefetches the next ``n``."""

    def prepare(case: str) -> Ready:
        images = cases[case].read()
        preprocessed = model.preprocess(images.by_channel)
        of_model = model.warnings(preprocessed.present)
        for warning in of_model:
            log.warning("%s: %s", case, warning)
        return Ready(images, preprocessed, (*images.warnings, *of_model), images.identity)

    ahead: deque[tuple[str, Future]] = deque()
    for case in todo:
        ahead.append((case, readers.submit(attempt, case, prepare)))
        if len(ahead) > n:
            first, future = ahead.popleft()
            yield first, future.result()
    for case, future in ahead:
        yield case, future.result()
