"""Makes of what a file holds what it should be, or says which key is wrong, what was expected there, and what came.

A kind is a type as it is written in an annotation: ``str``, ``int | None``, ``Literal["train", "val"]``,
``list[int]``, ``tuple[float, float]``, ``Mapping[str, X]``, a dataclass, of which an instance is made and which has no
other keys, or a TypedDict, which stays a dict and may have others. Numbers are finite. ``Annotated[float, Must(...)]``
says what else a value must be.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from dataset_conversion.faults import Fault

Kind = TypeVar("Kind")

LARGEST_WHOLE_NUMBER = 2**63
_LONGEST_SHOWN = 60
_PLAIN = re.compile(r"[^\W\d][\w+-]*")
_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
    list: "a list",
    tuple: "a list",
    Sequence: "a list",
    dict: "keys with values",
    Mapping: "keys with values",
}


Place = tuple[Any, ...]
"""What the whole is called, and the keys and numbers that lead from there to a value."""


class Misfit(ValueError):
    """A value that is not what it should be. The path of its key is said, such as ``patients.P01.split``."""

    def __init__(self, at: Place, problem: str) -> None:
        self.at = at
        super().__init__(f"{path(at) or 'it'} {problem}")


@dataclass(frozen=True)
class Must:
    """What a value must be, in words, and whether it is."""

    be: str
    holds: Callable[[Any], bool]


Share = Annotated[float, Must("a number from 0 to 1", lambda share: 0 <= share <= 1)]
Positive = Annotated[float, Must("a number above 0", lambda number: number > 0)]
NotNegative = Annotated[float, Must("a number from 0", lambda number: number >= 0)]
Count = Annotated[int, Must("a whole number from 0", lambda number: number >= 0)]
PositiveCount = Annotated[int, Must("a whole number above 0", lambda number: number > 0)]


def typed_of(file: Path | None, content: Any, kind: type[Kind], *, remedy: str, at: str = "") -> Kind:
    """What a file holds, or holds at one key, as the kind has it. Raises Fault where it is something else."""
    try:
        return typed(content, kind, at)
    except Misfit as misfit:
        raise Fault(str(misfit), file=file, remedy=remedy) from misfit


def typed(content: Any, kind: Any, at: str = "") -> Any:
    """The content as the kind has it. at: what it is called. Raises Misfit where it is something else."""
    return _typed(content, kind, (at,))


def _typed(content: Any, kind: Any, at: Place) -> Any:
    origin, of = get_origin(kind), get_args(kind)
    if kind is Any:
        return content
    if origin is Annotated:
        return _restricted(content, of[0], of[1], at)
    if origin in (Union, UnionType):
        return _one_of(content, of, kind, at)
    if origin in (list, tuple, Sequence):
        return _list(content, kind, at)
    if origin in (dict, Mapping):
        return _mapping(content, kind, at)
    if is_typeddict(kind) or is_dataclass(kind):
        return _keys(content, kind, at)
    if not _is(content, kind):
        raise _misfit(content, kind, at)
    return content


def expected(kind: Any) -> str:
    """A kind in words."""
    origin, of = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return of[1].be
    if origin is Literal:
        return f"{'one of ' if len(of) > 1 else ''}{', '.join(map(str, of))}"
    if origin in (Union, UnionType):
        return " or ".join(map(expected, of))
    if origin is tuple and of[-1] is not ...:
        return f"a list of {len(of)}"
    if is_typeddict(kind) or is_dataclass(kind):
        return _WORDS[dict]
    return _WORDS.get(origin or kind) or f"a {kind.__name__}"


def shown(content: Any) -> str:
    """A value in an error message, which has one line."""
    words = {True: "true", False: "false", None: "null"}
    text = words[content] if content is None or isinstance(content, bool) else repr(content)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _misfit(content: Any, kind: Any, at: Place) -> Misfit:
    return Misfit(at, f"should be {expected(kind)}, and is {shown(content)}")


def _is(content: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return any(type(content) is type(each) and content == each for each in get_args(kind))
    if kind is int:
        return type(content) is int and abs(content) < LARGEST_WHOLE_NUMBER
    if kind is float:
        # an int that has no float is larger than any
        return _is(content, int) or (isinstance(content, float) and math.isfinite(content))
    return isinstance(content, kind)


def _restricted(content: Any, kind: Any, must: Must, at: Place) -> Any:
    try:
        result = _typed(content, kind, at)
    except Misfit as misfit:
        if misfit.at != at:
            raise
        # the words for the whole say more than those for its type
    else:
        if must.holds(result):
            return result
    raise Misfit(at, f"should be {must.be}, and is {shown(content)}")


def _one_of(content: Any, kinds: Sequence[Any], kind: Any, at: Place) -> Any:
    """The first kind that fits. Of one that begins to fit, the key inside is named."""
    inside = None
    for each in kinds:
        try:
            return _typed(content, each, at)
        except Misfit as misfit:
            inside = misfit if misfit.at != at else inside
    raise inside or _misfit(content, kind, at)


def _list(content: Any, kind: Any, at: Place) -> Any:
    if not isinstance(content, list | tuple):
        raise _misfit(content, kind, at)
    of, is_tuple = get_args(kind), get_origin(kind) is tuple
    kinds = of if is_tuple and of[-1] is not ... else of[:1] * len(content)
    if len(kinds) != len(content):
        raise _misfit(content, kind, at)
    values = [_typed(value, each, (*at, i)) for i, (value, each) in enumerate(zip(content, kinds, strict=True))]
    return tuple(values) if is_tuple else values


def _mapping(content: Any, kind: Any, at: Place) -> dict:
    if not isinstance(content, dict):
        raise _misfit(content, kind, at)
    of_key, of_value = get_args(kind)
    for key in content:
        if of_key is not str or not isinstance(key, str):
            typed(key, of_key, at=f"the key {path((*at, key))}")
    return {key: _typed(value, of_value, (*at, key)) for key, value in content.items()}


def _keys(content: Any, kind: Any, at: Place) -> Any:
    """An instance of a dataclass, or a dict with the keys of a TypedDict."""
    is_closed = is_dataclass(kind)
    if is_closed and isinstance(content, kind):
        return content
    if not isinstance(content, dict):
        raise _misfit(content, kind, at)
    kinds, required = _hints(kind)
    for key in required:
        if key not in content:
            raise Misfit((*at, key), f"is missing: it should be {expected(kinds[key])}")
    if is_closed and (unknown := content.keys() - kinds.keys()):
        raise Misfit((*at, min(map(str, unknown))), f"is no key that is known here: {', '.join(kinds)}")
    values = {key: _typed(content[key], each, (*at, key)) for key, each in kinds.items() if key in content}
    return kind(**values) if is_closed else {**content, **values}


@cache
def _hints(kind: Any) -> tuple[dict[str, Any], list[str]]:
    """Key -> kind, and the keys that must be there."""
    hints = get_type_hints(kind, include_extras=True)
    if not is_dataclass(kind):
        return hints, sorted(kind.__required_keys__)
    optional = [each.name for each in fields(kind) if (each.default, each.default_factory) != (MISSING, MISSING)]
    return {each.name: hints[each.name] for each in fields(kind)}, [n for n in hints if n not in optional]


def path(at: Place) -> str:
    """``patients.P01.sequences[2]``; what is no plain name stands in brackets."""
    text, *keys = at
    for key in keys:
        if isinstance(key, str) and _PLAIN.fullmatch(key):
            text = f"{text}.{key}" if text else key
        else:
            text = f"{text}[{shown(key)}]"
    return text
