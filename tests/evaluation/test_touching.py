"""The report says where a model touches many lesions but outlines few of them."""

import math

import pytest

from evaluation.report.touching import touching_sentence


def metrics(sensitivity: float | None, **lesion_wise: float | None) -> dict[str, dict[str, float | None]]:
    return {name: {"mean": mean} for name, mean in {"sensitivity": sensitivity, **lesion_wise}.items()}


def test_a_prediction_that_floods_the_brain_is_told():
    flood = metrics(0.83, lesion_f1=0.0041, lesion_dice=0.002)
    assert touching_sentence(flood, name="DropOut") == (
        "DropOut finds 83 % of the lesions by touching them, but has a lesion-wise F1 of 0.004 and "
        "a lesion-wise Dice of 0.002."
    )


@pytest.mark.parametrize(
    ("f1", "dice", "told"),
    [
        (0.81, 0.66, False),  # 0.09 and 0.24 lower
        (0.79, 0.66, True),  # 0.11 lower
        (0.81, 0.64, True),  # 0.26 lower
        (1.0, 1.0, False),  # F1 above the share found: few false alarms
        (None, 0.64, True),
        (0.79, None, True),
        (None, None, False),
        (math.nan, math.nan, False),
    ],
)
def test_a_little_is_a_tenth_of_f1_and_a_quarter_of_dice(f1, dice, told):
    assert bool(touching_sentence(metrics(0.9, lesion_f1=f1, lesion_dice=dice))) == told


@pytest.mark.parametrize("old", [{}, metrics(0.9), metrics(None, lesion_f1=0.1), {"lesion_f1": {"mean": 0.1}}])
def test_what_was_not_measured_is_not_told(old):
    assert touching_sentence(old) == ""


def test_only_what_is_known_is_named():
    said = touching_sentence(metrics(0.5, lesion_dice=0.1))
    assert said == "It finds 50 % of the lesions by touching them, but has a lesion-wise Dice of 0.100."
