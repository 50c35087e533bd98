"""Says what stands in the ``summary.json`` of an evaluation and of the results on subsets."""

from typing import Annotated, Literal, TypedDict

from dataset_conversion.files.texts.typed import Count, Must, NotNegative, Share


class CommandSummary(TypedDict):
    """Every command's tells which one wrote it."""

    command: str


class Outcome(TypedDict):
    """What became of a case. Those of the commands say the remedy, too."""

    status: Literal["ok", "skipped", "failed"]
    problem: str


class Averaged(TypedDict):
    """Of a metric over patients; null where it is undefined."""

    mean: float | None
    sd: float | None
    ci_low: float | None
    ci_high: float | None
    n: Count
    n_undefined: Count


class Stratum(TypedDict):
    stratum: str
    n_patients: Count
    metrics: dict[str, Averaged]


class OfSize(TypedDict):
    """Lesions of a range of diameters."""

    from_mm: NotNegative
    to_mm: NotNegative | None
    n_lesions: NotNegative
    n_found: NotNegative
    sensitivity: Share | None
    ci_low: Share | None
    ci_high: Share | None


def _is_measured(size: OfSize) -> bool:
    return not size["n_lesions"] or None not in (size["sensitivity"], size["ci_low"], size["ci_high"])


class Protocol(TypedDict):
    method: str
    metrics: dict[str, Averaged]


class OneToOne(TypedDict):
    n_matched: Count
    note: str


class _SettingsAlways(TypedDict):
    target: str
    min_volumes_mm3: list[float]


class EvaluationSettings(_SettingsAlways, total=False):
    target_name: str


class PatternThreshold(TypedDict):
    value: float


class AppliedThreshold(TypedDict):
    method: str
    source: str
    values: dict[str, PatternThreshold]


class Totals(TypedDict):
    """Sums over patients; there are more of them."""

    n_patients: Count
    n_lesions: NotNegative
    n_found: NotNegative
    fp: NotNegative


class _EvaluationAlways(TypedDict):
    command: str
    version: str
    versions: dict[str, str]
    name: str
    synthetic: bool
    settings: EvaluationSettings
    threshold: AppliedThreshold
    metrics: dict[str, Averaged]
    totals: Totals
    strata: Annotated[list[Stratum], Must("a list of two strata", lambda strata: len(strata) == 2)]
    sensitivity_by_size: list[Annotated[OfSize, Must("numbers where there are lesions", _is_measured)]]
    warnings: list[str]
    cases: dict[str, Outcome]


class EvaluationSummary(_EvaluationAlways, total=False):
    """Not every version wrote these."""

    protocols: list[Protocol]
    one_to_one: OneToOne | None


class SubsetSettings(TypedDict, total=False):
    target: str
    target_name: str
    folds: list[str]
    mirroring: bool
    checkpoint: str
    model: str
    gt: str


class SubsetThreshold(TypedDict):
    value: float
    of: str


class SubsetThresholds(TypedDict):
    method: str
    source: str
    values: dict[str, SubsetThreshold]


class SubsetSummary(TypedDict):
    command: str
    version: str
    versions: dict[str, str]
    name: str
    synthetic: bool
    channel_names: list[str]
    settings: SubsetSettings
    threshold: SubsetThresholds
    cases: dict[str, Outcome]
