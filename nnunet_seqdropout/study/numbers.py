"""Numbers the data sets of a study, one for each choice of sequences."""

import re
from collections.abc import Sequence
from pathlib import Path

MOST = 999
"""nnU-Net writes three digits and finds a data set by how its folder begins: 102 would also be 1023."""


def data_set_numbers(
    channel_names: Sequence[str], choices: Sequence[tuple[str, ...]], raw: Path
) -> dict[tuple[str, ...], int]:
    """The number of the data set of each choice of channels, from 1 to 999.

    A bit for each channel, whatever the design, as long as all together are at most 999: nine channels. Of more, a
    choice keeps the number that it has in the folder ``raw``; a new one gets its bits, or else the lowest number that
    is free.
    """
    bits = {choice: sum(1 << channel_names.index(name) for name in choice) for choice in choices}
    if 2 ** len(channel_names) - 1 <= MOST:
        return bits
    there = {found[2]: int(found[1]) for folder in raw.glob("*") if (found := _FOLDER.fullmatch(folder.name))}
    numbers = {choice: there["_".join(choice)] for choice in choices if "_".join(choice) in there}
    for choice in choices:
        taken = {*there.values(), *numbers.values()}
        free = (number for number in (bits[choice], *range(1, MOST + 1)) if number <= MOST and number not in taken)
        numbers.setdefault(choice, next(free))
    return numbers


_FOLDER = re.compile(r"Dataset(\d+)_(.+)")
