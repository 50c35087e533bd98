"""Bad input as an exception: what is wrong with which file, and what to do about it."""

from functools import partial
from pathlib import Path


class Fault(ValueError):
    """Bad input, said in one line: file, problem, remedy. The case is added by whoever goes through the cases."""

    def __init__(self, problem: str, *, remedy: str, file: Path | None = None) -> None:
        self.problem = " ".join(line.strip() for line in (f"{file}: {problem}" if file else problem).splitlines())
        self.remedy = remedy
        super().__init__(f"{self.problem}. {remedy}")

    def __reduce__(self) -> tuple:
        """It can come back from another process."""
        return partial(Fault, self.problem, remedy=self.remedy), ()
