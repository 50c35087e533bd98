"""From patients to the cohort: strata, sensitivity by size, mean ROC, counted by hand."""

import numpy as np
import pandas as pd
import pytest

from evaluation.metrics.statistics.proportions import clustered_proportion
from evaluation.tables import summaries


def test_patients_with_three_lesions_are_few_and_with_four_many():
    cases = pd.DataFrame({"case": list("abc"), "n_lesions": [0, 3, 4], "dice": [np.nan, 0.5, 0.25]})
    few, many = summaries.strata(cases)
    assert (few["stratum"], few["n_patients"]) == ("at most 3 lesions", 2)
    assert (many["stratum"], many["n_patients"]) == ("more than 3 lesions", 1)
    assert [(s["metrics"]["dice"]["mean"], s["metrics"]["dice"]["n_undefined"]) for s in (few, many)] == [
        (0.5, 1),
        (0.25, 0),
    ]


def test_a_lesion_belongs_to_the_size_that_begins_with_its_diameter():
    lesions = pd.DataFrame(
        {
            "case": list("ababba"),
            "side": ["reference"] * 5 + ["predicted"],
            "diameter_mm": [2.9, 3.0, 5.9, 10.0, 40.0, 7.0],
            "status": ["missed", "found", "missed", "found", "found", "false"],
        }
    )
    rows = summaries.sensitivity_by_size(lesions)
    assert [(row["from_mm"], row["to_mm"], row["n_lesions"], row["n_found"]) for row in rows] == [
        (0, 3, 1, 0),
        (3, 6, 2, 1),
        (6, 10, 0, 0),
        (10, None, 2, 2),
    ]
    assert rows[1]["sensitivity"] == 0.5
    undefined = [rows[2][name] for name in ("sensitivity", "ci_low", "ci_high")]
    assert all(value is not None and np.isnan(value) for value in undefined)
    # the two of 3 to 6 mm are of different patients, one found, one missed
    assert (rows[1]["sensitivity"], rows[1]["ci_low"], rows[1]["ci_high"]) == clustered_proportion([1, 0], [1, 1])


def test_the_mean_roc_leaves_out_who_has_no_lesion_and_has_a_t_band():
    rates = summaries.FALSE_POSITIVE_RATES
    flat = [np.full(len(rates), height) for height in (0.4, 0.6, np.nan)]
    curve = summaries.mean_roc(flat)
    # sd 0.1414 of two values, over the root of two: 0.1; t of one degree of freedom: 12.7
    assert curve["tpr_mean"].to_numpy() == pytest.approx(0.5)
    assert set(curve["n"]) == {2}
    assert (curve["tpr_low"].min(), curve["tpr_high"].max()) == (0, 1)
    assert list(summaries.mean_roc(flat[2:]).columns) == ["fpr", "tpr_mean", "tpr_low", "tpr_high", "n"]


def test_the_interval_of_a_mean_ends_where_the_metric_does():
    """Student's interval of 0, 0, 3 false positives reaches below 0, that of a Dice of .9, 1, 1 above 1."""
    cases = pd.DataFrame({"case": list("abc"), "fp": [0, 0, 3], "dice": [0.9, 1.0, 1.0]})
    averages = summaries.averages(cases)
    assert averages["fp"]["ci_low"] == 0
    assert averages["fp"]["ci_high"] > 3
    assert averages["dice"]["ci_high"] == 1


def test_totals_are_sums_over_patients():
    cases = pd.DataFrame({"case": ["a", "b"], "n_lesions": [1, 2], "n_found": [0, 2], "fp": [3, 4], "dice": [0.1, 0.2]})
    assert summaries.totals(cases) == {"n_patients": 2, "n_lesions": 3, "n_found": 2, "fp": 7}
