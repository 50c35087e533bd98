"""Names the one endpoint of a study before it is run: the metric, the patients it is taken from, and a margin."""

from collections.abc import Sequence
from dataclasses import dataclass

from dataset_conversion.faults import Fault
from evaluation.tables.primary import MARGIN, METRIC

METRICS = (
    *("lesion_f1", "lesion_dice", "lesion_hd95_mm", "lesion_nsd", "lesion_f1_small"),
    *("dice", "iou", "recall", "precision", "sensitivity", "fp", "hd95_mm", "nsd"),
)
"""Columns of ``cases.csv`` that tell a good model from a bad one, with or without probabilities."""


@dataclass(frozen=True)
class Endpoint:
    """metric: one of METRICS. scenario, target: None are the first of the design.

    dedicated: the arm to which the reference must not be inferior by ``margin``, in the metric's units; None is an
    arm that was trained on the sequences of the test patients, nnUNetTrainer before others, if there is one.
    """

    metric: str = METRIC
    scenario: str | None = None
    target: str | None = None
    dedicated: str | None = None
    margin: float = MARGIN

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
        if isinstance(self.margin, bool) or not isinstance(self.margin, int | float) or not self.margin > 0:
            raise Fault(f"primary: invalid margin: {self.margin}", remedy="Write a number above 0.")
