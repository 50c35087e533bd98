"""Puts faults and notes into words that can be sent from one process to another."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dataset_conversion.faults import Fault

Found = TypeVar("Found")


@dataclass(frozen=True)
class Remark:
    """A fault or a note in words; unlike a Fault it can be sent from one process to another."""

    problem: str
    remedy: str = ""

    @classmethod
    def of(cls, fault: Fault) -> "Remark":
        """The fault as a remark, on one line."""
        return cls(" ".join(line.strip() for line in fault.problem.splitlines()), fault.remedy)

    def __str__(self) -> str:
        return f"{self.problem}. {self.remedy}" if self.remedy else self.problem


def or_remark(read: Callable[[Path], Found], file: Path) -> Found | Remark:
    """What was read, or why it could not be; raises nothing."""
    try:
        return read(file)
    except Fault as fault:
        return Remark.of(fault)
    except OSError as error:
        problem = f"it cannot be opened ({error.strerror or error})"
    except Exception as error:
        # a file so odd that nibabel or SimpleITK gave up in a way of its own
        problem = f"this is no readable image ({error})"
    return Remark.of(Fault(problem, file=file, remedy="Check that the file is readable, or copy it again."))
