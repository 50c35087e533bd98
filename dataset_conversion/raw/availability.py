"""Says which sequences of a data set no training case has."""

from collections.abc import Iterable, Sequence

from dataset_conversion.sequences import Pattern


def nowhere_note(channel_names: Sequence[str], training: Iterable[Pattern]) -> tuple[str, str] | None:
    """What to know, and what to do, where no training case has one of the channels; None where there is no case.

    The network would keep a channel that is always zero, and every patient would be rescaled for its absence.
    """
    found = {name for pattern in training for name in pattern}
    nowhere = [name for name in channel_names if name not in found]
    if not found or not nowhere:
        return None
    there = ",".join(name for name in channel_names if name in found)
    remedy = f"Convert with --sequences {there}, or with a layout of your own that has no other channels."
    return f"no training case has {', '.join(nowhere)}", remedy
