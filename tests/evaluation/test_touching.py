"""The report says where a model touches many lesions but outlines few of them."""

import pandas as pd
import pytest

from evaluation.report.touching import touching_sentence


def lesions(*dice: float, missed: int = 0) -> pd.DataFrame:
    """Touched lesions of these Dice, missed ones, and a false alarm, which has no part in it."""
    rows = [("reference", "found", value) for value in dice] + [("reference", "missed", 0.0)] * missed
    return pd.DataFrame([*rows, ("predicted", "false", 0.0)], columns=["side", "status", "dice"])


def test_a_prediction_that_floods_the_brain_is_told():
    assert touching_sentence(lesions(0.002, 0.002, 0.002, 0.002, 0.002, missed=1), name="DropOut") == (
        "DropOut finds 83 % of the lesions by touching them, but only 0 % with a Dice of at least 0.1; the mean Dice "
        "of the lesions touched is 0.002."
    )


def test_good_outlines_with_false_alarms_draw_no_sentence():
    many_specks = pd.concat([lesions(0.9, 0.95)] + [lesions().iloc[-1:]] * 50)
    assert touching_sentence(many_specks) == ""


@pytest.mark.parametrize(("dice", "told"), [((0.09,) + (0.8,) * 9, False), ((0.09, 0.09) + (0.8,) * 8, True)])
def test_a_little_is_a_tenth_of_the_lesions(dice, told):
    assert bool(touching_sentence(lesions(*dice))) == told


def test_what_was_not_measured_is_not_told():
    assert touching_sentence(lesions(0.001).drop(columns="dice")) == ""
    assert touching_sentence(lesions()) == ""
