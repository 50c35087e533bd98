"""Finds patients who are in training and also in validation or test, from the data set's folders and JSON files."""

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.checks.remarks import Remark
from dataset_conversion.files.texts.manifest_json import CaseEntry, FoldCases, read_folds, read_manifest_if_there
from dataset_conversion.raw.sources.persons import person_of
from dataset_conversion.raw.splits import sources_of, with_an_image_in_common

_ONE_SIDE = "A patient belongs to one split: keep one of the two."


@dataclass(frozen=True)
class Splits:
    """The cases in each folder of a raw data set, with their declared splits and manifest.

    declared: the splits of ``splits_final.json``, each of case ids under "train" and "val"; manifest: its patients.
    """

    training: Collection[str]
    test: Collection[str]
    declared: Sequence[FoldCases]
    manifest: Mapping[str, CaseEntry]

    def of(self, case: str) -> str:
        """The split of a training case: that of the one declared split, or "train" where there are none or several."""
        if len(self.declared) != 1:
            return "train"
        return next((half for half in ("train", "val") if case in self.declared[0][half]), "unused")

    def person(self, case: str) -> str:
        """Whose case it is: as the manifest says, or else as public data sets name time points."""
        return person_of(self.manifest[case]["person"] if case in self.manifest else case)

    def faults(self) -> Iterator[tuple[str, Remark]]:
        """Every fault with its case."""
        yield from self._on_both_sides()
        yield from self._same_spelling()
        declared = {case for split in self.declared for case in (*split["train"], *split["val"])}
        for case in sorted(declared - {*self.training}):
            yield case, Remark("it is in splits_final.json, but not in imagesTr", "Remove it from the split.")
        for case, patient in self.manifest.items():
            said, found = patient["split"], "test" if case in self.test else self.of(case)
            freely_split = len(self.declared) > 1 and "test" not in (said, found)
            if case in (*self.training, *self.test) and said != found and not freely_split:
                yield (
                    case,
                    Remark(
                        f"its split is {said} in manifest.json, but {found} in the data set",
                        "Convert the data set again.",
                    ),
                )

    def _on_both_sides(self) -> Iterator[tuple[str, Remark]]:
        sides = [("imagesTr", self.training, "imagesTs", self.test)]
        for number, split in enumerate(self.declared):
            sides.append((f"training of split {number}", split["train"], "its validation", split["val"]))
        for here, ours, there, theirs in sides:
            others = {self.person(case): case for case in sorted(theirs)}
            for case in sorted(ours):
                if (other := others.get(self.person(case))) is not None:
                    name = "" if other == case else f" as {other}"
                    yield case, Remark(f"the patient is in {here} and{name} in {there}", _ONE_SIDE)

    def parts(self, first: str, second: str) -> bool:
        """Whether one of the cases trains where the other validates or tests."""
        if (first in self.test) != (second in self.test):
            return True
        halves = [{half: {first, second} & {*split[half]} for half in ("train", "val")} for split in self.declared]
        return any(half["train"] and half["val"] for half in halves)

    def same_images(self, contents: Mapping[str, Collection[str]]) -> Iterator[tuple[str, Remark, bool]]:
        """Cases with an image of another, by the fingerprints of each one's images and by the manifest; whether it is
        a fault."""
        sources = {case: sources_of(self.manifest[case]) if case in self.manifest else set() for case in contents}
        images = {case: {*fingerprints, *sources[case]} for case, fingerprints in contents.items()}
        for first, second in with_an_image_in_common(images):
            said = f"it has the same image as {second}"
            if self.parts(first, second):
                yield first, Remark(f"{said}, which is in another split", _ONE_SIDE), True
            else:
                remedy = "If they are one patient under two names, keep one: folds would part them."
                yield first, Remark(said, remedy), False

    def _same_spelling(self) -> Iterator[tuple[str, Remark]]:
        spelled: dict[str, str] = {}
        for case in sorted({*self.training, *self.test}):
            other = spelled.setdefault(unicodedata.normalize("NFC", case).casefold(), case)
            if other != case:
                remedy = "Rename one of them: some file systems do not distinguish the two."
                yield case, Remark(f"{other!a} and {case!a} are spelled alike", remedy)


def read_splits(folder: Path, *, training: Collection[str], test: Collection[str]) -> Splits:
    """Raises Fault where ``splits_final.json`` or ``manifest.json`` is there and not what it should be."""
    return Splits(training, test, read_folds(folder), read_manifest_if_there(folder)["patients"])
