"""Selects the background image of a patient's mosaic, and draws it with prediction and reference."""

from dataclasses import dataclass, replace
from pathlib import Path

import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.endings import VOLUME_ENDINGS
from dataset_conversion.files.images.grids import on_grid_of
from dataset_conversion.files.images.image_io import read_image
from dataset_conversion.sequences import channels_of, require_channel
from evaluation.figures.pictures.mosaic import Mark, MosaicSlice, mosaic
from evaluation.figures.pictures.radiological import turned, view
from evaluation.inputs.volumes import Volumes
from evaluation.metrics.lesion.lesions import detect, find_objects


@dataclass(frozen=True)
class Backgrounds:
    """images: a folder of ``<case>_XXXX`` files. sequence: the one to take, by name, alias or number, among the
    channels of the data set; None: ``t1_gd`` if there is one, or else the first. trust_geometry: as in ``Folders``."""

    images: Path
    channel_names: tuple[str, ...] = ()
    sequence: str | None = None
    trust_geometry: bool = False

    def require_sequence(self) -> None:
        """Raises Fault where the folder or the sequence is unknown."""
        if not self.images.is_dir():
            raise Fault(f"{self.images} is not a folder", remedy="Give the folder of <case>_XXXX images with -i.")
        self._channel()

    def read(self, case: str, grid: sitk.Image) -> tuple[sitk.Image, str]:
        """The chosen sequence, or the first that is not zero everywhere, and its name. Raises Fault where there is
        none."""
        found = [file for file in sorted(self.images.glob(f"{case}_[0-9][0-9][0-9][0-9].*")) if _is_image(file)]
        chosen = f"{case}_{self._channel():04d}"
        for file in sorted(found, key=lambda file: not file.name.startswith(chosen)):
            files = (self.images / case, file)
            image = on_grid_of(grid, read_image(file), files=files, trust_geometry=self.trust_geometry)
            if sitk.GetArrayViewFromImage(image).any():
                return image, self._name(file, case)
        raise Fault(f"no image of {case} that is not empty", file=self.images, remedy="Add the image, or omit -i.")

    def _name(self, file: Path, case: str) -> str:
        """Of the sequence in ``<case>_XXXX.nii.gz``: as ``dataset.json`` says, or else its number."""
        channel = int(file.name.removeprefix(f"{case}_")[:4])
        return self.channel_names[channel] if channel < len(self.channel_names) else f"channel {channel}"

    def _channel(self) -> int:
        if self.sequence is None:
            return next(iter(channels_of("t1_gd", self.channel_names)), 0)
        if self.channel_names:
            return require_channel(self.sequence, self.channel_names)
        if self.sequence.isdecimal():
            return int(self.sequence)
        remedy = "Give the channel's number: no dataset.json that names the channels was found."
        raise Fault(f"unknown sequence {self.sequence}", remedy=remedy)


def patient_mosaic(case: str, volumes: Volumes, *, backgrounds: Backgrounds) -> tuple[MosaicSlice, ...]:
    """The patient's slices with all that is to be seen; axes are turned, not resampled, to x right to left, y anterior
    to posterior, z upwards."""
    background, sequence = backgrounds.read(case, volumes.image)
    image = view(background)
    predicted = volumes.predicted
    if predicted is None:
        raise ValueError("The prediction must be a mask, not probabilities.")
    reference, found = (turned(mask, volumes.image) for mask in (volumes.reference, predicted))
    probability = None if volumes.probability is None else turned(volumes.probability, volumes.image)
    lesions, objects = find_objects(reference), find_objects(found)
    detection = detect(lesions, objects)
    marks = [
        Mark("found" if hit else "missed", tuple(voxel))
        for voxel, hit in zip(lesions.central_voxels().tolist(), detection.lesion_is_found, strict=True)
    ]
    marks += [
        Mark("false", tuple(voxel))
        for voxel, hit in zip(objects.central_voxels().tolist(), detection.object_is_true, strict=True)
        if not hit
    ]
    voxels = sitk.GetArrayFromImage(image)
    slices = mosaic(voxels, probability, reference, found, marks, image.GetSpacing()[::-1])
    return tuple(replace(each, sequence=sequence) for each in slices)


def _is_image(file: Path) -> bool:
    return file.name.endswith(VOLUME_ENDINGS)
