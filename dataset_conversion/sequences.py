"""Names the MRI sequences, finds the channel that a name means, and says which sequences a case has."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

from dataset_conversion.faults import Fault
from dataset_conversion.nearest import did_you_mean

ALIASES = {
    "bravo": ("mprage", "irfspgr", "irspgr"),
    "t1_pre": ("t1pre", "t1n", "t1"),
    "t1_gd": ("t1gd", "t1post", "t1ce", "t1c", "ct1", "cubepost"),
    "flair": ("t2f", "fla"),
    "t2": ("t2w",),
}
PAPER_CHANNELS = ("bravo", "t1_pre", "t1_gd", "flair")
BRATS_CHANNELS = ("t1n", "t1c", "t2w", "t2f")


@dataclass(frozen=True)
class Pattern:
    """An availability pattern: the names of the sequences that a case has, in channel order.

    Printed and parsed as ``t1_pre+t1_gd+flair``; empty where nobody wrote down what a case has.
    """

    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, present: Sequence[bool], channel_names: Sequence[str]) -> "Pattern":
        """From one flag per channel."""
        return cls(tuple(compress(channel_names, present)))

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        return cls(tuple(text.split("+")) if text else ())

    def __str__(self) -> str:
        return "+".join(self.names)

    def __len__(self) -> int:
        """How many sequences are present."""
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __le__(self, other: "Pattern") -> bool:
        """Whether the other has all these sequences."""
        return Counter(self.names) <= Counter(other.names)

    def __lt__(self, other: "Pattern") -> bool:
        """Whether the other has all these sequences and more."""
        return self <= other and len(self) < len(other)

    def flags(self, channel_names: Sequence[str]) -> tuple[bool, ...]:
        """One flag per channel; see ``distinct`` for channels of one name."""
        return tuple(name in self.names for name in channel_names)


def canonical(name: str) -> str:
    """The sequence that a name in the field means, without regard to case, ``_``, ``-``, blanks: T1ce -> t1_gd.

    A name that is no alias stands for itself, in that plain spelling.
    """
    plain = _plain(name)
    for sequence, aliases in ALIASES.items():
        if plain == _plain(sequence) or plain in aliases:
            return sequence
    return plain


def channels_of(name: str, channel_names: Sequence[str]) -> list[int]:
    """The numbers of the channels that a name may mean: one, none, or several where it is ambiguous.

    The exact name comes before the name in plain spelling, and that before an alias: of the channels bravo and mprage,
    which are aliases of each other, each is found by its own name.
    """
    for spelled in (str, _plain, canonical):
        if found := [i for i, channel in enumerate(channel_names) if spelled(channel) == spelled(name)]:
            return found
    return []


def require_channel(name: str, channel_names: Sequence[str]) -> int:
    """The one channel that a name, a number or an alias means, in this order.

    Raises Fault where there is none, or several.
    """
    is_number = name.isdecimal() and name not in channel_names and int(name) < len(channel_names)
    found = [int(name)] if is_number else channels_of(name, channel_names)
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{i:04d} {each}" for i, each in enumerate(channel_names)) or "none"
    if found:
        problem = f"sequence {name} is ambiguous: it may be channel {' or '.join(map(str, found))}"
        raise Fault(problem, remedy=f"Give the channel's number, such as {found[0]}; the channels are: {known}.")
    # the name of another sequence is not misspelt: t2 does not mean t2f, a name of FLAIR
    meant = "" if canonical(name) in ALIASES else did_you_mean(name, _names_of(channel_names))
    raise Fault(f"unknown sequence {name}", remedy=f"{meant}The channels are: {known}.")


def distinct(channel_names: Sequence[str]) -> tuple[str, ...]:
    """The same names, but a name that several channels have is followed by the channel's number: zscore_0, zscore_1.

    nnU-Net takes the name for the kind of normalisation, so that several channels may well be called zscore.
    """
    times = Counter(channel_names)
    named = tuple(name if times[name] == 1 else f"{name}_{i}" for i, name in enumerate(channel_names))
    return named if len({*named}) == len(named) else tuple(f"{name}_{i}" for i, name in enumerate(channel_names))


def _names_of(channel_names: Sequence[str]) -> list[str]:
    """The channels' own names, then every alias that means one of them."""
    aliases = [name for sequence, others in ALIASES.items() for name in (sequence, *others)]
    return [*channel_names, *(name for name in aliases if len(channels_of(name, channel_names)) == 1)]


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character not in "_- ")
