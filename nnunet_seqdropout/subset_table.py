"""How much each sequence matters: every subset of them, predicted from the same cases, against their references."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from dataset_conversion.faults import Fault
from dataset_conversion.images import staged
from dataset_conversion.outcomes import Outcome, attempt
from dataset_conversion.sequences import pattern
from evaluation.inputs import Folders, Target
from evaluation.patient import Grid, Rules, evaluate_patient
from evaluation.stats import average
from evaluation.thresholds import Thresholds
from nnunet_seqdropout.prediction import Model, Preprocessed
from nnunet_seqdropout.prediction_inputs import CaseInput

METRICS = ("dice", "auc", "sensitivity", "fp")


@dataclass(frozen=True)
class SubsetResults:
    """cases: a row per case and pattern: ``pattern, n_present`` and the columns of ``cases.csv``. outcomes: what became
    of each case."""

    cases: pd.DataFrame
    outcomes: Mapping[str, Outcome]

    @property
    def table(self) -> pd.DataFrame:
        """The rows of ``subsets.csv``: patterns from the largest on, in channel order."""
        rows = []
        for (n_present, shown), group in self.cases.groupby(["n_present", "pattern"], sort=False):
            for metric in [name for name in self.cases.columns if name in METRICS or name.startswith("fp_")]:
                mean = average(group[metric].to_numpy())
                summary = {"mean": mean.mean, "ci_low": mean.ci_low, "ci_high": mean.ci_high, "n": mean.n}
                rows.append({"pattern": shown, "n_present": n_present, "metric": metric, **summary})
        return pd.DataFrame(rows)

    def wide(self) -> pd.DataFrame:
        """The means alone: a row per pattern, a column per metric."""
        table = self.table.pivot(index="pattern", columns="metric", values="mean")
        return table.loc[self.cases["pattern"].unique(), list(self.table["metric"].unique())]

    def write(self, folder: Path, channel_names: Sequence[str]) -> None:
        """``subsets.csv``, ``importance.csv``, ``cases.csv`` and the heat map; all or none."""
        from evaluation.heat_map import heat_map

        with staged(folder) as stage:
            self.table.to_csv(stage / "subsets.csv", index=False)
            self.importance(channel_names).to_csv(stage / "importance.csv", index=False)
            self.cases.to_csv(stage / "cases.csv", index=False)
            figure = heat_map(self.wide(), channel_names)
            for ending in ("png", "pdf"):
                figure.savefig(stage / f"heat_map.{ending}", dpi=150)

    def importance(self, channel_names: Sequence[str], *, metric: str = "dice") -> pd.DataFrame:
        """What is lost without each sequence: all less all but it, paired by case, with its interval."""
        by_pattern = {shown: group.set_index("case")[metric] for shown, group in self.cases.groupby("pattern")}
        complete = "+".join(channel_names)
        rows = []
        for name in channel_names:
            rest = "+".join(other for other in channel_names if other != name)
            if complete in by_pattern and rest in by_pattern:
                lost = average((by_pattern[complete] - by_pattern[rest]).to_numpy())
                interval = {"mean": lost.mean, "ci_low": lost.ci_low, "ci_high": lost.ci_high, "n": lost.n}
                rows.append({"without": name, "metric": metric, **interval})
        return pd.DataFrame(rows, columns=["without", "metric", "mean", "ci_low", "ci_high", "n"])


def subset_results(
    model: Model,
    cases: Mapping[str, CaseInput],
    references: Path,
    patterns: Sequence[Sequence[bool]],
    *,
    target: Target | None = None,
    thresholds: Thresholds | None = None,
    min_volumes_mm3: Sequence[float] = (10.0,),
) -> SubsetResults:
    """Predicts and measures every case with every pattern of sequences that it has; each image is read once.

    thresholds: None takes the most probable label. A sequence left out is as if it had never been acquired: cropping
    and normalisation are those of the subset. Raises Fault where no case can be used.
    """
    target = target or Target()
    folders = Folders(references, references, target)
    rows: list[dict] = []
    outcomes: dict[str, Outcome] = {}
    for case, found in tqdm(cases.items(), desc="Subsets", unit="case"):
        outcomes[case], measured = attempt(
            case,
            lambda each, f=found: list(  # type: ignore[misc]
                _measure(model, each, f, folders, patterns, thresholds=thresholds, limits=min_volumes_mm3)
            ),
        )
        rows += measured or []
    if not rows:
        first = next(iter(outcomes.values()))
        raise Fault(f"no case can be used; the first: {first.problem}", remedy=first.remedy)
    table = pd.DataFrame(rows)
    order = {pattern(present, model.channel_names): i for i, present in enumerate(patterns)}
    table = table.sort_values(["n_present", "pattern"], key=lambda c: -c if c.name == "n_present" else c.map(order))
    return SubsetResults(table.reset_index(drop=True), outcomes)


def _measure(
    model: Model,
    case: str,
    found: CaseInput,
    folders: Folders,
    patterns: Sequence[Sequence[bool]],
    *,
    thresholds: Thresholds | None,
    limits: Sequence[float],
) -> Iterator[dict]:
    images = found.read()
    first = next(iter(images.values()))
    reference = folders.reference_on(first, case)
    grid = Grid(first.GetSpacing(), first.GetOrigin(), first.GetDirection())
    complete = model.preprocess({model.channel_names[c]: image for c, image in images.items()})
    for present in patterns:
        kept = [channel for channel, there in enumerate(present) if there]
        if not set(kept) <= images.keys():
            continue
        prepared = _without(model, complete, images, kept)
        segmentation = model.segmentation(model.logits(prepared), prepared)
        probability = model.probability(segmentation, folders.target.labels)
        shown = pattern(present, model.channel_names)
        if thresholds is None:
            predicted = np.isin(segmentation.labels, folders.target.labels)
            result = evaluate_patient(reference, predicted=predicted, grid=grid, rules=Rules(min_volumes_mm3=limits))
            auc = evaluate_patient(reference, probability=probability, grid=grid).measures["auc"]
            measures = {**result.measures, "auc": auc}
        else:
            _, threshold = thresholds.for_pattern(shown, channel_names=model.channel_names)
            rules = Rules(threshold.value, limits)
            measures = evaluate_patient(reference, probability=probability, grid=grid, rules=rules).measures
        yield {"case": case, "pattern": shown, "n_present": len(kept), **measures}


def _without(
    model: Model, complete: Preprocessed, images: Mapping[int, sitk.Image], kept: Sequence[int]
) -> Preprocessed:
    """The case with only these sequences.

    Where the same voxels are not zero in the subset as in all images, nnU-Net crops both alike and normalises and
    resamples every channel for itself: the others are zeroed. Otherwise the subset is preprocessed anew.
    """
    present = tuple(channel in kept for channel in range(len(model.channel_names)))
    if present == complete.present:
        return complete
    if np.array_equal(_nonzero(images, kept), _nonzero(images, list(images))):
        data = torch.where(torch.tensor(present).view(-1, 1, 1, 1), complete.data, 0)
        return Preprocessed(data, complete.properties, present)
    return model.preprocess({model.channel_names[channel]: images[channel] for channel in kept})


def _nonzero(images: Mapping[int, sitk.Image], channels: Sequence[int]) -> NDArray[np.bool_]:
    return np.any([sitk.GetArrayViewFromImage(images[channel]) != 0 for channel in channels], axis=0)
