"""A misspelt name is answered with the known one that is most like it, and a strange one with none."""

import pytest

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.dataset_json import Description
from dataset_conversion.nearest import did_you_mean, nearest
from dataset_conversion.sequences import PAPER_CHANNELS, require_channel

COMMANDS = ("convert", "compare", "evaluate", "predict")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("evalaute", "evaluate"),
        ("PREDICT", "predict"),
        ("pre-dict", "predict"),
        ("eval", "evaluate"),
        ("co", ""),
        ("con", "convert"),
        ("c", ""),
        ("train", ""),
        ("", ""),
    ],
)
def test_the_nearest_is_alike_or_the_only_one_that_begins_so(name, meant):
    assert nearest(name, COMMANDS) == meant


def test_what_two_names_begin_with_is_answered_with_neither():
    assert nearest("dataset", ["dataset_one_of_many", "dataset_two_of_many"]) == ""


def test_the_question_stands_before_a_remedy_or_not_at_all():
    assert did_you_mean("flar", ["flair"]) + "Rest." == "Did you mean flair? Rest."
    assert did_you_mean("pet", ["flair"]) + "Rest." == "Rest."


@pytest.mark.parametrize(("name", "meant"), [("flar", "flair"), ("t1_gdd", "t1_gd"), ("mpragee", "mprage")])
def test_a_misspelt_sequence_is_answered_with_a_name_that_is_taken(name, meant):
    with pytest.raises(Fault) as fault:
        require_channel(name, PAPER_CHANNELS)
    assert fault.value.remedy.startswith(f"Did you mean {meant}? The channels are: ")
    require_channel(meant, PAPER_CHANNELS)


REGIONS = Description((), "", {"background": 0, "whole tumour": [2, 1, 3], "core": [1, 3], "enhancing": 3, "ignore": 4})


@pytest.mark.parametrize(
    ("name", "values"), [("core", (1, 3)), ("enhancing", (3,)), ("2", (2,)), ("-1", (-1,)), ("whole tumour", (2, 1, 3))]
)
def test_a_label_or_region_is_found_by_its_name_and_a_number_is_itself(name, values):
    assert REGIONS.values_of(name) == values


@pytest.mark.parametrize("name", ["background", "ignore", "1.0", "½"])
def test_what_cannot_be_evaluated_has_no_name(name):
    with pytest.raises(Fault, match=f"no label {name}"):
        REGIONS.values_of(name)


def test_a_misspelt_label_is_answered_with_the_nearest():
    with pytest.raises(Fault, match=r"no label enhancin\. Did you mean enhancing\? Choose among.*core \(1,3\)"):
        REGIONS.values_of("enhancin")
