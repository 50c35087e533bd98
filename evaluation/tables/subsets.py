"""Tabulates the results on every subset of the sequences, and how much each sequence matters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dataset_conversion.faults import Fault
from dataset_conversion.files.staging import staged
from dataset_conversion.files.texts.csv_files import read_csv, write_csv
from dataset_conversion.files.texts.json_files import read_json, write_json
from dataset_conversion.outcomes import Outcome
from dataset_conversion.sequences import Pattern
from evaluation.metrics.names import LESION_WISE, false_positives
from evaluation.metrics.ranges import values_between
from evaluation.metrics.statistics.intervals import Average, average
from evaluation.tables.summary_json import CommandSummary, SubsetSummary

METRICS = ("dice", "auc", "sensitivity")


@dataclass(frozen=True)
class SubsetResults:
    """cases: a row per case and pattern: ``case, pattern, n_present, threshold`` (NaN: the most probable label) and the
    columns of ``cases.csv``; patterns as they were asked for, the largest first.

    summary: ``name, channel_names, settings, threshold, synthetic, versions``, and what became of each case.
    """

    cases: pd.DataFrame
    summary: Mapping[str, Any]

    @property
    def channel_names(self) -> list[str]:
        return list(self.summary["channel_names"])

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """What became of each case."""
        return {case: Outcome(**outcome) for case, outcome in self.summary["cases"].items()}

    @property
    def metrics(self) -> list[str]:
        """Those that every version measures, and of the later ones those that are there."""
        lesion_wise, brier = ([m for m in later if m in self.cases.columns] for later in (LESION_WISE, ["brier"]))
        return [*METRICS, *lesion_wise, *false_positives(self.cases.columns), *brier]

    @property
    def table(self) -> pd.DataFrame:
        """The rows of ``subsets.csv``."""
        rows = []
        for (n_present, shown), group in self.cases.groupby(["n_present", "pattern"], sort=False):
            for metric in self.metrics:
                within = values_between(metric)
                interval = _interval(average(group[metric].to_numpy(), values_between=within))
                rows.append({"pattern": shown, "n_present": n_present, "metric": metric, **interval})
        return pd.DataFrame(rows)

    def wide(self) -> pd.DataFrame:
        """The means alone: a row per pattern, a column per metric."""
        table = self.table.pivot(index="pattern", columns="metric", values="mean")
        return table.loc[self.cases["pattern"].unique(), self.metrics]

    def importance(self, *, metric: str = "dice") -> pd.DataFrame:
        """What is lost without each sequence: all less all but it, paired by case, with its interval.

        All are those that occur in the patterns. No row for a sequence where one of the two was not measured, or no
        case has both.
        """
        by_pattern = {shown: group.set_index("case")[metric] for shown, group in self.cases.groupby("pattern")}
        occurring = {name for shown in by_pattern for name in Pattern.parse(shown)}
        names = [name for name in self.channel_names if name in occurring]
        complete = str(Pattern(tuple(names)))
        rows = []
        for name in names:
            rest = str(Pattern(tuple(other for other in names if other != name)))
            if complete in by_pattern and rest in by_pattern:
                lost = average((by_pattern[complete] - by_pattern[rest]).to_numpy())
                rows.append({"without": name, "metric": metric, **_interval(lost)})
        return pd.DataFrame(rows, columns=["without", "metric", "mean", "ci_low", "ci_high", "n"])

    def write(self, folder: Path) -> None:
        """``subsets.csv``, ``importance.csv``, ``cases.csv`` and ``summary.json``; all or none."""
        with staged(folder) as stage:
            write_csv(self.table, stage / "subsets.csv")
            write_csv(self.importance(), stage / "importance.csv")
            write_csv(self.cases, stage / "cases.csv")
            write_json(stage / "summary.json", self.summary)


def read_subset_results(folder: Path) -> SubsetResults:
    """Reads what ``SubsetResults.write`` wrote. Raises Fault where it is not there or not whole."""
    remedy, file = "Give a folder that seqdropout subsets wrote.", folder / "summary.json"
    if (command := read_json(file, CommandSummary, remedy=remedy)["command"]) != "subsets":
        raise Fault(f"its summary.json is from the command {command}", file=folder, remedy=remedy)
    columns = ("case", "pattern", "n_present", "threshold", *METRICS, "fp")
    cases = read_csv(folder / "cases.csv", text=("case", "pattern"), columns=columns, remedy=remedy)
    if cases.empty:
        raise Fault("it has no rows", file=folder / "cases.csv", remedy=remedy)
    if cases[["case", "pattern", "n_present"]].isna().any(axis=None) or cases.duplicated(["case", "pattern"]).any():
        problem = "a case, pattern or n_present is empty, or a case stands twice in a pattern"
        raise Fault(problem, file=folder / "cases.csv", remedy=remedy)
    return SubsetResults(cases, read_json(file, SubsetSummary, remedy=remedy))


def joined(parts: Sequence[SubsetResults]) -> SubsetResults:
    """The results of models that were trained alike, each on its own patients, as of one; no patient is in two parts.

    What else the summary says is that of the first.
    """
    outcomes = {case: outcome for part in parts for case, outcome in part.summary["cases"].items()}
    cases = pd.concat([part.cases for part in parts]).sort_values("n_present", ascending=False, kind="stable")
    return SubsetResults(cases.reset_index(drop=True), {**parts[0].summary, "cases": outcomes})


def _interval(mean: Average) -> dict[str, float]:
    return {"mean": mean.mean, "ci_low": mean.ci_low, "ci_high": mean.ci_high, "n": mean.n}
