"""Evaluates one patient of a cohort: what is kept of it until all patients are done."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from evaluation.inputs.folders import Folders
from evaluation.inputs.thresholds import Thresholds
from evaluation.inputs.volumes import Volumes
from evaluation.metrics.lesion.froc_steps import FrocSteps, froc_steps
from evaluation.metrics.voxel.reliability import reliability_counts
from evaluation.metrics.voxel.voxels import reaches
from evaluation.patient import PatientResult, Rules, evaluate_patient
from evaluation.tables.froc import LOWEST
from evaluation.tables.protocols import protocol_rows
from evaluation.tables.summaries import FALSE_POSITIVE_RATES

Pictures = tuple[Any, ...]
"""The pictures that ``draw`` returns for a patient; this module only passes them on."""

Draw = Callable[[str, Volumes], Pictures]
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Curves:
    """What is known of a patient with probabilities alone. sensitivities: at FALSE_POSITIVE_RATES.

    reliability: see ``reliability_counts``. n_voxels, n_voxels_at_0: of the lesions, and those of them whose
    probability is 0. protocols: the patient's rows of ``protocols.csv``.
    """

    sensitivities: NDArray[np.float64]
    froc: FrocSteps
    reliability: NDArray[np.float64]
    n_voxels: int
    n_voxels_at_0: int
    protocols: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class CaseResult:
    """One patient. threshold_of: the pattern whose threshold it has. curves: None where there is only a label map."""

    measures: dict[str, str | float]
    lesions: pd.DataFrame
    n_one_to_one: int
    curves: Curves | None
    mosaic: Pictures
    warning: str
    threshold_of: str | None


@dataclass(frozen=True)
class CaseTask:
    """How every patient is evaluated. beside: other ways to choose the threshold, see ``protocol_rows``."""

    folders: Folders
    thresholds: Thresholds
    beside: Sequence[Thresholds]
    min_volumes_mm3: Sequence[float]
    draw: Draw | None

    def evaluate(self, case: str) -> CaseResult:
        """Raises Fault where the patient cannot be used."""
        volumes = self.folders.read(case)
        owner, threshold = None, self.thresholds.by_pattern.get("")
        if volumes.probability is not None:
            owner, threshold = self.thresholds.for_pattern(volumes.pattern, channel_names=self.folders.channel_names)
        rules = Rules(threshold.value if threshold else DEFAULT_THRESHOLD, self.min_volumes_mm3)
        result = evaluate_patient(
            volumes.reference,
            probability=volumes.probability,
            predicted=volumes.predicted,
            mask=volumes.mask,
            grid=volumes.grid,
            rules=rules,
        )
        picture, warning = _mosaic(case, volumes, rules, self.draw)
        return CaseResult(
            measures={"case": case, "pattern": volumes.pattern, **result.measures},
            lesions=result.lesions.assign(case=case),
            n_one_to_one=result.n_one_to_one,
            curves=self._curves(case, volumes, result, rules.threshold),
            mosaic=picture,
            warning=warning,
            threshold_of=owner,
        )

    def _curves(self, case: str, volumes: Volumes, result: PatientResult, threshold: float) -> Curves | None:
        if result.roc is None or volumes.probability is None:
            return None
        inside = volumes.inside_mask()
        protocols = []
        if self.beside:
            ways, names = [self.thresholds, *self.beside], self.folders.channel_names
            limits = self.min_volumes_mm3
            protocols = protocol_rows(case, inside, result, ways, min_volumes_mm3=limits, channel_names=names)
        return Curves(
            sensitivities=result.roc.sensitivity_at(FALSE_POSITIVE_RATES),
            # down to LOWEST, and to the threshold that is applied where it lies below
            froc=froc_steps(result.reference, np.asarray(inside.probability), lowest=min(LOWEST, threshold) or LOWEST),
            reliability=reliability_counts(volumes.reference, volumes.probability, volumes.mask),
            n_voxels=result.roc.n_lesion,
            n_voxels_at_0=int(result.roc.lesion[result.roc.values == 0].sum()),
            protocols=protocols,
        )


def _mosaic(case: str, volumes: Volumes, rules: Rules, draw: Draw | None) -> tuple[Pictures, str]:
    """The patient's pictures; where there can be none, none and why: the numbers do not depend on them."""
    if draw is None:
        return (), ""
    if volumes.probability is not None:
        volumes = replace(volumes, predicted=reaches(volumes.probability, rules.threshold))
    try:
        return draw(case, volumes.inside_mask()), ""
    except Fault as fault:
        return (), f"{case} has no pictures: {fault}"
