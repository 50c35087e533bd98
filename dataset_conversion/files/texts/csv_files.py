"""Writes tables as CSV that no spreadsheet takes for formulas, and reads them again.

A patient may be called ``=1+2`` or ``@x``: a spreadsheet would compute that, or follow it. A text that begins so gets
an apostrophe in front, as OWASP advises; one that had apostrophes there gets another, so that every text comes back.
"""

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from dataset_conversion.faults import Fault

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def write_csv(table: pd.DataFrame, file: Path) -> None:
    """Writes the columns without the index; NaN is an empty field."""
    texts = {name: column.map(_neutral) for name, column in table.items() if not pd.api.types.is_numeric_dtype(column)}
    table.assign(**texts).to_csv(file, index=False)


def read_csv(file: Path, *, text: Collection[str], columns: Collection[str] = (), remedy: str) -> pd.DataFrame:
    """What ``write_csv`` wrote. text: the columns of text, of which only an empty field is NaN, since a patient may be
    called NA or null; all others are of finite numbers. columns: those that must be there.

    Raises Fault where it is no such table.
    """
    try:
        table = pd.read_csv(file, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Fault(f"not readable as a table ({reason})", file=file, remedy=remedy) from error
    if not isinstance(table.index, pd.RangeIndex):
        raise Fault("rows have more fields than the header", file=file, remedy=remedy)
    if missing := [name for name in columns if name not in table.columns]:
        raise Fault(f"it has no column {', '.join(missing)}", file=file, remedy=remedy)
    for name in table.columns:
        if name not in text:
            _require_numbers(table[name], file, remedy)
    return table.assign(**{name: table[name].map(_original) for name in text if name in table.columns})


def _require_numbers(column: pd.Series, file: Path, remedy: str) -> None:
    numbers = pd.to_numeric(column.astype(object), errors="coerce").astype(float)
    wrong = column.notna() & ~np.isfinite(numbers) | column.map(lambda value: isinstance(value, bool))
    for row, value in column[wrong].items():
        raise Fault(f"{column.name} in row {row + 1} should be a number, and is {value!r}", file=file, remedy=remedy)


def _neutral(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _original(value: object) -> object:
    return value[1:] if isinstance(value, str) and value.startswith("'") and _FORMULA.match(value) else value
