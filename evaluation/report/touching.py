"""Says in a sentence where a model touches many lesions but outlines few of them."""

import math
from collections.abc import Mapping
from typing import Any

from evaluation.metrics.names import printed

A_LITTLE = {"lesion_f1": 0.1, "lesion_dice": 0.25}
"""How far each may lie below the share of lesions found before it must be said. The Dice of a lesion that is outlined
well is seldom above 0.8: its mean lies below the share found even where nothing is wrong; F1 has no such distance."""


NAMED = {"lesion_f1": "a lesion-wise F1 of", "lesion_dice": "a lesion-wise Dice of"}
EXPLANATION = (
    "One predicted voxel on a lesion is enough to find it; the lesion-wise measures ask for an object that matches the "
    "lesion, and count false alarms. All are means over patients."
)


def touching_sentence(metrics: Mapping[str, Mapping[str, Any]], *, name: str = "It") -> str:
    """The sentence for ``metrics`` of a ``summary.json``; empty where the rules agree or one of them is unknown.

    A lesion is found if any predicted voxel lies on it, so that a prediction that fills the brain finds all. The
    lesion-wise measures count one object for one lesion. Both are means over patients. Only a share found that is too
    high is told: F1 lies above it by itself where there are few false alarms.
    """
    found = _mean(metrics, "sensitivity")
    lesion_wise = {metric: mean for metric in A_LITTLE if (mean := _mean(metrics, metric)) is not None}
    if found is None or all(found - mean <= A_LITTLE[metric] for metric, mean in lesion_wise.items()):
        return ""
    values = " and ".join(f"{NAMED[metric]} {printed(mean, metric)}" for metric, mean in lesion_wise.items())
    return f"{name} finds {100 * found:.0f} % of the lesions by touching them, but has {values}."


def _mean(metrics: Mapping[str, Mapping[str, Any]], name: str) -> float | None:
    mean = metrics.get(name, {}).get("mean")
    return None if mean is None or math.isnan(mean) else float(mean)
