"""Averages the evaluations of one model trained with several seeds, and computes the spread between seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from evaluation.metrics.statistics.intervals import average
from evaluation.tables.froc import mean_froc
from evaluation.tables.protocols import protocol_averages
from evaluation.tables.results import Evaluation
from evaluation.tables.subsets import SubsetResults
from evaluation.tables.summaries import averages, sensitivity_by_size, strata


@dataclass(frozen=True)
class OfSeed:
    """The results of one seed of a model. report: its own report, relative to the page that names it."""

    seed: int
    evaluation: Evaluation
    report: str


def averaged(evaluations: Sequence[Evaluation], *, name: str) -> Evaluation:
    """The evaluations of one model's seeds on the same patients as one evaluation: of one seed, that with the name.

    A patient's value is the mean over the seeds in which it is defined; averages, intervals and strata are those of
    these values, and totals their sums. ROC and FROC are the means of the seeds' curves, at each false positive rate
    and each number of false positives. There is no threshold of its own. lesions: those of every seed, one below the
    other. What else the summary says is that of the first seed.
    """
    first, summaries = evaluations[0], [evaluation.summary for evaluation in evaluations]
    if len(evaluations) == 1:
        return replace(first, summary={**first.summary, "name": name})
    cases = _means([evaluation.cases for evaluation in evaluations], by=["case"])
    protocols = pd.DataFrame()
    if all(len(evaluation.protocols) for evaluation in evaluations):
        protocols = _means([evaluation.protocols for evaluation in evaluations], by=["case", "method"])
    lesions = pd.concat([evaluation.lesions for evaluation in evaluations], ignore_index=True)
    summary = {
        **first.summary,
        "name": name,
        "threshold": {**first.summary["threshold"], "source": _source(summaries), "values": {}},
        "protocols": protocol_averages(protocols),
        "metrics": averages(cases),
        "totals": _totals(cases, of=first.summary["totals"]),
        "strata": strata(cases),
        "sensitivity_by_size": _by_size(lesions, evaluations),
        "warnings": list(dict.fromkeys(warning for s in summaries for warning in s["warnings"])),
        "cases": _outcomes(summaries),
    }
    return Evaluation(
        cases,
        lesions,
        roc=_mean_roc([evaluation.roc for evaluation in evaluations]),
        froc=mean_froc([evaluation.froc for evaluation in evaluations]),
        summary=summary,
        protocols=protocols,
        reliability=_mean_reliability([evaluation.reliability for evaluation in evaluations]),
        confidence=_mean_confidence([evaluation.confidence for evaluation in evaluations]),
    )


def averaged_subsets(seeds: Sequence[SubsetResults]) -> SubsetResults:
    """As ``averaged`` for the results on every subset; each seed has its own thresholds, so that the mean has none."""
    first = seeds[0]
    if len(seeds) == 1:
        return first
    cases = _means([results.cases for results in seeds], by=["case", "pattern", "n_present"])
    threshold = {**first.summary["threshold"], "values": {}}
    outcomes = _outcomes([results.summary for results in seeds])
    return SubsetResults(cases.assign(threshold=np.nan), {**first.summary, "threshold": threshold, "cases": outcomes})


def spread(evaluations: Sequence[Evaluation], metric: str) -> dict[str, float]:
    """n_seeds: those in which the metric has a mean over patients. sd_seeds: standard deviation (n-1) of these means,
    NaN where there are fewer than two."""
    means = [evaluation.summary["metrics"][metric]["mean"] for evaluation in evaluations]
    over_seeds = average(np.array(means, float))
    return {"n_seeds": over_seeds.n, "sd_seeds": over_seeds.sd}


def _means(tables: Sequence[pd.DataFrame], *, by: list[str]) -> pd.DataFrame:
    """Of every column of numbers over the rows that have it, and the first of every text; columns as in the tables."""
    groups = pd.concat(tables, ignore_index=True).groupby(by, sort=False)
    means = groups.mean(numeric_only=True)
    texts = {name: groups[name].first() for name in tables[0].columns if name not in {*means.columns, *by}}
    return means.assign(**texts).reset_index()[list(tables[0].columns)]


def _totals(cases: pd.DataFrame, *, of: Mapping[str, float]) -> dict[str, float]:
    """The totals that ``of`` has; whole numbers where they are."""
    return {name: len(cases) if name == "n_patients" else _whole(cases[name].sum()) for name in of}


def _whole(value: float) -> float:
    """A mean of counts, without what the addition of thirds leaves behind."""
    rounded = round(float(value), 6)
    return int(rounded) if rounded.is_integer() else rounded


def _by_size(lesions: pd.DataFrame, evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """Patients count with their mean over the seeds that evaluated them; the interval is that of a single seed that
    found as many lesions: the mean of several is less variable by an unknown amount."""
    times = pd.concat([evaluation.cases["case"] for evaluation in evaluations]).value_counts()
    rows = sensitivity_by_size(lesions, times=times)
    return [{**row, **{name: _whole(row[name] or 0) for name in ("n_lesions", "n_found")}} for row in rows]


def _mean_roc(curves: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The band is as wide as those of the seeds in the mean; the patients' mean curves would have one no wider."""
    drawn = [curve for curve in curves if len(curve)]
    if not drawn:
        return curves[0]
    # at 0 and 1 bands are cut off: the longer side of each tells how wide it was
    halves = [np.maximum(c["tpr_high"] - c["tpr_mean"], c["tpr_mean"] - c["tpr_low"]) for c in drawn]
    mean = _means([curve.assign(half=half) for curve, half in zip(drawn, halves, strict=True)], by=["fpr"])
    low, high = mean["tpr_mean"] - mean["half"], mean["tpr_mean"] + mean["half"]
    return mean.assign(tpr_low=low.clip(0, 1), tpr_high=high.clip(0, 1)).drop(columns="half")


def _mean_reliability(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The voxels of all seeds together."""
    drawn = [table for table in tables if len(table)]
    if not drawn:
        return tables[0]
    table = pd.concat(drawn)
    table = table.assign(total=table["p_mean"] * table["n_voxels"], lesion=table["lesion_share"] * table["n_voxels"])
    sums = table.groupby(["pattern", "p_from", "p_to"], as_index=False, sort=False, dropna=False)
    sums = sums[["n_voxels", "total", "lesion"]].sum()
    shares = {"p_mean": sums["total"] / sums["n_voxels"], "lesion_share": sums["lesion"] / sums["n_voxels"]}
    return sums.assign(**shares).drop(columns=["total", "lesion"])


def _mean_confidence(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Counts and ends of the intervals are means over the seeds that have objects of this confidence: more trainings
    are not more patients. Nothing where a seed has label maps."""
    if not all(len(table) for table in tables):
        return pd.DataFrame()
    means = _means(tables, by=["measure", "p_from", "p_to"]).sort_values(["measure", "p_from"], ignore_index=True)
    return means.assign(true_share=means["n_true"] / means["n_objects"])


def _source(summaries: Sequence[Mapping[str, Any]]) -> str:
    return " ".join(dict.fromkeys(summary["threshold"]["source"] for summary in summaries))


def _outcomes(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What became of each case: in the first seed that could use it, else in the first."""
    found: dict[str, Any] = {}
    for case, outcome in (item for summary in summaries for item in summary["cases"].items()):
        if case not in found or (outcome["status"] == "ok" != found[case]["status"]):
            found[case] = outcome
    return found
