"""Which patterns training could draw: counted by hand from the settings in the plans."""

import itertools
import json
import shutil

import pytest
from conftest import write_case
from predict_folders import predict

from dataset_conversion.faults import Fault
from nnunet_seqdropout.models.dropout_law import can_be_drawn, dropout_of_plans

NAMES = ("t1", "t2", "flair")
ALL = [present for present in itertools.product((True, False), repeat=3) if any(present)]


def drawn(**settings) -> set[str]:
    """The patterns that can be drawn, a letter for each sequence."""
    law = dropout_of_plans({"seqdropout": {"sequences": [*NAMES], "subset_law": "uniform_subsets", **settings}}, NAMES)
    possible = [present for present in ALL if can_be_drawn(law, present)]
    return {"".join(letter for letter, there in zip("12f", present, strict=True) if there) for present in possible}


def test_every_subset_is_drawn_by_default():
    assert drawn() == {"12f", "12", "1f", "2f", "1", "2", "f"}
    assert drawn(subset_law="uniform_number") == drawn(subset_law="independent") == drawn()


def test_none_without_a_sequence_that_is_always_kept():
    assert drawn(always_keep=["t2"]) == {"12f", "12", "2f", "2"}


def test_none_whose_weight_is_0():
    assert drawn(subset_law="weights", subset_weights={"t1": 0, "t1+flair": 0}) == {"12f", "12", "2f", "2", "f"}


def test_only_all_where_nothing_is_dropped():
    assert drawn(subset_law="independent", drop_probability=0) == {"12f"}
    stock = dropout_of_plans({}, NAMES)
    assert stock is None
    assert [present for present in ALL if can_be_drawn(stock, present)] == [(True, True, True)]


def test_a_model_of_0_1_0_has_every_subset():
    former = {"version": "0.1.0", "sequences": [*NAMES], "subset_law": "uniform_subsets", "drop_probability": 0.25}
    assert drawn(**former, always_keep=[]) == drawn()


@pytest.mark.parametrize(
    "broken",
    [
        {"subset_law": "unknown"},
        {"subset_law": ["uniform_subsets"]},
        {"drop_probability": "often"},
        {"drop_probability": 3},
        {"always_keep": 5},
        {"subset_weights": [1]},
        {"subset_law": "weights", "subset_weights": {"t1": "none"}},
        {"sequences": ["t1"]},
        {"sequences": 3},
    ],
)
def test_settings_that_cannot_be_are_a_fault(broken):
    with pytest.raises(Fault, match="seqdropout"):
        drawn(**broken)


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (True, "plans.json: seqdropout should be keys with values, and is true"),
        (
            {"subset_law": "weights", "rescale": 5},
            "seqdropout.rescale should be one of paper, sqrt, none, and is 5",
        ),
    ],
)
def test_so_are_settings_of_another_kind(ours, said):
    with pytest.raises(Fault, match=said):
        dropout_of_plans({"seqdropout": ours}, NAMES)


@pytest.mark.parametrize(
    ("trainer", "settings", "trained", "said"),
    [
        ("TinySeqDropout", {}, True, []),
        (
            "TinySeqDropout",
            {"always_keep": ["flair"]},
            False,
            ["the model was never trained on bravo+t1_pre+t1_gd alone: always_keep is flair, and flair is absent"],
        ),
        (
            "TinySeqDropout",
            {"subset_law": "weights", "subset_weights": {"bravo+t1_pre+t1_gd": 0}},
            False,
            ["the model was never trained on bravo+t1_pre+t1_gd alone: its weight in subset_weights is 0"],
        ),
        ("TinyDeepLab", {}, False, ["a sequence is absent, and the model was trained without sequence dropout"]),
    ],
)
def test_row_63_a_pattern_never_trained_is_in_the_record_and_on_the_screen(
    make_model, tmp_path, caplog, trainer, settings, trained, said
):
    model = shutil.copytree(make_model(trainer), tmp_path / "model")
    plans = json.loads((model / "plans.json").read_text())
    plans["seqdropout"] |= settings
    (model / "plans.json").write_text(json.dumps(plans))
    write_case(tmp_path, "P", (9, 40, 38), seed=5)
    assert predict(tmp_path / "imagesTr", tmp_path / "out", model, "--drop", "flair") == 0
    record = json.loads((tmp_path / "out" / "P.json").read_text())
    assert (record["pattern_trained"], record["warnings"]) == (trained, said)
    assert [message for message in caplog.messages if message.startswith("P: the model") or "trained" in message] == [
        f"P: {each}" for each in said
    ]
