"""Writes tables as CSV that no spreadsheet takes for formulas, and reads them again.

A patient may be called ``=1+2`` or ``@x``: a spreadsheet would compute that, or follow it. A text that begins so gets
an apostrophe in front, as OWASP advises; one that had apostrophes there gets another, so that every text comes back.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def write_csv(table: pd.DataFrame, file: Path) -> None:
    """Writes the columns without the index; NaN is an empty field."""
    texts = {name: column.map(_neutral) for name, column in table.items() if not pd.api.types.is_numeric_dtype(column)}
    table.assign(**texts).to_csv(file, index=False)


def read_csv(file: Path, *, text: Mapping[str, type]) -> pd.DataFrame:
    """What ``write_csv`` wrote. text: the columns of text, with str; only an empty field is NaN, since a patient may be
    called NA or null. Raises OSError or ValueError where it is no table."""
    table = pd.read_csv(file, dtype=text, keep_default_na=False, na_values=[""])
    return table.assign(**{name: table[name].map(_original) for name in text if name in table.columns})


def _neutral(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _original(value: object) -> object:
    return value[1:] if isinstance(value, str) and value.startswith("'") and _FORMULA.match(value) else value
