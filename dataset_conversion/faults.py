"""Bad input as an exception: what is wrong with which file, and what to do about it."""

from pathlib import Path


class Fault(ValueError):
    """Bad input, said in one line: file, problem, remedy. The case is added by whoever goes through the cases."""

    def __init__(self, problem: str, *, remedy: str, file: Path | None = None) -> None:
        self.problem = f"{file}: {problem}" if file else problem
        self.remedy = remedy
        super().__init__(f"{self.problem}. {remedy}")
