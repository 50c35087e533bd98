"""The tables of a study's question: a model with two seeds against one with one, counted by hand."""

import numpy as np
import pandas as pd
import pytest
from example_question import question

from evaluation.tables.study import models_table, seeds_table


def test_models_are_compared_by_the_patients_means_over_seeds():
    dice = question().comparison.set_index("metric").loc["dice"]
    assert (dice["n"], dice["difference"]) == (2, pytest.approx((0.2 + 0.1) / 2))


def test_the_table_of_models_has_the_spread_and_is_empty_there_with_one_seed(tmp_path):
    models_table(question()).to_csv(tmp_path / "table.csv", index=False)
    table = pd.read_csv(tmp_path / "table.csv").set_index(["arm", "metric"])
    assert table.loc[("A", "dice"), ["mean", "n_seeds"]].tolist() == pytest.approx([0.45, 2])
    assert table.loc[("A", "dice"), "sd_seeds"] == pytest.approx(0.4 / np.sqrt(2))
    assert table.loc[("B", "fp"), "n_seeds"] == 1
    assert np.isnan(table.loc[("B", "fp"), "sd_seeds"])


def test_the_table_of_seeds_has_the_mean_of_each():
    table = seeds_table(question()).set_index(["arm", "seed", "metric"])["mean"]
    assert table[("A", 0, "dice")] == pytest.approx(0.8)
    assert table[("A", 1, "dice")] == pytest.approx(0.4)
    assert table[("A", 1, "fp")] == pytest.approx(1.5)
    assert ("B", 1, "dice") not in table.index
