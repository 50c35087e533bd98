"""Lists the runs of a study: every arm with each of its seeds, each with a training of its own."""

from dataclasses import dataclass

from dataset_conversion.faults import Fault
from nnunet_seqdropout.study.design.design import Arm, Design


@dataclass(frozen=True)
class Run:
    """One arm with one seed. suffix: of the names of its trainer, its steps and its folders."""

    arm: Arm
    seed: int = 0
    suffix: str = ""

    @property
    def name(self) -> str:
        return f"{self.arm.name}{self.suffix}"


def runs_of(arm: Arm, design: Design) -> list[Run]:
    """The first seed of the design has no suffix: a study that is given more seeds keeps what it has trained."""
    seeds = design.seeds if arm.seeds is None else arm.seeds
    return [Run(arm, seed, "" if seed == design.seeds[0] else f"_seed{seed}") for seed in seeds]


def all_runs(design: Design) -> list[Run]:
    """Those of every arm. Raises Fault where two would have one name."""
    runs = [run for arm in design.arms for run in runs_of(arm, design)]
    names = [run.name for run in runs]
    if twice := {name for name in names if names.count(name) > 1}:
        problem = f"an arm and the seed of another arm are both called {twice.pop()}"
        raise Fault(problem, remedy="Choose names of arms that do not end with _seed and a number.")
    return runs
