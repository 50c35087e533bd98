"""Names and numbers of metrics as a reader sees them."""

from math import nan

import pytest

from evaluation.metrics.names import NAMES, label, printed
from evaluation.tables.results import SINCE_0_2


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("dice", 0.12345, "0.123"),
        ("iou", 0.12345, "0.123"),
        ("lesion_f1", 2 / 3, "0.667"),
        ("hd95_mm", 12.345, "12.3"),
        ("lesion_hd95_mm", 373, "373.0"),
        ("brier", 0.000421, "0.00042"),
        ("fp", 2.25, "2.2"),
        ("volume_reference_mm3", 1234.5, "1,234"),
        ("lesion_dice", nan, "n/a"),
        ("nsd", None, "n/a"),
    ],
)
def test_a_value_has_the_decimals_of_its_metric(metric, value, expected):
    assert printed(value, metric) == expected


def test_every_new_column_has_a_name_of_its_own():
    names = [label(metric) for metric in SINCE_0_2]
    assert len({*names, *NAMES.values()}) == len(NAMES)
    assert not {*names} & {*SINCE_0_2}
