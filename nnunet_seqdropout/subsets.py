"""Lists the non-empty subsets of the sequences, and defines the laws by which training draws one of them."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import comb, inf
from numbers import Real
from typing import Literal, get_args

Presence = tuple[bool, ...]
"""One flag per declared sequence, in channel order: is it present?"""

SubsetLaw = Literal["uniform_subsets", "independent", "uniform_number", "weights"]


def subsets(present: Sequence[bool], *, always_keep: Sequence[bool] | None = None) -> list[Presence]:
    """All non-empty subsets of the sequences present, in a fixed order, the full set last.

    Those of ``always_keep`` that are present belong to every subset.
    """
    keep = [False] * len(present) if always_keep is None else always_keep
    choices = [(p,) if k or not p else (False, True) for p, k in zip(present, keep, strict=True)]
    return [subset for subset in product(*choices) if any(subset)]


def subset_probabilities(
    present: Sequence[bool],
    *,
    law: SubsetLaw = "uniform_subsets",
    drop_probability: float = 0.25,
    always_keep: Sequence[bool] | None = None,
    weights: Mapping[Presence, float] | None = None,
) -> dict[Presence, float]:
    """How probable it is that a patient with the sequences ``present`` is shown each subset of them; sums to 1.

    ``uniform_subsets``: every non-empty subset alike (the default; the paper trains on "every possible subset").
    ``independent``: each sequence is dropped with ``drop_probability`` by itself, given that something is left.
    ``uniform_number``: first how many are dropped, uniformly, then which ones, uniformly.
    ``weights``: each subset in proportion to its weight, 1 where ``weights`` names none, so that expected subsets come
    more often and impossible ones (weight 0) never; a patient of whom every subset has weight 0 is shown whole.

    Raises ValueError where no sequence is present, the law is unknown, ``drop_probability`` is outside [0, 1), a weight
    is negative or not finite, or weights are given to another law.
    """
    if not any(present):
        raise ValueError("No sequence is present: there is no non-empty subset to draw.")
    if law not in get_args(SubsetLaw):
        raise ValueError(f"Unknown subset law '{law}': choose one of {', '.join(get_args(SubsetLaw))}.")
    if not 0 <= drop_probability < 1:
        raise ValueError(f"drop_probability is {drop_probability}: give a number from 0 up to, but not, 1.")
    if weights and law != "weights":
        raise ValueError(f"Subsets have weights under the law 'weights', not under '{law}'.")
    if not all(isinstance(w, Real) and 0 <= w < inf for w in (weights or {}).values()):
        raise ValueError(f"The weights of subsets are {[*(weights or {}).values()]}: give numbers of at least 0.")
    candidates = subsets(present, always_keep=always_keep)
    most, fewest = sum(present), min(map(sum, candidates))
    optional = most - sum(p and k for p, k in zip(present, always_keep or [False] * len(present), strict=True))

    def weight(subset: Presence) -> float:
        n_dropped = most - sum(subset)
        if law == "independent":
            return drop_probability**n_dropped * (1 - drop_probability) ** (optional - n_dropped)
        if law == "uniform_number":
            return 1 / comb(optional, n_dropped) / (most - fewest + 1)
        return float((weights or {}).get(subset, 1.0))

    drawn = {subset: weight(subset) for subset in candidates}
    total = sum(drawn.values())
    if not total:
        return {tuple(present): 1.0}
    return {subset: w / total for subset, w in drawn.items()}
