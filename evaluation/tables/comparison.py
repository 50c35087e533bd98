"""Compares two models on the same patients with the paper's test and the paired one side by side."""

from collections.abc import Sequence

import pandas as pd

from dataset_conversion.faults import Fault
from evaluation.metrics.statistics.intervals import average
from evaluation.metrics.statistics.rank_tests import holm, rank_biserial, rank_sum, signed_rank
from evaluation.tables.results import Evaluation

COMPARED = ("auc", "dice", "precision", "recall", "sensitivity", "fp")
"""And false positives above each limit. Found lesions are tested as sensitivity: the number of lesions is common."""


def compare(a: Evaluation, b: Evaluation, *, allow_missing: bool = False) -> pd.DataFrame:
    """The rows of ``comparison.csv``; a metric counts in the patients in whom both models have a value.

    Holm's family is the metrics of this comparison, tested by signed rank. effect: matched-pairs rank biserial
    correlation, positive where a is higher; pairs without a difference draw it towards 0.
    Raises Fault where a patient is on one side only, unless that is allowed, or was compared with other references.
    """
    first, second = same_patients(a, b, allow_missing=allow_missing)
    metrics = [m for m in first.columns if m in COMPARED or m.startswith("fp_")]
    rows: list[dict[str, object]] = []
    for metric in metrics:
        both = first[metric].notna() & second[metric].notna()
        values_a, values_b = (table.loc[both, metric].to_numpy(float) for table in (first, second))
        mean_a, mean_b = average(values_a), average(values_b)
        rows.append(
            {
                "metric": metric,
                "mean_a": mean_a.mean,
                "sd_a": mean_a.sd,
                "mean_b": mean_b.mean,
                "sd_b": mean_b.sd,
                "n": int(both.sum()),
                "p_rank_sum": rank_sum(values_a, values_b),
                "p_signed_rank": signed_rank(values_a, values_b),
                "effect": rank_biserial(values_a, values_b),
            }
        )
    table = pd.DataFrame(rows)
    table.insert(table.columns.get_loc("effect"), "p_signed_rank_holm", holm(table["p_signed_rank"].tolist()))
    return table


def compare_with_all(reference: Evaluation, others: Sequence[Evaluation]) -> pd.DataFrame:
    """One model against each of several: the columns of ``compare`` and ``against, difference, ci_low, ci_high,
    p_rank_sum_holm``.

    Holm's family is all metrics and all other models. difference: the reference less the other, paired by patient, with
    the interval of its mean. Raises Fault as ``compare`` does.
    """
    tables = []
    for other in others:
        table = compare(reference, other)
        first, second = (evaluation.cases.set_index("case") for evaluation in (reference, other))
        paired = [average((first[metric] - second[metric]).to_numpy(float)) for metric in table["metric"]]
        intervals = {"difference": [p.mean for p in paired], "ci_low": [p.ci_low for p in paired]}
        tables.append(table.assign(against=other.name, **intervals, ci_high=[p.ci_high for p in paired]))
    table = pd.concat(tables, ignore_index=True)
    holm_of = {f"{test}_holm": holm(table[test].tolist()) for test in ("p_rank_sum", "p_signed_rank")}
    return table.assign(**holm_of)


def same_patients(a: Evaluation, b: Evaluation, *, allow_missing: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The cases of both, indexed by case, in one order. Raises Fault where they cannot be compared."""
    if a.name == b.name:
        raise Fault(f"both models are called {a.name}", remedy="Evaluate each with a --name of its own.")
    first, second = a.cases.set_index("case"), b.cases.set_index("case")
    if (alone := first.index.symmetric_difference(second.index)).size and not allow_missing:
        remedy = "Evaluate both on the same patients, or ignore these with --allow-missing."
        raise Fault(f"only one of {a.name} and {b.name} has {', '.join(alone)}", remedy=remedy)
    common = first.index.intersection(second.index).sort_values()
    if common.empty:
        raise Fault(f"{a.name} and {b.name} have no patient in common", remedy="Evaluate both on the same patients.")
    first, second = first.loc[common], second.loc[common]
    for column in ("n_lesions", "volume_reference_mm3"):
        if _differ(first[column].tolist(), second[column].tolist()):
            remedy = "Evaluate both against the same references, label and mask."
            raise Fault(f"{column} of one patient differs between {a.name} and {b.name}", remedy=remedy)
    if a.summary["settings"]["min_volumes_mm3"] != b.summary["settings"]["min_volumes_mm3"]:
        raise Fault(
            f"{a.name} and {b.name} have different limits of volume",
            remedy="Evaluate both with the same --min-volume-mm3.",
        )
    if a.summary["settings"]["target"] != b.summary["settings"]["target"]:
        raise Fault(
            f"{a.name} and {b.name} were evaluated on different labels", remedy="Evaluate both on the same label."
        )
    return first, second


def _differ(first: Sequence[float], second: Sequence[float]) -> bool:
    return any(abs(x - y) > 1e-6 * max(abs(x), 1) for x, y in zip(first, second, strict=True))
