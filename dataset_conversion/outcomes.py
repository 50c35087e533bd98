"""Runs a function on many cases and records the outcome of each; a case that fails does not stop the others."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypedDict, TypeVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from dataset_conversion.faults import Fault
from dataset_conversion.files.names import require_name
from dataset_conversion.files.texts.json_files import read_json, write_json
from dataset_conversion.processes import end_with

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome:
    status: Literal["ok", "skipped", "failed"]
    problem: str = ""
    remedy: str = ""


def map_cases(
    cases: Iterable[str], work: Callable[[str], Result], *, doing: str, n_workers: int | None = 1
) -> tuple[dict[str, Outcome], dict[str, Result]]:
    """What became of each case, and what ``work`` returned where all was well; as ``each_case`` in all else."""
    outcomes, results = {}, {}
    for case, outcome, result in each_case(cases, work, doing=doing, n_workers=n_workers):
        outcomes[case] = outcome
        if outcome.status != "failed":
            results[case] = result
    return outcomes, results


def is_quiet() -> bool:
    """Whether nothing but errors is to be said, so that no progress is shown either."""
    return log.getEffectiveLevel() >= logging.ERROR


def each_case(
    cases: Iterable[str], work: Callable[[str], Result], *, doing: str, n_workers: int | None = 1
) -> Iterator[tuple[str, Outcome, Result]]:
    """Calls ``work`` on every case behind a progress bar: what became of each and what it returned, as soon as it has.

    Whatever stops the work on a case fails that case, and is logged. With several workers ``work`` runs in processes of
    its own: what it changes in memory is lost. None: as many as ``joblib.parallel_config`` says, on its backend.
    Raises Fault where there are to be 0.
    """
    names = list(cases)
    attempts = tqdm(_attempts(names, work, n_workers), total=len(names), desc=doing, unit="case", disable=is_quiet())
    with logging_redirect_tqdm():
        for case, (outcome, result) in zip(names, attempts, strict=True):
            if outcome.status == "failed":
                log.error("%s: %s. %s", case, outcome.problem, outcome.remedy)
            yield case, outcome, result


def _attempts(
    names: list[str], work: Callable[[str], Result], n_workers: int | None
) -> Iterator[tuple[Outcome, Result]]:
    if n_workers == 0:
        raise Fault("the number of processes is 0", remedy="Give -np 1 or more.")
    if n_workers == 1:
        return (attempt(case, work) for case in names)
    # starting it takes longer than a case may
    from joblib import Parallel, delayed

    tasks = (delayed(_attempt_in_worker)(case, work, os.getpid()) for case in names)
    return Parallel(n_jobs=n_workers, return_as="generator")(tasks)


def _attempt_in_worker(case: str, work: Callable[[str], Result], parent: int) -> tuple[Outcome, Result]:
    end_with(parent)
    return attempt(case, work)


def for_each_case(
    cases: Iterable[str], work: Callable[[str], None], *, doing: str, n_workers: int | None = 1
) -> dict[str, Outcome]:
    """``map_cases`` of work that returns nothing."""
    return map_cases(cases, work, doing=doing, n_workers=n_workers)[0]


def attempt(case: str, work: Callable[[str], Result]) -> tuple[Outcome, Result]:
    """What became of ``work`` on a case, and what it returned; None where it was stopped, by whatever.

    A case whose id cannot be the name of a file fails before ``work`` is called, whatever the command.
    """
    try:
        return Outcome("ok"), work(require_name(case, what="the case"))
    except Fault as fault:
        return Outcome("failed", fault.problem, fault.remedy), None  # type: ignore[return-value]
    except OSError as error:
        remedy = "See that the file can be read and the disk has room."
        return Outcome("failed", str(error), remedy), None  # type: ignore[return-value]
    except Exception as error:
        # what a library throws at one odd case must not end the others
        log.debug("%s", case, exc_info=True)
        problem = " ".join(f"unexpected {type(error).__name__}: {error}".split())
        return Outcome("failed", problem, "Look at the case's files; if they are sound, report this."), None  # type: ignore[return-value]


class Summary(TypedDict):
    """What every command's ``summary.json`` has."""

    cases: dict[str, Outcome]


def read_summary(file: Path, *, remedy: str) -> Summary:
    return read_json(file, Summary, remedy=remedy)


def write_summary(
    folder: Path,
    *,
    command: str,
    settings: Mapping[str, object],
    outcomes: Mapping[str, Outcome],
    name: str = "summary.json",
) -> None:
    """Writes ``summary.json`` as every command on several cases does."""
    write_json(
        folder / name,
        {
            "command": command,
            "version": version("nnunet_seqdropout"),
            "settings": dict(settings),
            "cases": {case: asdict(outcome) for case, outcome in outcomes.items()},
        },
    )
