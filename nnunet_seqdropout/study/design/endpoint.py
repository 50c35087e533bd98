"""Names the one endpoint of a study before it is run: the metric, the patients it is taken from, and a margin."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.json_files import read_json, write_json
from dataset_conversion.files.texts.typed import Count, Positive
from evaluation.metrics.ranges import values_between
from evaluation.tables.primary import MARGIN, METRIC

METRICS = (
    *("lesion_f1", "lesion_dice", "lesion_hd95_mm", "lesion_nsd", "lesion_f1_small"),
    *("dice", "iou", "recall", "precision", "sensitivity", "fp", "hd95_mm", "nsd"),
)
"""Columns of ``cases.csv`` that tell a good model from a bad one, with or without probabilities."""

FILE = "endpoint.json"


@dataclass(frozen=True)
class Endpoint:
    """metric: one of METRICS. scenario, target: None are the first of the design.

    dedicated: the arm to which the reference must not be inferior by ``margin``, in the metric's units; None is an
    arm that was trained on the sequences of the test patients, nnUNetTrainer before others, if there is one. A metric
    that is no share of 1 has no margin of its own: the design must give one.
    """

    metric: str = METRIC
    scenario: str | None = None
    target: str | None = None
    dedicated: str | None = None
    margin: Positive | None = None

    @property
    def allowed(self) -> float:
        """The margin, by default that of shares."""
        return MARGIN if self.margin is None else self.margin

    def require_sound(self, *, scenarios: Sequence[str], targets: Sequence[str], others: Sequence[str]) -> None:
        """others: the arms but for the reference. Raises Fault where the design has nothing of that name."""
        known = {
            "metric": (self.metric, METRICS),
            "scenario": (self.scenario, scenarios),
            "target": (self.target, targets),
            "dedicated": (self.dedicated, others),
        }
        for key, (value, possible) in known.items():
            if value is not None and value not in possible:
                raise Fault(f"primary: invalid {key}: {value}", remedy=f"Choose among {', '.join(possible)}.")
        if self.margin is None and values_between(self.metric) != (0, 1):
            remedy = f"Write margin: with the largest difference in {self.metric} that does not matter."
            raise Fault(f"primary: {self.metric} is no share of 1 and has no default margin", remedy=remedy)


class _Declared(TypedDict):
    """The endpoint's own keys are compared as they are."""

    n_results_before: Count


def declare(endpoint: Endpoint, folder: Path, *, n_results: int) -> None:
    """Writes ``endpoint.json`` when a study is first run, and never again.

    endpoint: with every name filled in. n_results: how many evaluations there were already.
    """
    if not (file := folder / FILE).exists():
        write_json(file, {"version": 1, **asdict(endpoint), "n_results_before": n_results})


def not_as_declared(endpoint: Endpoint, folder: Path) -> Iterator[str]:
    """What a reader must know where the endpoint was named, or named differently, after there were results."""
    if not (file := folder / FILE).exists():
        yield f"When the primary endpoint was named is not recorded: there is no {FILE}."
        return
    declared = read_json(file, _Declared, remedy=f"Restore {FILE} from a backup.")
    if before := declared["n_results_before"]:
        yield f"The primary endpoint was named when {before} evaluations of this study were already there."
    words = [
        f"{key} {declared.get(key)}, now {value}"
        for key, value in asdict(endpoint).items()
        if declared.get(key) != value
    ]
    if words:
        yield f"The primary endpoint was changed after the study had been started: {'; '.join(words)}."
