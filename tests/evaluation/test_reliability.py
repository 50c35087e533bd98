"""How often a voxel or an object of a probability is real: counted by hand, and against a slow second version."""

import numpy as np
import pandas as pd
import pytest
from example_folders import evaluate, rows, write_folders
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evaluation.metrics.statistics.proportions import clustered_proportion
from evaluation.metrics.voxel.reliability import N_BINS, reliability_counts
from evaluation.tables.reliability import confidence, reliability

SHAPE = (2, 2, 3)
PROBABILITIES = [float(np.float32(p / 10)) for p in (*range(11), 0.5, 9.99)]


def test_voxels_are_counted_by_their_range():
    """0 and .05 are in the first range, .1 and .15 in the second, 1 in the last."""
    probability = np.array([[[0, 0.05, 0.1, 0.15, 0.95, 1.0]]])
    reference = np.array([[[0, 1, 0, 1, 1, 1]]], bool)
    counts = reliability_counts(reference, probability)
    assert counts[[0, 1, 9]] == pytest.approx(np.array([[2, 1, 0.05], [2, 1, 0.25], [2, 2, 1.95]]))
    assert not counts[2:9].any()


def test_what_lies_outside_the_mask_is_not_counted():
    probability, reference = np.array([[[0.0, 0.5, 0.5]]]), np.array([[[1, 0, 1]]], bool)
    counts = reliability_counts(reference, probability, np.array([[[0, 0, 1]]], bool))
    assert counts.sum(axis=0).tolist() == [1, 1, 0.5]


@given(
    arrays(np.float32, SHAPE, elements=st.sampled_from(PROBABILITIES)),
    arrays(bool, SHAPE),
    arrays(bool, SHAPE),
)
def test_a_slow_second_version_counts_the_same(probability, reference, mask):
    expected = np.zeros((N_BINS, 3))
    for p, y, counts in zip(probability.ravel().tolist(), reference.ravel(), mask.ravel(), strict=True):
        if counts:
            first = max(i for i in range(N_BINS) if p >= i / N_BINS)
            expected[first] += (1, y, p)
    assert reliability_counts(reference, probability, mask) == pytest.approx(expected)


def test_the_table_has_a_row_for_every_range_with_a_voxel():
    counts = np.zeros((N_BINS, 3))
    counts[0], counts[7] = (90, 1, 0.9), (4, 3, 3.0)
    table = reliability({"t1_gd": counts})
    assert table.values.tolist() == [["t1_gd", 0, 0.1, 90, 0.01, 1 / 90], ["t1_gd", 0.7, 0.8, 4, 0.75, 0.75]]


def test_how_often_an_object_of_a_confidence_is_real():
    """Of P's two objects at .85 one is real, of Q's one; lesions and label maps tell nothing."""
    lesions = pd.DataFrame(
        [
            ("P", "predicted", "true", 0.85, 0.6),
            ("P", "predicted", "false", 0.8, 0.6),
            ("Q", "predicted", "true", 0.89, 0.7),
            ("Q", "predicted", "true", 1.0005, 0.9),
            ("Q", "reference", "found", 0.85, 0.6),
            ("R", "predicted", "false", np.nan, np.nan),
        ],
        columns=["case", "side", "status", "p_max", "p_mean"],
    )
    table = confidence(lesions)
    highest = table[table["measure"] == "p_max"].drop(columns="measure")
    share = clustered_proportion([1, 1], [2, 1])
    assert highest.iloc[0].tolist() == pytest.approx([0.8, 0.9, 3, 2, *share])
    assert highest.iloc[1].tolist()[:5] == pytest.approx([0.9, 1, 1, 1, 1])
    assert len(highest) == 2


def test_evaluate_writes_both_tables(tmp_path):
    folders = write_folders(tmp_path)
    assert evaluate(folders) == 0
    voxels = rows(folders / "out" / "reliability.csv")
    assert sum(int(row["n_voxels"]) for row in voxels) == 3 * 4 * 6 * 8
    objects = rows(folders / "out" / "confidence.csv")
    assert {row["measure"] for row in objects} == {"p_max", "p_mean"}
    # the object of .9 on the first lesion, and the false one of .72; the second lesion lies below 0.5
    counted = [(row["p_from"], row["n_objects"], row["n_true"]) for row in objects if row["measure"] == "p_max"]
    assert counted == [("0.7", "3", "0"), ("0.9", "3", "3")]


def test_label_maps_have_neither(tmp_path):
    folders = write_folders(tmp_path)
    assert evaluate(folders) == 0
    for file in (folders / "test_p").glob("*.npz"):
        file.unlink()
    assert evaluate(folders) == 0
    assert not [name for name in ("reliability", "confidence") if (folders / "out" / f"{name}.csv").exists()]
