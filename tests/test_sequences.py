"""The names of the sequences."""

import pytest

from dataset_conversion.sequences import BRATS_CHANNELS, PAPER_CHANNELS, canonical, channel_of, pattern


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
    assert [channel_of(name, PAPER_CHANNELS) for name in ("mprage", "t1", "t1ce", "t2f", "t2")] == [0, 1, 2, 3, None]
    assert [channel_of(name, BRATS_CHANNELS) for name in ("t1_pre", "t1_gd", "t2", "flair", "bravo")] == [
        0,
        1,
        2,
        3,
        None,
    ]


def test_a_pattern_names_what_is_present_in_channel_order():
    assert pattern([False, True, True, True], PAPER_CHANNELS) == "t1_pre+t1_gd+flair"
