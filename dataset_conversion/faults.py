"""Defines the exception for bad input: it names the file, the problem and the remedy."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path


class Fault(ValueError):
    """Bad input, said in one line: file, problem, remedy. The case is added by whoever goes through the cases."""

    def __init__(self, problem: str, *, remedy: str, file: Path | None = None) -> None:
        # a file's name may hold bytes that cannot be printed
        said = (f"{file}: {problem}" if file else problem).encode("utf-8", "backslashreplace").decode("utf-8")
        self.problem = " ".join(line.strip() for line in said.splitlines())
        self.remedy = remedy
        super().__init__(f"{self.problem}. {remedy}")

    def __reduce__(self) -> tuple:
        """It can come back from another process."""
        return partial(Fault, self.problem, remedy=self.remedy), ()


DEAD_LINK = "it is a link to a file that is not there"
LINK_REMEDY = "Fetch the file that it points to (git annex get), or remove the link."


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names for a message, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
