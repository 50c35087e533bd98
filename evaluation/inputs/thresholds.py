"""Stores the probability thresholds of the availability patterns and looks up the one for a pattern."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.json_files import read_json, write_json
from dataset_conversion.files.texts.typed import Count, Must, NotNegative
from dataset_conversion.plurals import n_of, plural
from dataset_conversion.sequences import Pattern
from evaluation.inputs.probabilities import HIGHEST

Method = Literal["dice", "youden_pooled", "fp_budget", "fixed", "default"]

LOWEST = 0.01
"""A calibrated threshold below it marks voxels that the network considers healthy with 99 %: not applied unasked."""

_SENTENCES: Mapping[Method, str] = {
    "dice": "the highest mean Dice of the validation patients",
    "youden_pooled": "Youden index over the pooled voxels of the validation patients",
    "fp_budget": "the lowest that keeps the false positives per validation patient to {fp_budget}",
    "fixed": "as given",
    "default": "0.5, since none was given and no validation patients were named",
}


@dataclass(frozen=True)
class Threshold:
    """A probability, and what it does to the validation patients; all else is None where it was simply given.

    youden: TPR - FPR of the pooled voxels, if it was chosen by it. dice: mean over the patients in whom it is defined.
    flat_from, flat_to: between them the mean Dice is within 0.01 of the highest, if it was chosen by it.
    """

    value: Annotated[float, Must("a number from 0 to 1", lambda value: 0 <= value <= HIGHEST)]
    n_patients: Count | None = None
    youden: float | None = None
    dice: float | None = None
    flat_from: float | None = None
    flat_to: float | None = None
    n_lesions: Count | None = None
    n_found: Count | None = None
    fp_per_patient: NotNegative | None = None


@dataclass(frozen=True)
class Thresholds:
    """target: the label, ``1``, or region, ``1,3``, that they speak of. A pattern's name is empty where nobody wrote
    down which sequences a patient had."""

    target: str
    method: Method
    by_pattern: Mapping[str, Threshold]
    settings: Mapping[str, object] = field(default_factory=dict)

    def source(self) -> str:
        """The origin of the thresholds, in words."""
        return _SENTENCES[self.method].format(**self.settings)

    def described(self) -> Iterator[str]:
        """The threshold of each pattern, what it does to the validation patients, and how much its choice matters."""
        for pattern, t in self.by_pattern.items():
            yield f"{t.value:.4g}  {pattern or 'all'}" + (f" ({n_of(t.n_patients, 'patient')})" if t.n_patients else "")
            if t.youden is not None:
                yield f"    Youden index of the pooled voxels {t.youden:.4g}"
            if None not in (t.n_lesions, t.n_found, t.fp_per_patient):
                lesions, false = plural(t.n_lesions or 0, "lesion"), plural(t.fp_per_patient or 0, "false positive")
                found = f"{t.n_found} of {t.n_lesions} {lesions} found, {t.fp_per_patient:.3g} {false} per patient"
                dice = "undefined" if t.dice is None else f"{t.dice:.3f}"
                yield f"    on these patients: mean Dice {dice}, {found}"
            if t.flat_from is not None and t.flat_to is not None:
                yield f"    from {t.flat_from:.4g} to {t.flat_to:.4g} the mean Dice is within 0.01 of the highest"

    def too_low(self) -> str:
        """What is wrong with a calibrated threshold below LOWEST; empty where there is none."""
        low = {pattern: t.value for pattern, t in self.by_pattern.items() if t.n_patients and t.value < LOWEST}
        if not low:
            return ""
        named = ", ".join(f"{value:.3g}{f' for {pattern}' if pattern else ''}" for pattern, value in low.items())
        return f"the threshold is {named}: it marks voxels that the model considers healthy with a probability of 99 %"

    def for_pattern(self, pattern: str, *, channel_names: Sequence[str] = ()) -> tuple[str, Threshold]:
        """The pattern's own threshold, or that of the smallest calibrated superset, and whose it is.

        Ties go to the one with more validation patients, then to channel order. Without a pattern, or where a
        threshold holds for all, there must be just one. Raises Fault where there is none.
        """
        if pattern in self.by_pattern:
            return pattern, self.by_pattern[pattern]
        if (not pattern and len(self.by_pattern) == 1) or set(self.by_pattern) == {""}:
            return next(iter(self.by_pattern.items()))
        wanted = Pattern.parse(pattern)
        supersets = [other for other in self.by_pattern if pattern and wanted < Pattern.parse(other)]
        if not supersets:
            remedy = f"Calibrate this pattern, or give a fixed threshold; calibrated are: {', '.join(self.by_pattern)}."
            raise Fault(f"no threshold for {pattern or 'a case without a pattern'}", remedy=remedy)

        def preference(other: str) -> tuple[int, int, list[int]]:
            names = Pattern.parse(other)
            places = [channel_names.index(name) for name in names if name in channel_names]
            return len(names), -(self.by_pattern[other].n_patients or 0), places

        best = min(supersets, key=preference)
        return best, self.by_pattern[best]

    def write(self, path: Path) -> None:
        content = {key: value for key, value in asdict(self).items() if key != "by_pattern"}
        write_json(path, {"version": 1, **content, "thresholds": asdict(self)["by_pattern"]})


class _OfMethod(TypedDict, total=False):
    """What a method was told; other settings are for the reader."""

    fp_budget: NotNegative


class ThresholdsJson(TypedDict):
    """``thresholds.json``."""

    target: str
    method: Method
    settings: _OfMethod
    thresholds: dict[str, Threshold]


def read_thresholds(path: Path, *, target: str | None = None) -> Thresholds:
    """Reads ``thresholds.json``. Raises Fault where it is not one, or speaks of another label or region than target."""
    remedy = "Give a thresholds.json that evaluate or calibrate wrote."
    content = read_json(path, ThresholdsJson, remedy=remedy)
    settings = content["settings"]
    if content["method"] == "fp_budget" and "fp_budget" not in settings:
        raise Fault("settings.fp_budget is missing: it should be a number from 0", file=path, remedy=remedy)
    if target not in (None, content["target"]):
        problem = f"these thresholds are for {content['target']}, not for {target}"
        raise Fault(problem, file=path, remedy="Calibrate for this label or region.")
    return Thresholds(content["target"], content["method"], content["thresholds"], settings)
