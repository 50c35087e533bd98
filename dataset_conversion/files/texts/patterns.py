"""Matches regular expressions that a user has written, and stops one that takes too long.

A repetition inside a repetition, such as ``(a+)+b``, can take longer than the age of the universe for forty letters. A
limit of time stops every such pattern and refuses none that works, which no look at the pattern alone could do. It is
the computing time of this process, so that a busy machine stops nothing.
"""

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dataset_conversion.faults import Fault

LIMIT_S = 2.0
LONGEST = 1000


class _TooLong(Exception):
    pass


@dataclass(frozen=True)
class BoundedPattern:
    """A compiled pattern, for which upper and lower case are one. It is bounded within ``limited_time``."""

    compiled: re.Pattern[str]

    @property
    def pattern(self) -> str:
        return self.compiled.pattern

    @property
    def names(self) -> set[str]:
        """Those of its groups."""
        return {*self.compiled.groupindex}

    def fullmatch(self, text: str) -> re.Match[str] | None:
        return self._named(self.compiled.fullmatch, text)

    def search(self, text: str) -> re.Match[str] | None:
        return self._named(self.compiled.search, text)

    def _named(self, match: Callable[[str], re.Match[str] | None], text: str) -> re.Match[str] | None:
        try:
            return match(text)
        except _TooLong:
            # not the text: it may be of a header that names a patient
            raise _fault(f"the pattern {self.pattern}") from None


def bounded(pattern: str) -> BoundedPattern:
    """Raises ValueError or re.error where the pattern cannot be used."""
    try:
        return BoundedPattern(re.compile(pattern, re.IGNORECASE))
    except (OverflowError, RecursionError) as error:
        raise ValueError(f"the pattern {pattern[:40]}... cannot be used: {error}") from error


@contextmanager
def limited_time() -> Iterator[None]:
    """Matches of bounded patterns inside the block take LIMIT_S together at most. Raises Fault where they would not.

    On Windows, and in any thread but the main one, there is no such signal, and only Ctrl-C stops them.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _stop)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except _TooLong:
        raise _fault("the patterns together") from None
    finally:
        signal.signal(signal.SIGVTALRM, before)


def _stop(*_: object) -> None:
    raise _TooLong


def _fault(what: str) -> Fault:
    remedy = "Write it without a repetition inside a repetition, such as (a+)+."
    return Fault(f"{what} takes more than {LIMIT_S:g} s for one name", remedy=remedy)
