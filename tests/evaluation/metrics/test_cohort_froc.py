"""The FROC of a cohort of two patients, counted by hand, and its band."""

import numpy as np
import pytest

from evaluation.metrics.lesion.froc_steps import FrocSteps
from evaluation.tables import froc as module
from evaluation.tables.froc import COLUMNS, froc, height_at, mean_froc


def steps(maxima, false, *, lowest=0.01) -> FrocSteps:
    """false: threshold -> by how much the number of false positives changes there."""
    thresholds = np.array(sorted(false), float)
    changes = np.array([false[threshold] for threshold in sorted(false)], np.int64)
    return FrocSteps(lowest, np.sort(np.array(maxima, float)), thresholds, changes)


A = steps([0.83, 0.22], {0.72: 1, 0.61: 1, 0.33: -1})
B = steps([0.44], {0.66: 1})


@pytest.fixture
def no_grid(monkeypatch):
    monkeypatch.setattr(module, "GRID", ())


@pytest.mark.usefixtures("no_grid")
def test_there_is_a_row_wherever_the_curve_turns():
    """The first lesion at .83; .72, .66 and .61 bring a false positive each; at .44 the second, and so on."""
    table = froc([A, B])
    assert list(table.columns) == list(COLUMNS)
    assert table["threshold"].tolist() == [0.83, 0.61, 0.44, 0.33, 0.22, 0.01]
    assert table["sensitivity"].tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 1, 1])
    assert table["fp_per_patient"].tolist() == [0, 1.5, 1.5, 1, 1, 1]
    assert set(table["n_lesions"]) == {3}


@pytest.mark.usefixtures("no_grid")
def test_false_positives_that_join_are_not_forgotten():
    table = froc([A, B])
    assert table["fp_highest"].tolist() == [0, 1.5, 1.5, 1.5, 1.5, 1.5]
    assert (np.diff(table["fp_highest"]) >= 0).all()
    assert (np.diff(table["sensitivity"]) >= 0).all()


def test_a_prediction_that_fills_the_brain_is_not_without_false_positives():
    """Forty objects that all join the one that lies on the lesion: their number counts from there on."""
    table = froc([steps([0.05], {0.5: 40, 0.06: -40})] * 2)
    found = table[table["sensitivity"] == 1]
    assert set(found["fp_per_patient"]) == {0}
    assert set(found["fp_highest"]) == {40}


def test_the_grid_and_the_applied_threshold_have_a_row():
    table = froc([A, B], applied=[0.123])
    assert {0.123, *module.GRID} <= set(table["threshold"])
    assert table["threshold"].is_monotonic_decreasing


@pytest.mark.usefixtures("no_grid")
def test_the_curve_ends_where_one_patient_was_not_looked_at_any_further():
    table = froc([A, steps([0.44], {0.66: 1}, lowest=0.3)])
    assert table["threshold"].min() == 0.3


@pytest.mark.usefixtures("no_grid")
def test_the_band_of_two_patients_is_from_the_worse_to_the_better():
    """The cohort may be A twice, B twice or both. With at most 1.5 false positives, A finds 2 of 2 at the end unless
    A twice, whose two come before its second lesion: 1 of 2. B finds 1 of 1. With none: A finds 1 of 2, B nothing."""
    table = froc([A, B])
    assert table[["sensitivity_low", "sensitivity_high"]].to_numpy()[[0, -1]].tolist() == [[0, 0.5], [0.5, 1]]


def test_the_band_holds_the_curve_and_is_the_same_each_time():
    rng = np.random.default_rng(0)
    lesions, false = rng.integers(0, 6, 20), rng.integers(0, 9, 20)
    patients = [
        steps(rng.random(n), dict.fromkeys(rng.random(m).tolist(), 1)) for n, m in zip(lesions, false, strict=True)
    ]
    table = froc(patients)
    inside = table["sensitivity"].between(table["sensitivity_low"], table["sensitivity_high"])
    assert inside.all()
    assert (table["sensitivity_high"] > table["sensitivity_low"]).sum() > 20
    assert froc(patients).equals(table)


def test_one_patient_has_no_band_and_without_lesions_there_is_no_sensitivity():
    assert froc([A])["sensitivity_low"].isna().all()
    without = froc([steps([], {0.5: 3})] * 2)
    assert without["sensitivity"].isna().all()
    assert without["fp_per_patient"].iloc[-1] == 3
    assert froc([]).empty
    assert list(froc([]).columns) == list(COLUMNS)


@pytest.mark.usefixtures("no_grid")
def test_the_height_is_that_of_the_lowest_threshold_that_keeps_to_the_number():
    table = froc([A, B])
    assert height_at(table, "sensitivity", np.array([0, 1, 1.5, 9])).tolist() == pytest.approx([1 / 3, 1 / 3, 1, 1])


def test_the_mean_of_one_curve_is_that_curve():
    table = froc([A, B])
    mean = mean_froc([table, table])
    assert height_at(mean, "sensitivity", np.array([0, 1.5])).tolist() == pytest.approx([1 / 3, 1])
    assert mean["threshold"].isna().all()
