"""Names the metrics for figures and reports, and formats their values."""

import math
import re
from collections.abc import Iterable

NAMES = {
    "auc": "AUC",
    "dice": "Dice",
    "precision": "Precision",
    "recall": "Recall",
    "sensitivity": "Lesions found, share",
    "lesion_f1": "Lesion-wise F1",
    "lesion_dice": "Lesion-wise Dice",
    "n_lesions": "Lesions",
    "n_found": "Lesions found",
    "n_objects": "Predicted objects",
    "fp": "False positives",
    "volume_reference_mm3": "Volume, reference (mm³)",
    "volume_predicted_mm3": "Volume, predicted (mm³)",
}
LESION_WISE = ("lesion_f1", "lesion_dice")
"""One object for one lesion; an evaluation by an earlier version has none of them."""
_RATIOS = ("auc", "dice", "precision", "recall", "sensitivity", *LESION_WISE)
_WITH_LIMIT = re.compile(r"(fp|found)_([0-9.]+)mm3")


def label(metric: str) -> str:
    """The metric's name for a reader; an unknown one keeps its own."""
    if limited := _WITH_LIMIT.fullmatch(metric):
        kind = "False positives" if limited[1] == "fp" else "Lesions found by objects"
        return f"{kind} ≥\N{NO-BREAK SPACE}{limited[2]}\N{NO-BREAK SPACE}mm³"
    return NAMES.get(metric, metric)


def limit(metric: str) -> str:
    """The least volume, in mm3, that the metric counts; empty without one."""
    limited = _WITH_LIMIT.fullmatch(metric)
    return limited[2] if limited else ""


def false_positives(metrics: Iterable[str]) -> list[str]:
    """Those of the metrics that count false positives: without a limit, then by the limit in mm3."""
    limits = [found for metric in metrics if (found := _WITH_LIMIT.fullmatch(metric)) and found[1] == "fp"]
    return ["fp", *(found[0] for found in sorted(limits, key=lambda found: float(found[2])))]


def printed(value: object, metric: str = "dice", *, fewer: int = 0) -> str:
    """A ratio with three decimals, a volume with none, a count or a mean of counts with one; NaN and None as n/a.

    ``fewer`` decimals where the reader only glances.
    """
    if not isinstance(value, int | float) or math.isnan(value):
        return "n/a"
    decimals = 3 if metric in _RATIOS else 0 if metric.startswith("volume") else 1
    return f"{value:,.{max(0, decimals - fewer)}f}"


def counted(value: float) -> str:
    """A count; a mean of counts with one decimal if it is not whole."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def signed(value: float, metric: str) -> str:
    """A difference, as ``printed``, with its sign."""
    return f"{'+' if value > 0 else ''}{printed(value, metric)}".replace("-", "\N{MINUS SIGN}")


def printed_p(value: object) -> str:
    """A p value as the paper prints it."""
    return "< 0.001" if isinstance(value, int | float) and value < 0.001 else printed(value)
