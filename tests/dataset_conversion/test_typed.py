"""What a file holds is what its reader says that it should be, or the key, what was expected and what came are said."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.json_files import read_json
from dataset_conversion.files.texts.typed import Misfit, Must, PositiveCount, Share, typed


@dataclass(frozen=True)
class Lesion:
    volume_mm3: float
    status: Literal["found", "missed"] = "found"
    centre: tuple[float, float, float] | None = None


class _Always(TypedDict):
    split: Literal["train", "val", "test"]


class Case(_Always, total=False):
    lesions: list[Lesion]
    by_label: Mapping[int, Share]


class Cases(TypedDict):
    patients: dict[str, Case]


def test_a_dict_stays_one_with_what_is_not_asked_for_and_a_dataclass_is_made():
    content = {"split": "val", "lesions": [{"volume_mm3": 3, "centre": [1, 2.5, -3]}], "source": "x"}
    found = typed(content, Case)
    assert found == {"split": "val", "lesions": [Lesion(3, "found", (1, 2.5, -3))], "source": "x"}
    assert content["lesions"] == [{"volume_mm3": 3, "centre": [1, 2.5, -3]}]


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"split": "training"}, "patients.P01.split should be one of train, val, test, and is 'training'"),
        ({}, "patients.P01.split is missing: it should be one of train, val, test"),
        ([], "patients.P01 should be keys with values, and is []"),
        ({"split": "val", "lesions": None}, "patients.P01.lesions should be a list, and is null"),
        (
            {"split": "val", "lesions": [{"volume_mm3": 3}, {"volume_mm3": "3"}]},
            "patients.P01.lesions[1].volume_mm3 should be a number, and is '3'",
        ),
        (
            {"split": "val", "lesions": [{"volume_mm3": 3, "size": 1}]},
            "patients.P01.lesions[0].size is no key that is known here: volume_mm3, status, centre",
        ),
        (
            {"split": "val", "lesions": [{"volume_mm3": 3, "centre": [1, 2]}]},
            "patients.P01.lesions[0].centre should be a list of 3 or null, and is [1, 2]",
        ),
        (
            {"split": "val", "lesions": [{"volume_mm3": 3, "centre": [1, 2, True]}]},
            "patients.P01.lesions[0].centre[2] should be a number, and is true",
        ),
        ({"split": "val", "by_label": {1: 2}}, "patients.P01.by_label[1] should be a number from 0 to 1, and is 2"),
        ({"split": "val", "by_label": {1: "a"}}, "patients.P01.by_label[1] should be a number from 0 to 1, and is 'a'"),
        ({"split": "val", "by_label": {"1": 1}}, "the key patients.P01.by_label['1'] should be a whole number, and is"),
    ],
)
def test_the_key_what_was_expected_and_what_came_are_said(case, said):
    with pytest.raises(Misfit) as misfit:
        typed({"patients": {"P01": case}}, Cases)
    assert str(misfit.value).startswith(said)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 10**400, 2**63, True, "1", None, [1], {}])
def test_a_number_is_a_finite_one(number):
    for kind in (int, float):
        with pytest.raises(Misfit, match="number"):
            typed(number, kind)


def test_one_and_true_and_half_are_not_the_same():
    assert typed(1, float) == 1
    for content, kind in ((True, Literal[1]), (1, Literal[True]), (1.0, int), (0.5, int), (1, bool)):
        with pytest.raises(Misfit):
            typed(content, kind)


def test_what_is_long_is_cut_and_of_what_may_be_several_all_are_named():
    with pytest.raises(Misfit) as misfit:
        typed("x" * 1000, int | list[int] | None, at="labels.lesion")
    expected = "labels.lesion should be a whole number or a list or null, and is 'xxx"
    assert str(misfit.value).startswith(expected)
    assert len(str(misfit.value)) < 200
    with pytest.raises(Misfit, match=r"labels.lesion\[1\] should be a whole number, and is 1.5"):
        typed([1, 1.5], int | list[int], at="labels.lesion")


def test_the_words_of_a_condition_stand_for_the_type_too():
    assert typed(3, PositiveCount) == 3
    for content in (0, 1.5, None):
        with pytest.raises(Misfit, match="epochs should be a whole number above 0"):
            typed(content, PositiveCount, at="epochs")
    with pytest.raises(Misfit, match=r"sizes\[0\] should be a whole number"):
        typed(["x"], Annotated[list[int], Must("some", bool)], at="sizes")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["split", "lesions", "by_label", "x"]), json_values))
def test_whatever_comes_it_is_taken_or_a_misfit_in_one_line(case):
    try:
        found = typed(case, Case)["split"]
    except Misfit as misfit:
        found = Fault(str(misfit), remedy="").problem
    assert found in ("train", "val", "test") or " should be " in found
    assert "\n" not in found


def test_a_reader_names_file_and_remedy(tmp_path):
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps({"patients": {"P01": {"split": 5}}}))
    with pytest.raises(Fault) as fault:
        read_json(file, Cases, remedy="Restore it.")
    assert str(fault.value) == (f"{file}: patients.P01.split should be one of train, val, test, and is 5. Restore it.")


@pytest.mark.parametrize("text", ['{"a": "\\ud800"}', '{"\\uD83D": 1}'])
def test_half_a_character_that_could_not_be_written_again_is_no_json(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(Fault, match="not readable as JSON"):
        read_json(tmp_path / "x.json", dict[str, Any])
    (tmp_path / "x.json").write_text('{"a": "\\ud83d\\ude00"}')
    assert read_json(tmp_path / "x.json", dict[str, str]) == {"a": "\N{GRINNING FACE}"}
