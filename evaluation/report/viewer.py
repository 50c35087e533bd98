"""Writes the viewer of one predicted case: image, probability and objects in three planes and in 3D, in one HTML page.

The planes and the 3D view are drawn by NiiVue, in the browser. It is taken from nilearn, which ships it, and becomes
part of the page, so that the page works without the internet and without a server.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.nifti_writing import nifti_bytes
from dataset_conversion.files.pictures import grey_levels, grey_window
from evaluation.metrics.lesion.lesions import Objects
from evaluation.report.evaluation import page_templates
from evaluation.report.prediction import largest_first

CUT_PERCENT, MOST_SAMPLES = 0.2, 10**6
"""Of the voxels that are not 0, shown white; how many are looked at to find the window."""
LICENCE = "niivue_licence.txt"


@dataclass(frozen=True)
class Viewed:
    """A predicted case. background: on the grid of the results; its voxels are shown as they are stored.

    sequence: what it is. target: the name of what was looked for. probability: (Z, Y, X) of the target. lesions: the
    rows of ``<case>_lesions.csv``. synthetic: whether the patient is known to be made up.
    """

    case: str
    background: sitk.Image
    sequence: str
    target: str
    objects: Objects
    probability: NDArray[np.floating]
    lesions: pd.DataFrame
    synthetic: bool = False


def viewer_page(viewed: Viewed) -> str:
    """The text of the page. Raises Fault where NiiVue is not installed."""
    grid = viewed.background
    voxels = sitk.GetArrayViewFromImage(grid)
    grey = grey_levels(voxels, grey_window(voxels, cut_percent=CUT_PERCENT, most_samples=MOST_SAMPLES))
    numbers = viewed.objects.numbered(np.uint8 if viewed.objects.count < 256 else np.uint16)
    percent = np.round(100 * np.asarray(viewed.probability, np.float32)).astype(np.uint8)
    values = {
        "v": viewed,
        "niivue": niivue(),
        "licence": Path(__file__).with_name("templates").joinpath(LICENCE).read_text(encoding="utf-8"),
        "image": _base64(grey, grid),
        "probability": _base64(percent, grid),
        "numbers": _base64(numbers, grid),
        "rows": _rows(viewed.lesions),
    }
    return page_templates().get_template("viewer.html.jinja").render(**values)


def niivue() -> str:
    """The text of NiiVue's build for browsers. Raises Fault where nilearn, or this file in it, is missing."""
    try:
        text = files("nilearn").joinpath("_assets", "js", "niivue.umd.js").read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError) as error:
        remedy = "Run: pip install 'nnunet_seqdropout[viewer]'"
        raise Fault("the viewer needs nilearn 0.14, which ships NiiVue", remedy=remedy) from error
    return text.replace("</script", r"<\/script")


def _base64(voxels: NDArray[np.integer], grid: sitk.Image) -> str:
    return base64.b64encode(nifti_bytes(voxels, grid)).decode("ascii")


def _rows(lesions: pd.DataFrame) -> Sequence[Mapping[str, Any]]:
    """The objects, the largest first, with their places in NIfTI's coordinates, to the right, the front and up."""
    return [{**row, "place": [-row["x_mm"], -row["y_mm"], row["z_mm"]]} for row in largest_first(lesions)]
