"""The slices shown are the best dozen: counted by hand, and against every possible choice."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evaluation.figures.pictures.slices import Extent, choose_slices, filled_up


def extent(first, *areas, urgent=False):
    return Extent(first, np.array(areas), urgent)


def shown(extents, slices):
    return [o for o in extents if any(o.first <= z < o.first + len(o.areas) for z in slices)]


def test_one_slice_through_the_largest_cross_section_shows_an_object():
    assert choose_slices([extent(3, 1, 5, 9, 4)], 20, at_most=12) == [5]


def test_two_objects_that_share_a_good_slice_share_it():
    assert choose_slices([extent(3, 8, 9, 8), extent(4, 8, 9, 8)], 20, at_most=12) in ([4], [5])


def test_an_object_is_not_shown_at_its_edge_if_a_slice_more_shows_it_well():
    assert choose_slices([extent(2, 9, 9, 1), extent(4, 1, 9, 9)], 20, at_most=12) == [2, 5]


def test_it_is_shown_at_its_edge_rather_than_not_at_all():
    assert choose_slices([extent(2, 9, 9, 1), extent(4, 1, 9, 9)], 20, at_most=1) == [4]


def test_one_missed_lesion_comes_before_any_number_of_found_ones():
    found = [extent(3, 9, 9)] * 30
    assert choose_slices([*found, extent(8, 1, urgent=True)], 20, at_most=1) == [8]


def test_without_objects_there_is_nothing_to_choose():
    assert choose_slices([], 20, at_most=12) == []


objects = st.lists(
    st.builds(
        lambda first, areas, urgent: Extent(first, np.array(areas), urgent),
        st.integers(0, 6),
        st.lists(st.integers(1, 9), min_size=1, max_size=4),
        st.booleans(),
    ),
    min_size=1,
    max_size=7,
)


@given(objects, st.integers(1, 3))
def test_no_other_choice_shows_more(extents, at_most):
    def worth(slices):
        seen = shown(extents, slices)
        return sum(o.urgent for o in seen), len(seen)

    chosen = choose_slices(extents, 10, at_most=at_most)
    assert len(chosen) <= at_most
    assert chosen == sorted(set(chosen))
    assert worth(chosen) == max(worth(other) for n in range(1, at_most + 1) for other in combinations(range(10), n))


def test_what_is_left_of_the_slices_goes_through_the_objects_far_from_those_chosen():
    """One object in slices 2 to 10. From 6 the edges are 4 away, 2 first; then 10, then the middles, 4 before 8."""
    areas = np.array([0, 0, *[9] * 9, 0])
    assert filled_up([6], areas, at_most=3, apart=2) == [2, 6, 10]
    assert filled_up([6], areas, at_most=4, apart=2) == [2, 4, 6, 10]
    assert filled_up([6], areas, at_most=12, apart=2) == [2, 4, 6, 8, 10]
    assert filled_up([6], areas, at_most=12, apart=5) == [6]


def test_nothing_is_added_where_nothing_was_chosen():
    assert filled_up([], np.array([0, 9]), at_most=12, apart=1) == []
