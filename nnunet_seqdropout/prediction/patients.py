"""Takes patients as their hospital has them, each series on its own grid, and prepares them as ``convert`` does."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dataset_conversion.dicom.results.source import Source
from dataset_conversion.faults import Fault
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.images.headers import stored_geometry
from dataset_conversion.files.images.storage_order import stored_like
from dataset_conversion.files.texts.preparation_record import PreparationRecord
from dataset_conversion.raw.preparing.preparation import prepare_patient
from dataset_conversion.raw.preparing.prepared import Preparation, Prepared
from dataset_conversion.raw.sources.patient import Patient
from dataset_conversion.raw.sources.pseudonymised import without_names, without_names_in
from dataset_conversion.sequences import canonical, channels_of, require_channel
from nnunet_seqdropout.prediction.case import CaseImages, Preview

NOT = "no"
"""In place of a brain extractor."""


@dataclass(frozen=True)
class HowPrepared:
    """How patients become what a model takes.

    order: the sequences, the reference series first. storage_order: of the axes of the images that the model was
    trained on; None: each patient's own. differs: in what this is not what was done to those, in words.
    """

    preparation: Preparation
    order: Sequence[str]
    storage_order: str | None = None
    differs: Sequence[str] = ()


def as_trained(
    record: PreparationRecord | None,
    wanted: Preparation,
    *,
    sequences: Sequence[str],
    skull_stripped: bool | None = None,
) -> HowPrepared:
    """What is wanted, completed by what was done to the images that the model was trained on.

    record: of those images. wanted: ``skull_strip`` and ``deface`` None do what was done to them, "no" does nothing.
    sequences: those that patients may have, the reference series first if nothing is recorded. skull_stripped: whether
    the patients' images are so already.
    """
    if record is None:
        unknown = "how the images were prepared that the model was trained on is not recorded"
        return HowPrepared(_as_given(wanted), sequences, differs=[unknown])
    strip, deface = wanted.skull_strip, wanted.deface
    if strip is None and deface is None and skull_stripped is not True:
        strip = record.extractor if record.skull_stripped else None
        deface = record.extractor if record.defaced and strip is None else None
    done = _as_given(replace(wanted, skull_strip=strip, deface=deface))
    now = PreparationRecord(
        reference=None,
        registered=wanted.register == "auto",
        skull_stripped=bool(skull_stripped or done.skull_strip),
        defaced=bool(skull_stripped or done.skull_strip or done.deface),
        extractor=None,
        storage_order=None,
    )
    differs = [f"not prepared as the training images were: {each}" for each in now.differences(record)]
    first = canonical(record.reference) if record.reference else None
    order = sorted(sequences, key=lambda name: canonical(name) != first)
    return HowPrepared(done, order, record.storage_order, differs)


def _as_given(wanted: Preparation) -> Preparation:
    return replace(
        wanted,
        skull_strip=None if wanted.skull_strip == NOT else wanted.skull_strip,
        deface=None if wanted.deface == NOT else wanted.deface,
    )


@dataclass(frozen=True)
class UnpreparedPatient:
    """A case whose series are read, registered and brought into the model's order when it is its turn.

    Results are stored as the reference series is, on its grid. sources: the DICOM series of each sequence, where DICOM
    results are to refer to them.
    """

    case: str
    patient: Patient
    how: HowPrepared
    channel_names: Sequence[str]
    sources: Mapping[str, Source] = field(default_factory=dict)

    @property
    def notes(self) -> Sequence[str]:
        strange = [name for name in self.patient.images if not channels_of(name, self.channel_names)]
        unknown = [f"the model does not know {name}: used for nothing but registration" for name in strange]
        return [*self.patient.unused, *unknown]

    def preview(self) -> Preview:
        """By names and headers alone."""
        hidden = [fault for name, fault in self.patient.hidden.items() if channels_of(name, self.channel_names)]
        for fault in (*hidden, self.patient.fault):
            if fault is not None:
                raise fault
        files = self._channel_files
        if not files:
            raise Fault("no usable sequence", remedy=f"Give at least one of {', '.join(self.channel_names)}.")
        reference = next(name for name in self.how.order if name in self.patient.images)
        if self.sources:
            self.sources[reference].require_identified()
        header = stored_geometry(self.patient.images[reference])
        return Preview(files.keys(), math.prod(header.GetSize()))

    def read(self) -> CaseImages:
        try:
            prepared = prepare_patient(
                self.case,
                replace(self.patient, label=()),
                self.how.preparation,
                order=self.how.order,
                storage_order=self.how.storage_order,
            )
        except Exception as error:
            if not self.patient.has_pseudonym:
                raise
            raise without_names_in(error, self.patient) from None
        return self._images(prepared)

    def identity(self) -> dict[str, Any]:
        return self._identity({})

    def _identity(self, sha256_of_read: Mapping[str, str]) -> dict[str, Any]:
        images = self.patient.images
        sha256 = {name: sha256_of_read.get(name) or sha256_of(file) for name, file in images.items()}
        identity = {"sha256": sha256, **asdict(self.how.preparation), "storage_order": self.how.storage_order}
        if self.sources:
            from dataset_conversion.dicom.results.identity import fingerprint_of  # needs an extra

            identity["dicom"] = {name: fingerprint_of(self.sources[name]) for name in self.patient.images}
        return identity

    def without(self, channels: Collection[int]) -> "UnpreparedPatient":
        dropped = {name for channel, name in self._channel_files.items() if channel in channels}
        images = {name: file for name, file in self.patient.images.items() if name not in dropped}
        return replace(self, patient=replace(self.patient, images=images))

    @property
    def _channel_files(self) -> dict[int, str]:
        """Channel -> the sequence that is it. Raises Fault where two are one channel."""
        names: dict[int, str] = {}
        for name in self.patient.images:
            if channels_of(name, self.channel_names):
                channel = require_channel(name, self.channel_names)
                if channel in names:
                    problem = f"{names[channel]} and {name} are both the model's {self.channel_names[channel]}"
                    raise Fault(problem, remedy="Remove one of them from the layout.")
                names[channel] = name
        return names

    def _images(self, prepared: Prepared) -> CaseImages:
        names = self._channel_files
        images = {c: prepared.series[names[c]].image for c in sorted(names) if names[c] in prepared.series}
        if not images:
            raise Fault("no usable sequence", remedy=f"Give at least one of {', '.join(self.channel_names)}.")
        reference = next(iter(prepared.series))
        header = stored_geometry(self.patient.images[reference])
        original = stored_like(header, prepared.series[reference].image)
        warnings = [*self.notes, *prepared.warnings, *self.how.differs]
        if reference != self.how.order[0]:
            warnings.append(f"{self.how.order[0]} is absent: {reference} took its place as the reference series")
        if self.patient.has_pseudonym:
            warnings = [without_names(warning, self.patient) for warning in warnings]
        done, source = _record(prepared, reference, self.how), self.sources.get(reference)
        identity = self._identity({name: series.sha256 for name, series in prepared.series.items()})
        return CaseImages(images, original, tuple(warnings), done, self.patient.is_synthetic, source, identity)


def _record(prepared: Prepared, reference: str, how: HowPrepared) -> dict[str, Any]:
    """What was done to the images, for ``<case>.json``."""
    moved = {name: series.registration for name, series in prepared.series.items() if series.registration is not None}
    return {
        "reference": reference,
        "registered": how.preparation.register == "auto",
        "skull_stripped": how.preparation.skull_strip,
        "defaced": how.preparation.deface,
        "registration": {name: found.as_json() for name, found in moved.items()},
    }
