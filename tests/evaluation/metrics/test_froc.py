"""The FROC of one patient, counted by hand and against a slow second version that finds the objects anew each time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evaluation.metrics.froc import froc_counts
from evaluation.metrics.lesions import detect, find_objects

SHAPES = st.tuples(*[st.integers(1, 7)] * 3)
LEVELS = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0])
CASES = SHAPES.flatmap(
    lambda shape: st.tuples(
        arrays(bool, shape, elements=st.integers(0, 4).map(lambda n: n == 0)),
        st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
            lambda kind: arrays(np.float64, shape, elements=LEVELS).map(lambda a: a.astype(kind))
        ),
    )
)


def slowly(reference: np.ndarray, probability: np.ndarray, thresholds: list[float]) -> list[list[int]]:
    lesions = find_objects(reference)
    found = [detect(lesions, find_objects(probability.astype(float) >= threshold)) for threshold in thresholds]
    return [[detection.n_found(), detection.n_false_positives()] for detection in found]


def test_every_threshold_counted_by_hand():
    # two lesions, of which the second never gets more than .2; a false object of .7, which joins the first's at .3
    reference, probability = np.zeros((1, 3, 9), bool), np.zeros((1, 3, 9))
    reference[0, 0, 0:2] = reference[0, 2, 8] = True
    probability[0, 0] = [0.9, 0.5, 0.3, 0.7, 0, 0, 0, 0, 0]
    probability[0, 2, 8] = 0.2
    thresholds = (0.1, 0.3, 0.5, 0.7, 0.8, 0.95)
    assert froc_counts(reference, probability, thresholds).tolist() == [[2, 0], [1, 0], [1, 1], [1, 1], [1, 0], [0, 0]]


def test_thresholds_in_any_order_have_rows_in_that_order():
    reference, probability = np.zeros((1, 1, 3), bool), np.array([[[0.9, 0, 0.5]]], np.float32)
    assert froc_counts(reference, probability, (0.7, 0.2, 0.7, 0.95)).tolist() == [[0, 1], [0, 2], [0, 1], [0, 0]]
    assert froc_counts(reference, probability, ()).tolist() == []


def test_nothing_predicted_and_no_lesion_are_zeros():
    assert froc_counts(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2)), (0.5,)).tolist() == [[0, 0]]


@given(CASES, st.lists(st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 1.0]), min_size=1))
def test_it_agrees_with_objects_found_anew_at_every_threshold(case, thresholds):
    reference, probability = case
    assert froc_counts(reference, probability, thresholds).tolist() == slowly(reference, probability, thresholds)


def test_noise_agrees_with_objects_found_anew_at_every_threshold():
    rng = np.random.default_rng(0)
    reference, probability = rng.random((40, 41, 42)) < 0.001, rng.random((40, 41, 42))
    thresholds = [step / 20 for step in range(1, 20)]
    assert froc_counts(reference, probability, thresholds).tolist() == slowly(reference, probability, thresholds)
