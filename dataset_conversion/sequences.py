"""Maps the names that MRI sequences have in practice to canonical names and to the channels of a data set."""

from collections.abc import Sequence
from itertools import compress

ALIASES = {
    "bravo": ("mprage", "irfspgr", "irspgr"),
    "t1_pre": ("t1pre", "t1n", "t1"),
    "t1_gd": ("t1gd", "t1post", "t1ce", "t1c", "ct1", "cubepost"),
    "flair": ("t2f", "fla"),
    "t2": ("t2w",),
}
PAPER_CHANNELS = ("bravo", "t1_pre", "t1_gd", "flair")
BRATS_CHANNELS = ("t1n", "t1c", "t2w", "t2f")


def pattern(present: Sequence[bool], names: Sequence[str]) -> str:
    """The names of the sequences present, in channel order, joined by ``+``: ``t1_pre+t1_gd+flair``."""
    return "+".join(compress(names, present))


def canonical(name: str) -> str:
    """The sequence that a name in the field means, without regard to case, ``_``, ``-``, blanks: T1ce -> t1_gd.

    A name that is no alias stands for itself, in that plain spelling.
    """
    plain = "".join(character for character in name.lower() if character not in "_- ")
    for sequence, aliases in ALIASES.items():
        if plain == sequence.replace("_", "") or plain in aliases:
            return sequence
    return plain


def channel_of(name: str, channel_names: Sequence[str]) -> int | None:
    """The index of the channel that holds the sequence ``name``, or None where the data set has no such channel."""
    wanted = canonical(name)
    return next((i for i, channel in enumerate(channel_names) if canonical(channel) == wanted), None)
