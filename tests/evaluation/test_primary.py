"""The primary endpoint of a study and non-inferiority: four patients, counted by hand."""

from dataclasses import replace

import numpy as np
import pytest
from example_evaluation import example
from scipy import stats

from dataset_conversion.faults import Fault
from evaluation.tables.primary import non_inferiority, primary_endpoint
from evaluation.tables.results import Evaluation

NAN = np.nan


def model(name: str, *values: float, metric: str = "lesion_f1") -> Evaluation:
    evaluation = example(name)
    return replace(evaluation, cases=evaluation.cases.assign(**{metric: values}))


REFERENCE = model("ours", 0.9, 0.8, 0.7, 0.6)


def test_every_comparison_is_a_row_and_holm_goes_over_them():
    """Against A all four differ by .1 to .4 upwards: 2 of 16 signs; against B two up and two down."""
    a, b = model("A", 0.8, 0.6, 0.4, 0.2), model("B", 0.8, 0.9, 0.9, 0.4)
    table = primary_endpoint(REFERENCE, [a, b])
    assert list(table.columns) == [
        "against", "metric", "n", "mean_reference", "mean_other", "difference", "ci_low", "ci_high", "p_signed_rank",
        "p_holm", "effect",
    ]  # fmt: skip
    first, second = table.to_dict("records")
    assert (first["against"], first["metric"], first["n"]) == ("A", "lesion_f1", 4)
    assert (first["mean_reference"], first["mean_other"]) == pytest.approx((0.75, 0.5))
    assert (first["difference"], first["p_signed_rank"], first["effect"]) == pytest.approx((0.25, 2 / 16, 1))
    # sd .1291, standard error .06455, t(3) 3.182446
    assert (first["ci_low"], first["ci_high"]) == pytest.approx((0.25 - 0.20543, 0.25 + 0.20543), abs=1e-4)
    # .1 and -.1 share rank 1.5, -.2 and .2 rank 3.5: no imbalance
    assert (second["p_signed_rank"], second["effect"]) == pytest.approx((1, 0), abs=1e-9)
    assert (first["p_holm"], second["p_holm"]) == pytest.approx((4 / 16, 1))


def test_a_patient_counts_where_both_models_have_a_value():
    table = primary_endpoint(model("ours", 0.9, NAN, 0.7, 0.6), [model("A", 0.8, 0.6, NAN, 0.2)])
    assert (table["n"][0], table["mean_reference"][0], table["mean_other"][0]) == (2, 0.75, 0.5)


def test_a_model_a_little_worse_is_not_inferior_and_one_with_a_wide_interval_is_not_known_to_be():
    """Worse by .01, .02, .02, .03: -.02, standard error .004082, t 3.182: at the lowest -.03299."""
    little = non_inferiority(REFERENCE, model("D", 0.91, 0.82, 0.72, 0.63))
    assert (little.difference, little.lowest) == pytest.approx((-0.02, -0.032993), abs=1e-5)
    assert little.non_inferior is True
    differences = np.array([-0.01, -0.02, -0.02, -0.03])
    assert little.p == pytest.approx(stats.ttest_1samp(differences, -0.05, alternative="greater").pvalue)
    wide = non_inferiority(REFERENCE, model("D", 0.9, 0.5, 1.0, 0.6))
    assert (wide.difference, wide.non_inferior) == (pytest.approx(0), False)
    assert wide.p > 0.025


def test_the_margin_decides():
    dedicated = model("D", 0.91, 0.82, 0.72, 0.63)
    verdicts = [non_inferiority(REFERENCE, dedicated, margin=margin).non_inferior for margin in (0.0329, 0.0331)]
    assert verdicts == [False, True]
    with pytest.raises(Fault, match="margin of non-inferiority is 0"):
        non_inferiority(REFERENCE, dedicated, margin=0)


def test_of_false_positives_fewer_are_better():
    """Ours has 1, 2, 1, 2 more: inferior by 2, and the other way round not."""
    ours, dedicated = model("ours", 2, 3, 4, 5, metric="fp"), model("D", 1, 1, 3, 3, metric="fp")
    result = non_inferiority(ours, dedicated, metric="fp", margin=1)
    assert (result.difference, result.non_inferior) == (-1.5, False)
    assert non_inferiority(dedicated, ours, metric="fp", margin=1).non_inferior is True


def test_with_one_patient_there_is_no_verdict():
    one = non_inferiority(model("ours", 0.9, NAN, NAN, NAN), model("D", 0.9, 0.5, 0.5, 0.5))
    assert (one.n, one.non_inferior) == (1, None)
    assert np.isnan(one.p)


def test_a_metric_that_was_not_measured_is_refused():
    with pytest.raises(Fault, match="ours has no lesion_f2"):
        primary_endpoint(REFERENCE, [model("A", 1, 1, 1, 1)], metric="lesion_f2")


def test_equal_differences_allow_no_verdict():
    """An interval without width says nothing: four patients in whom both models are perfect."""
    perfect = model("ours", 1, 1, 1, 1)
    assert non_inferiority(perfect, model("A", 1, 1, 1, 1)).non_inferior is None
