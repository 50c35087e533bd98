"""The FROC of one patient, counted by hand and against a slow second version that finds the objects each time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evaluation.metrics.lesion import froc_steps as module
from evaluation.metrics.lesion.froc import froc_counts
from evaluation.metrics.lesion.froc_steps import FrocSteps, froc_steps
from evaluation.metrics.lesion.lesions import detect, find_objects

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


def counts(steps: FrocSteps, thresholds) -> list[list[int]]:
    at = np.asarray(thresholds, float)
    return np.stack([steps.n_found(at), steps.false_positives(at)], axis=1).tolist()


def test_every_step_counted_by_hand():
    """The false object comes at .7 and joins the first lesion's at .3; another of .4 and .35, with .25 between them."""
    reference, probability = np.zeros((1, 5, 9), bool), np.zeros((1, 5, 9))
    reference[0, 0, 0:2] = reference[0, 2, 8] = True
    probability[0, 0] = [0.9, 0.5, 0.3, 0.7, 0, 0, 0, 0, 0]
    probability[0, 2, 8] = 0.2
    probability[0, 4, 0:3] = [0.4, 0.25, 0.35]
    steps = froc_steps(find_objects(reference), probability, lowest=0.01)
    assert (steps.maxima.tolist(), steps.n_lesions) == ([0.2, 0.9], 2)
    assert steps.thresholds.tolist() == [0.25, 0.3, 0.35, 0.4, 0.7]
    assert steps.changes.tolist() == [-1, -1, 1, 1, 1]
    thresholds = (0.95, 0.8, 0.7, 0.4, 0.35, 0.3, 0.25, 0.2)
    assert counts(steps, thresholds) == [[0, 0], [1, 0], [1, 1], [1, 2], [1, 3], [1, 2], [1, 1], [2, 1]]


@given(CASES)
def test_all_steps_agree_with_objects_found_anew_at_every_threshold(case):
    reference, probability = case
    thresholds = [0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.6, 0.7, 1.0, *np.unique(probability[probability > 0]).astype(float)]
    steps = froc_steps(find_objects(reference), probability, lowest=0.05)
    assert counts(steps, thresholds) == slowly(reference, probability, thresholds)


def test_all_steps_of_noise_agree_with_objects_found_anew():
    rng = np.random.default_rng(0)
    reference, probability = rng.random((20, 21, 22)) < 0.002, rng.random((20, 21, 22))
    thresholds = [step / 20 for step in range(1, 20)]
    steps = froc_steps(find_objects(reference), probability, lowest=0.05)
    assert counts(steps, thresholds) == slowly(reference, probability, thresholds)


def test_where_too_many_voxels_reach_the_lowest_threshold_it_is_raised(monkeypatch):
    """Of five voxels off the reference the three highest are looked at, and the equal one; the lesion is .1."""
    monkeypatch.setattr(module, "LARGEST", 3)
    reference, probability = np.zeros((1, 1, 11), bool), np.zeros((1, 1, 11))
    probability[0, 0, ::2] = [0.1, 0.5, 0.6, 0.4, 0.4, 0.2]
    reference[0, 0, 0] = True
    steps = froc_steps(find_objects(reference), probability, lowest=0.01)
    assert steps.lowest == 0.4
    assert counts(steps, (0.6, 0.5, 0.4)) == [[0, 1], [0, 2], [0, 4]]
    assert steps.n_found(np.array([0.1])).tolist() == [1]


def test_a_map_without_anything_has_no_step():
    steps = froc_steps(find_objects(np.zeros((2, 2, 2), bool)), np.zeros((2, 2, 2), np.float32), lowest=0.01)
    assert (steps.n_lesions, counts(steps, (0.5,))) == (0, [[0, 0]])


def test_of_very_many_steps_the_lower_ones_are_summed(monkeypatch):
    """Eight objects apart: the highest two one by one, the six below in two sums of three."""
    monkeypatch.setattr(module, "MOST_STEPS", 2)
    probability = np.zeros((1, 1, 16))
    probability[0, 0, ::2] = [0.3, 0.1, 0.2, 0.4, 0.5, 0.6, 0.8, 0.7]
    steps = froc_steps(find_objects(probability > 1), probability, lowest=0.01)
    assert (steps.thresholds.tolist(), steps.changes.tolist()) == ([0.1, 0.4, 0.7, 0.8], [3, 3, 1, 1])


values_of_a_patient = st.lists(st.sampled_from([0.1, 0.25, 0.5, 0.75]), max_size=4)


@given(st.lists(st.tuples(values_of_a_patient, values_of_a_patient), min_size=1, max_size=4))
def test_all_patients_together_are_the_sum_of_each(patients):
    each = [
        FrocSteps(0.1, np.sort(maxima), np.sort(steps), np.where(np.arange(len(steps)) % 3, 1, -1))
        for maxima, steps in patients
    ]
    thresholds, cohort = np.array([0.05, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9]), module.together(each)
    assert cohort.n_lesions == sum(patient.n_lesions for patient in each)
    assert (cohort.n_found(thresholds) == sum(patient.n_found(thresholds) for patient in each)).all()
    assert (cohort.false_positives(thresholds) == sum(patient.false_positives(thresholds) for patient in each)).all()
