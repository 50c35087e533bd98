"""Writes the HTML page of one predicted case, which no reference has been compared with: one self-contained file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evaluation.figures.pictures.layers import probability_colours
from evaluation.figures.pictures.mosaic import MosaicSlice
from evaluation.report.evaluation import page_templates
from evaluation.report.target import target_in_full

ANCHOR = "case"
DIRECTIONS = (("R", "L"), ("A", "P"), ("I", "S"))
"""Where a negative and a positive number of x, y and z point to, in LPS."""


@dataclass(frozen=True)
class Prediction:
    """A predicted case. record: the keys of ``<case>.json`` but ``files``. lesions: the rows of ``<case>_lesions.csv``.

    target: the name of what was looked for. slices: ``predicted_mosaic``. synthetic: whether the patient is known to be
    made up. versions: package -> version.
    """

    record: Mapping[str, Any]
    target: str
    channel_names: Sequence[str]
    lesions: pd.DataFrame
    slices: Sequence[MosaicSlice]
    synthetic: bool
    versions: Mapping[str, str]


def prediction_page(prediction: Prediction) -> str:
    """The text of the page. It names the case as the record does, the model by its folder's name, and no other path."""
    record, lesions = prediction.record, prediction.lesions
    model = Path(record["model"])
    rows = [_row(row, prediction.slices) for row in largest_first(lesions)]
    values = {
        "p": prediction,
        "record": record,
        "present": [name for name in prediction.channel_names if name not in record["absent"]],
        "volume_mm3": float(lesions["volume_mm3"].sum()),
        "largest_mm": float(lesions["diameter_mm"].max()) if len(lesions) else None,
        "rows": rows,
        "start": _first_seen(rows, prediction.slices),
        "warnings": [f"{warning[:1].upper()}{warning[1:]}." for warning in record["warnings"]],
        "target_in_full": target_in_full({"target": record["target"], "target_name": prediction.target}),
        "anchor": ANCHOR,
        "colour_bar": probability_colours(),
        "threshold_source": record["threshold_source"].replace(f"{model}/", ""),
        "model": "/".join(filter(None, (model.parent.name, model.name))),
    }
    return page_templates().get_template("prediction.html.jinja").render(**values)


def largest_first(lesions: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of ``<case>_lesions.csv`` in the order of the pages."""
    return lesions.sort_values("volume_mm3", ascending=False, kind="stable").to_dict("records")


def _row(row: dict[str, Any], slices: Sequence[MosaicSlice]) -> dict[str, Any]:
    """An object, the slices that show it, and its place in words."""
    shown_in = [each.z + 1 for each in slices if any(number.value == row["object"] for number in each.numbers)]
    place = (row["x_mm"], row["y_mm"], row["z_mm"])
    return {**row, "slices": shown_in, "place": " ".join(map(_directed, place, DIRECTIONS))}


def _first_seen(rows: Sequence[Mapping[str, Any]], slices: Sequence[MosaicSlice]) -> int:
    """The picture, from 1, that is seen first: in the middle of the largest object, or of all."""
    shown_in = rows[0]["slices"] if rows else []
    every = [each.z + 1 for each in slices]
    return 1 + (every.index(shown_in[len(shown_in) // 2]) if shown_in else len(every) // 2)


def _directed(mm: float, ends: tuple[str, str]) -> str:
    """``R 31``: 31 mm to the right."""
    return f"{ends[mm >= 0]}\N{NO-BREAK SPACE}{abs(mm):.0f}"
