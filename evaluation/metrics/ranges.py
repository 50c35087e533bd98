"""Names the values that a metric of ``cases.csv`` can take: an interval of its mean ends there."""

import math

SHARES = ("auc", "dice", "precision", "recall", "sensitivity", "iou", "nsd", "auprc", "brier")
"""Between 0 and 1, as what begins with ``lesion_`` and is no distance; others are counts, volumes or distances."""


def values_between(metric: str) -> tuple[float, float]:
    """The lowest and the highest value that the metric can have."""
    is_share = metric in SHARES or (metric.startswith("lesion_") and not metric.endswith("_mm"))
    return 0.0, 1.0 if is_share else math.inf


def lower_is_better(metric: str) -> bool:
    """False positives, distances and the Brier score; of all other metrics more is better."""
    return metric.startswith("fp") or metric.endswith("_mm") or metric == "brier"
