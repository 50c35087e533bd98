"""Lets tasks take turns, and prints what each took beside its bound: other programs then disturb all alike."""

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

HEAD = "| what | s | bound | s | ratio |\n|---|---|---|---|---|"


@dataclass(frozen=True)
class Row:
    """Medians in seconds, and the median over the turns of their ratio."""

    what: str
    seconds: float
    bound: str
    bound_seconds: float
    ratio: float

    @classmethod
    def of(cls, what: str, seconds: Sequence[float], bound: str, bounds: Sequence[float]) -> "Row":
        ratio = median(ours / theirs for ours, theirs in zip(seconds, bounds, strict=True))
        return cls(what, median(seconds), bound, median(bounds), ratio)

    def __str__(self) -> str:
        return f"| {self.what} | {self.seconds:.3g} | {self.bound} | {self.bound_seconds:.3g} | {self.ratio:.2f} |"


def in_turns(tasks: Mapping[str, Callable[[], object]], turns: int, *, warm_up: bool = True) -> dict[str, list[float]]:
    """Seconds of each task in each turn; warm_up: after one turn that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(turns + warm_up):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            if turn >= warm_up:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def run(command: Sequence[object]) -> None:
    """A whole process; one that fails ends this one."""
    words = [str(word) for word in command]
    print(f"$ {shlex.join(words)[:160]}", file=sys.stderr, flush=True)
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stderr}\nThis command failed: {shlex.join(words)}")
