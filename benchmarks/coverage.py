"""Measures how often 95 % intervals hold the true value, for the figures of 10 to 60 simulated patients.

    python -m benchmarks.coverage [--studies 2000]

Means over patients: percentile bootstrap, BCa, Student's t, the studentised bootstrap, and ``average``. Shares of
lesions where the lesions of one patient are alike: Wilson as if they were not, the bootstrap of patients, Wilson with a
design effect, and ``clustered_proportion``. The band of the FROC at three numbers of false positives. Printed: percent
of the studies whose interval holds the truth, and in brackets the median width. One core, two minutes of its time.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from evaluation.metrics.lesion.froc_steps import FrocSteps
from evaluation.metrics.statistics.intervals import average
from evaluation.metrics.statistics.proportions import clustered_proportion
from evaluation.tables.froc import froc, height_at

N_PATIENTS = (10, 20, 30, 60)
RESAMPLES = 1000
Intervals = Mapping[str, tuple[NDArray, NDArray]]
Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray]


def dice(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray:
    """Skewed towards 1; one patient in twenty has 0."""
    return np.where(rng.random(shape) < 0.05, 0, rng.beta(6, 1.5, shape))


def dice_difference(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray:
    """Two models that find the same patients hard; the first fails in one patient of twenty, the second in two."""
    skill = special.logit(rng.beta(6, 1.5, shape))
    first, second = (special.expit(skill + rng.normal(shift, 0.5, shape)) for shift in (0.1, -0.1))
    return np.where(rng.random(shape) < 0.05, 0, first) - np.where(rng.random(shape) < 0.1, 0, second)


def share(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray:
    """Sensitivity: found lesions of one to many, of which 80 % are found in the mean over patients."""
    n = 1 + rng.negative_binomial(0.8, 0.2, shape)
    return rng.binomial(n, rng.beta(3.2, 0.8, shape)) / n


def share_difference(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray:
    n, p = 1 + rng.negative_binomial(0.8, 0.2, shape), rng.beta(3.2, 0.8, shape)
    return (rng.binomial(n, p) - rng.binomial(n, 0.9 * p)) / n


def count(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray:
    """False positives: 2 in the mean, variance 10, four patients of nine without any."""
    return rng.poisson(rng.gamma(0.5, 4, shape)).astype(float)


def few(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray:
    """0.3 false positives in the mean; 79 % of the patients have none."""
    return rng.poisson(rng.gamma(0.5, 0.6, shape)).astype(float)


def count_difference(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray:
    rate = rng.gamma(0.5, 4, shape)
    return rng.poisson(rate).astype(float) - rng.poisson(rng.gamma(2, 0.25, shape) * rate)


POPULATIONS: Mapping[str, Draw] = {
    "Dice": dice,
    "share": share,
    "false positives": count,
    "few false positives": few,
    "Dice, paired": dice_difference,
    "share, paired": share_difference,
    "false positives, paired": count_difference,
}


def intervals_of_means(rng: np.random.Generator, values: NDArray) -> Intervals:
    """values: (studies, patients); each interval is two arrays (studies,)."""
    n = values.shape[1]
    mean, se = values.mean(1), values.std(1, ddof=1) / np.sqrt(n)
    means, ses = _resampled(rng, values)
    tails = np.array([0.025, 0.975])
    t = stats.t.ppf(tails, n - 1)
    # a resample of equal values has no spread of its own; a third of the study's keeps its pivot finite
    spread = np.maximum(np.maximum(ses, se[:, None] / 3), 1e-12)
    low_pivot, high_pivot = np.quantile((means - mean[:, None]) / spread, tails, axis=1)
    low, high = np.quantile(means, tails, axis=1)
    ours = [average(study) for study in values]
    return {
        "percentile": (low, high),
        "BCa": _bca(values, means),
        "t": (mean + t[0] * se, mean + t[1] * se),
        "studentised": (mean - high_pivot * se, mean - low_pivot * se),
        "average": (np.array([a.ci_low for a in ours]), np.array([a.ci_high for a in ours])),
    }


def _resampled(rng: np.random.Generator, values: NDArray) -> tuple[NDArray, NDArray]:
    """(studies, resamples): means and standard errors."""
    n = values.shape[1]
    weights = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).T.astype(float)
    means, squares = values @ weights / n, values**2 @ weights / n
    return means, np.sqrt(np.maximum(squares - means**2, 0) / (n - 1))


def _bca(values: NDArray, means: NDArray) -> tuple[NDArray, NDArray]:
    deviation = values.mean(1, keepdims=True) - values  # proportional to the jackknife's
    spread = np.where(np.ptp(values, axis=1) > 0, (deviation**2).sum(1), 1)
    acceleration = -(deviation**3).sum(1) / (6 * spread**1.5)
    below = (means < values.mean(1, keepdims=True)).mean(1) + (means == values.mean(1, keepdims=True)).mean(1) / 2
    bias = stats.norm.ppf(np.clip(below, 1e-4, 1 - 1e-4))
    means = np.sort(means, axis=1)
    ends = []
    for z in stats.norm.ppf([0.025, 0.975]):
        level = stats.norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
        place = np.clip(level * (RESAMPLES - 1), 0, RESAMPLES - 1).round().astype(int)
        ends.append(np.take_along_axis(means, place[:, None], 1)[:, 0])
    return ends[0], ends[1]


def measured(intervals: Intervals, truth: float) -> dict[str, str]:
    """Coverage in percent and, in brackets, the median width."""
    row = {}
    for name, (low, high) in intervals.items():
        covers = (low - 1e-12 <= truth) & (truth <= high + 1e-12)
        row[name] = f"{100 * covers.mean():.1f} ({np.median(high - low):.3g})"
    return row


def means(studies: int) -> Iterator[dict[str, object]]:
    for name, draw in POPULATIONS.items():
        truth = float(draw(np.random.default_rng(1), (20_000_000,)).mean())
        for n in N_PATIENTS:
            rng = np.random.default_rng(n)
            values = draw(rng, (studies, n))
            yield {"figure": name, "n": n, **measured(intervals_of_means(rng, values), truth)}


def intervals_of_shares(rng: np.random.Generator, found: NDArray, lesions: NDArray) -> Intervals:
    """found, lesions: (studies, patients)."""
    n_patients, n = found.shape[1], lesions.sum(1)
    pooled = found.sum(1) / n
    weights = rng.multinomial(n_patients, np.full(n_patients, 1 / n_patients), RESAMPLES).T
    n_resampled = lesions @ weights
    resampled = np.where(n_resampled > 0, found @ weights / np.maximum(n_resampled, 1), pooled[:, None])
    low, high = np.quantile(resampled, [0.025, 0.975], axis=1)
    # the variance of the ratio estimator over that of independent draws; where all are found, patients are the draws
    variance = ((found - pooled[:, None] * lesions) ** 2).sum(1) / n**2 * n_patients / (n_patients - 1)
    binomial = pooled * (1 - pooled) / n
    worst = (lesions**2).sum(1) / n
    design = np.where(binomial > 0, np.maximum(variance / np.where(binomial > 0, binomial, 1), 1), worst)
    ours = np.array([clustered_proportion(*study) for study in zip(found, lesions, strict=True)])
    return {
        "Wilson": _wilson(pooled, n, 1.96),
        "percentile": (low, high),
        "design effect": _wilson(pooled, n / design, stats.t.ppf(0.975, n_patients - 1)),
        "clustered": (ours[:, 1], ours[:, 2]),
    }


def _wilson(pooled: NDArray, n: NDArray, z: float) -> tuple[NDArray, NDArray]:
    centre, half = pooled + z**2 / (2 * n), z * np.sqrt(pooled * (1 - pooled) / n + z**2 / (4 * n**2))
    return (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)


def shares(studies: int) -> Iterator[dict[str, object]]:
    """2.5 lesions of the size per patient, in the mean; two patients have one at least."""
    for truth, correlation, n in product((0.6, 0.9, 0.97), (0.05, 0.3), N_PATIENTS):
        rng = np.random.default_rng(n)
        lesions = rng.negative_binomial(1, 1 / 3.5, (studies, n))
        lesions[:, :2] += 1
        size = (1 - correlation) / correlation
        found = rng.binomial(lesions, rng.beta(truth * size, (1 - truth) * size, (studies, n)))
        all_found = f"{100 * (found.sum(1) == lesions.sum(1)).mean():.0f} %"
        known = {"share": truth, "correlation": correlation, "n": n, "all found": all_found}
        yield {**known, **measured(intervals_of_shares(rng, found, lesions), truth)}


def patient(rng: np.random.Generator) -> FrocSteps:
    """Some lesions, more alike in one patient, and false positives, most of low probability; none joins another."""
    lesions, false = 1 + rng.negative_binomial(0.8, 0.2), rng.poisson(rng.gamma(0.5, 40))
    maxima = special.expit(rng.normal(1, 1) + rng.normal(0, 2, lesions))
    return FrocSteps(0.01, np.sort(maxima), np.sort(rng.beta(0.3, 3, false)), np.ones(false, np.int64))


def bands(studies: int) -> Iterator[dict[str, object]]:
    places = np.array([0.25, 1, 4])
    rng = np.random.default_rng(0)
    thresholds = np.linspace(0.99, 0.01, 2000)
    many = [patient(rng) for _ in range(20_000)]
    rates = np.mean([p.false_positives(thresholds) for p in many], axis=0)
    found = np.sum([p.n_found(thresholds) for p in many], axis=0) / sum(p.n_lesions for p in many)
    truth = np.interp(places, rates, found)
    for n in N_PATIENTS:
        tables = [froc([patient(rng) for _ in range(n)]) for _ in range(studies)]
        low, high = (
            np.array([height_at(table, name, places) for table in tables])
            for name in ("sensitivity_low", "sensitivity_high")
        )
        row = {f"at {at:g}": measured({"": (low[:, i], high[:, i])}, truth[i])[""] for i, at in enumerate(places)}
        yield {"n": n, **row}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000, help="of means; an eighth for shares, a tenth for bands")
    studies = parser.parse_args().studies
    for title, rows in (
        ("Means over patients", means(studies)),
        ("Shares of lesions", shares(studies // 8)),
        ("Sensitivity at false positives per patient", bands(studies // 10)),
    ):
        print(f"\n{title}\n{pd.DataFrame(rows).to_string(index=False)}", flush=True)


if __name__ == "__main__":
    main()
