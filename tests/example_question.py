"""The question of a study about a model with two seeds and one with one."""

from dataclasses import replace

from example_seeds import two_seeds

from evaluation.tables.comparison import compare_with_all
from evaluation.tables.seeds import OfSeed, averaged
from evaluation.tables.study import Question


def question() -> Question:
    """A with two seeds, B with one that found what the first of A did, and had a Dice of 0.5 and 0.1."""
    seed = two_seeds()[0]
    b = replace(seed, cases=seed.cases.assign(dice=[0.5, 0.1]), summary={**seed.summary, "name": "B"})
    evaluations = [averaged(two_seeds(), name="A"), b]
    seeds = {"A": [OfSeed(n, e, "") for n, e in enumerate(two_seeds())], "B": [OfSeed(0, b, "")]}
    return Question("Q", "q", [], evaluations, compare_with_all(evaluations[0], [b]), seeds)
