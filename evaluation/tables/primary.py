"""Tests a study's one primary endpoint: the reference model against each other, and non-inferiority to one of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from evaluation.metrics.ranges import lower_is_better
from evaluation.metrics.statistics.intervals import average, p_of_mean_above_0
from evaluation.metrics.statistics.rank_tests import holm, rank_biserial, signed_rank
from evaluation.tables.comparison import same_patients
from evaluation.tables.results import Evaluation

METRIC = "lesion_f1"
MARGIN = 0.05


@dataclass(frozen=True)
class NonInferiority:
    """Whether the reference model is at most a margin worse than another; the margin is in the metric's units.

    difference: the mean of the reference less the other, turned where lower is better: above 0 the reference is better.
    lowest: lower end of its 95 % interval, so that 2.5 % lie below. p: one-sided, that the true difference is -margin
    or less. non_inferior: lowest is above -margin; None where nothing can be said, with fewer than two
    patients or where all of them differ by the same.
    """

    against: str
    metric: str
    margin: float
    n: int
    difference: float
    lowest: float
    p: float
    non_inferior: bool | None


def primary_endpoint(reference: Evaluation, others: Sequence[Evaluation], *, metric: str = METRIC) -> pd.DataFrame:
    """A row for each other model: ``against, metric, n, mean_reference, mean_other, difference, ci_low, ci_high,
    p_signed_rank, p_holm, effect``.

    Over the patients in whom both models have a value. Where models have several seeds these are the evaluations of
    ``averaged``. difference: the reference less the other. Holm's family is these rows. Raises Fault as ``compare``
    does, and where the metric was not measured.
    """
    rows = []
    for other in others:
        of_reference, of_other = _paired(reference, other, metric)
        difference = average(of_reference - of_other)
        rows.append(
            {
                "against": other.name,
                "metric": metric,
                "n": difference.n,
                "mean_reference": average(of_reference).mean,
                "mean_other": average(of_other).mean,
                "difference": difference.mean,
                "ci_low": difference.ci_low,
                "ci_high": difference.ci_high,
                "p_signed_rank": signed_rank(of_reference, of_other),
                "effect": rank_biserial(of_reference, of_other),
            }
        )
    table = pd.DataFrame(rows)
    table.insert(table.columns.get_loc("effect"), "p_holm", holm(table["p_signed_rank"].tolist()))
    return table


def non_inferiority(
    reference: Evaluation,
    dedicated: Evaluation,
    *,
    metric: str = METRIC,
    margin: float = MARGIN,
) -> NonInferiority:
    """See ``NonInferiority``; the patients are those of ``primary_endpoint``. Raises Fault where the margin is not
    above 0."""
    if not margin > 0:
        raise Fault(f"the margin of non-inferiority is {margin:g}", remedy="Give a number above 0.")
    of_reference, of_dedicated = _paired(reference, dedicated, metric)
    better = -1 if lower_is_better(metric) else 1
    difference = better * (of_reference - of_dedicated)
    mean = average(difference)
    return NonInferiority(
        against=dedicated.name,
        metric=metric,
        margin=margin,
        n=mean.n,
        difference=mean.mean,
        lowest=mean.ci_low,
        p=p_of_mean_above_0(difference + margin),
        non_inferior=None if not mean.ci_low < mean.ci_high else bool(mean.ci_low > -margin),
    )


def _paired(reference: Evaluation, other: Evaluation, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The values of both in the patients in whom both are defined."""
    tables = same_patients(reference, other, allow_missing=False)
    for evaluation, cases in zip((reference, other), tables, strict=True):
        if metric not in cases.columns:
            remedy = f"Name one of {', '.join(cases.select_dtypes('number').columns)}."
            raise Fault(f"{evaluation.name} has no {metric}", remedy=remedy)
    first, second = (cases[metric].to_numpy(float) for cases in tables)
    both = ~np.isnan(first) & ~np.isnan(second)
    return first[both], second[both]
