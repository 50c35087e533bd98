"""Describes how a patient's images are to be prepared, and the patient who has been."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import SimpleITK as sitk
from matplotlib.figure import Figure

from dataset_conversion.faults import Fault
from dataset_conversion.registration.rigid import Registration


@dataclass(frozen=True)
class Preparation:
    """The processing of the images.

    register: "auto" looks at every series and moves what does not lie on the reference; "never" refuses other grids.
    deface: a brain extractor's name, or a folder of brain masks, ``<case>.nii.gz``, on the reference's grid; None: not.
    skull_strip: the same, to set all to 0 that is not brain; then there is no face to remove.
    nan: "zero" sets voxels that are no number to 0. label_mapping: stored label values to be taken for others.
    trust_geometry: what has the reference's size gets its geometry, before anything is registered.
    """

    register: Literal["auto", "never"] = "auto"
    deface: str | None = None
    skull_strip: str | None = None
    nan: Literal["refuse", "zero"] = "refuse"
    label_mapping: Mapping[int, int] | None = None
    trust_geometry: bool = False


@dataclass(frozen=True)
class PreparedSeries:
    """One series of a patient. original: the file's bytes, while the voxels are still those of the file."""

    image: sitk.Image
    file: Path
    sha256: str
    original: bytes | None
    registration: Registration | None = None


@dataclass(frozen=True)
class Prepared:
    """A patient on one grid: series by sequence, label, and pictures for inspection by sequence, drawn when called.

    face: before and after defacing; a picture of the patient, which does not belong into the data set.
    """

    series: Mapping[str, PreparedSeries]
    label: sitk.Image | None
    label_sha256: str
    pictures: Mapping[str, Callable[[], Figure]]
    warnings: Sequence[str]
    face: Figure | None = None


class Unregistered(Fault):
    """A series that could not be registered, and the picture of the attempt."""

    def __init__(self, problem: str, *, remedy: str, name: str, picture: Figure) -> None:
        self.name, self.picture = name, picture
        super().__init__(problem, remedy=remedy)
