"""Writes the pages of a predicted case, to look at in a browser: its slices, or its volumes in space."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from dataset_conversion.sequences import channels_of
from nnunet_seqdropout.prediction.extras import CaseResult


class Page:
    """``<case>.html``: slices with what was predicted, the objects, what was done."""

    def recorded(self) -> dict[str, Any]:
        return {"page": True}

    def names(self, case: str) -> list[str]:
        return [f"{case}.html"]

    def most_bytes(self, n_voxels: int) -> int:
        return 2**22

    def write(self, result: CaseResult, stage: Path) -> list[str]:
        from evaluation.figures.pictures.predicted import predicted_mosaic  # loads matplotlib
        from evaluation.report.prediction import Prediction, prediction_page

        background, sequence = _background(result)
        text = prediction_page(
            Prediction(
                result.record,
                target=result.target_name,
                channel_names=result.model.channel_names,
                lesions=result.lesions,
                slices=predicted_mosaic(background, result.objects, result.probability, sequence=sequence),
                synthetic=result.images.synthetic,
                versions={package: version(package) for package in ("nnunet_seqdropout", "nnunetv2", "torch")},
            )
        )
        (stage / f"{result.case}.html").write_text(text, encoding="utf-8")
        return []


class Viewer:
    """``<case>_viewer.html``: the image, the probability and the objects in three planes and in 3D."""

    @classmethod
    def with_niivue(cls) -> "Viewer":
        """Raises Fault where NiiVue is not installed, before anything is predicted."""
        from evaluation.report.viewer import niivue  # loads matplotlib

        niivue()
        return cls()

    def recorded(self) -> dict[str, Any]:
        return {"viewer": True}

    def names(self, case: str) -> list[str]:
        return [f"{case}_viewer.html"]

    def most_bytes(self, n_voxels: int) -> int:
        return 2**22 + 3 * n_voxels * 4 // 3  # three volumes of one byte in base64

    def write(self, result: CaseResult, stage: Path) -> list[str]:
        from evaluation.report.viewer import Viewed, viewer_page  # loads matplotlib

        background, sequence = _background(result)
        text = viewer_page(
            Viewed(
                result.case,
                background,
                sequence,
                result.target_name,
                result.objects,
                result.probability,
                result.lesions,
                synthetic=result.images.synthetic,
            )
        )
        (stage / f"{result.case}_viewer.html").write_text(text, encoding="utf-8")
        return []


def _background(result: CaseResult) -> tuple[sitk.Image, str]:
    """``t1_gd``, or else the first sequence that is there, as the results are stored; and its name."""
    images, names = result.images, result.model.channel_names
    wanted = (*channels_of("t1_gd", names), *sorted(images.by_channel))
    channel = next(channel for channel in wanted if channel in images.by_channel)
    return images.as_result(sitk.GetArrayFromImage(images.by_channel[channel])), names[channel]
