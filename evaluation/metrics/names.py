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
    "iou": "IoU",
    "hd95_mm": "HD95 (mm)",
    "nsd": "Surface Dice (NSD)",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "lesion_hd95_mm": "Lesion-wise HD95 (mm)",
    "lesion_nsd": "Lesion-wise NSD",
    "lesion_f1_small": "Lesion-wise F1, lesions <\N{NO-BREAK SPACE}20\N{NO-BREAK SPACE}mm³",
}
FIGURES = ("roc", "froc", "sensitivity_by_size", "reliability", "confidence", "dice", "fp")
"""The figures of an evaluation, beside one for the false positives at each limit of volume."""
LESION_WISE = ("lesion_f1", "lesion_dice")
"""One object for one lesion, in the first table of a report; evaluations of version 0.1.0 have none of them."""
_RATIOS = ("auc", "dice", "precision", "recall", "sensitivity", "iou", "nsd", "auprc")
_LESION_RATIOS = ("lesion_f1", "lesion_dice", "lesion_nsd", "lesion_f1_small")
_DECIMALS = {**dict.fromkeys((*_RATIOS, *_LESION_RATIOS), 3), "brier": 5}
"""Those with more than one. Over all voxels of an image a Brier score is small: 0.001 can be a poor one."""
_WITH_LIMIT = re.compile(r"(fp|found)_([0-9.e+-]+)mm3")


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
    """A ratio with three decimals, a volume with none, a distance, a count or a mean of counts with one, a Brier score
    with five; NaN and None as n/a.

    ``fewer`` decimals where the reader only glances.
    """
    if not isinstance(value, int | float) or math.isnan(value):
        return "n/a"
    decimals = 0 if metric.startswith("volume") else _DECIMALS.get(metric, 1)
    return f"{value:,.{max(0, decimals - fewer)}f}"


def signed(value: float, metric: str) -> str:
    """A difference, as ``printed``, with its sign."""
    return f"{'+' if value > 0 else ''}{printed(value, metric)}".replace("-", "\N{MINUS SIGN}")


def printed_p(value: object) -> str:
    """A p value as the paper prints it."""
    return "< 0.001" if isinstance(value, int | float) and value < 0.001 else printed(value)
