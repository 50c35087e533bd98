"""The names of the sequences."""

import pytest

from dataset_conversion.faults import Fault
from dataset_conversion.sequences import (
    BRATS_CHANNELS,
    PAPER_CHANNELS,
    Pattern,
    canonical,
    channels_of,
    distinct,
    require_channel,
)


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("MPRAGE", "bravo"),
        ("IR-FSPGR", "bravo"),
        ("irspgr", "bravo"),
        ("T1ce", "t1_gd"),
        ("CT1", "t1_gd"),
        ("Cube Post", "t1_gd"),
        ("T1post", "t1_gd"),
        ("T1", "t1_pre"),
        ("t1n", "t1_pre"),
        ("t2f", "flair"),
        ("FLA", "flair"),
        ("T2w", "t2"),
        ("DWI b-1000", "dwib1000"),
    ],
)
def test_aliases_are_matched_without_case_and_punctuation(name, sequence):
    assert canonical(name) == sequence


def test_a_sequence_is_found_in_a_data_set_by_any_of_its_names():
    assert [channels_of(name, PAPER_CHANNELS) for name in ("mprage", "t1", "t1ce", "t2f", "t2")] == [
        [0],
        [1],
        [2],
        [3],
        [],
    ]
    assert [channels_of(name, BRATS_CHANNELS) for name in ("t1_pre", "t1_gd", "t2", "flair", "bravo")] == [
        [0],
        [1],
        [2],
        [3],
        [],
    ]


@pytest.mark.parametrize(
    ("name", "channels"),
    [("bravo", [0]), ("mprage", [1]), ("MPRAGE", [1]), ("Bra-vo", [0]), ("irfspgr", [0, 1]), ("1", [])],
)
def test_of_two_channels_that_are_aliases_of_each_other_each_is_found_by_its_own_name(name, channels):
    assert channels_of(name, ("bravo", "mprage", "flair")) == channels


def test_the_exact_name_comes_before_one_in_other_spelling():
    assert [channels_of(name, ("T1", "t-1")) for name in ("T1", "t-1", "t1")] == [[0], [1], [0, 1]]


def test_a_channel_is_found_by_its_number_unless_another_is_called_so():
    assert [require_channel(name, ("bravo", "mprage")) for name in ("0", "1")] == [0, 1]
    assert [require_channel(name, ("1", "0")) for name in ("0", "1")] == [1, 0]
    with pytest.raises(Fault, match="unknown sequence 2"):
        require_channel("2", ("bravo", "mprage"))


def test_an_ambiguous_name_is_refused_with_the_numbers_to_choose_from():
    with pytest.raises(Fault, match=r"irspgr is ambiguous: it may be channel 0 or 1\. Give .* number, such as 0;"):
        require_channel("irspgr", ("bravo", "mprage", "flair"))
    with pytest.raises(Fault, match=r"unknown sequence t2\. The channels are: 0000 bravo, 0001 mprage"):
        require_channel("t2", ("bravo", "mprage"))
    assert require_channel("fla", ("bravo", "mprage", "flair")) == 2


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("zscore", "zscore", "flair"), ("zscore_0", "zscore_1", "flair")),
        (PAPER_CHANNELS, PAPER_CHANNELS),
        (("a", "a", "a_0"), ("a_0", "a_1", "a_0_2")),
    ],
)
def test_channels_of_one_name_are_told_apart_by_their_numbers(names, expected):
    assert distinct(names) == expected
    assert len({*distinct(names)}) == len(names)


def test_a_pattern_names_what_is_present_in_channel_order():
    pattern = Pattern.of([False, True, True, True], PAPER_CHANNELS)
    assert str(pattern) == "t1_pre+t1_gd+flair"
    assert len(pattern) == 3
    assert Pattern.parse(str(pattern)) == pattern
    assert pattern.flags(PAPER_CHANNELS) == (False, True, True, True)


def test_nothing_is_known_of_a_case_without_a_pattern():
    assert Pattern.parse("") == Pattern() == Pattern.of([False, False], ("a", "b"))
    assert str(Pattern()) == ""


@pytest.mark.parametrize(
    ("one", "other", "within", "strictly"),
    [
        ("a+b", "a+b", True, False),
        ("b", "a+b", True, True),
        ("a+c", "a+b", False, False),
        ("a+b", "a", False, False),
        ("c", "a+b", False, False),
        # two channels of one name are two sequences
        ("a+a", "a+b", False, False),
        ("a", "a+a", True, True),
    ],
)
def test_a_pattern_lies_within_another_that_has_all_its_sequences(one, other, within, strictly):
    one, other = Pattern.parse(one), Pattern.parse(other)
    assert (one <= other, one < other) == (within, strictly)


def test_the_name_of_another_sequence_is_not_taken_for_a_misspelt_one():
    """t2f is FLAIR: whoever asks for T2 does not mean it."""
    with pytest.raises(Fault, match="unknown sequence t2") as t2:
        require_channel("t2", ("bravo", "t1_gd", "t2f"))
    with pytest.raises(Fault, match="unknown sequence t2ff") as misspelt:
        require_channel("t2ff", ("bravo", "t1_gd", "t2f"))
    assert "mean" not in t2.value.remedy
    assert misspelt.value.remedy.startswith("Did you mean t2f? ")
