"""Makes one volume of a DICOM series with dcm2niix, and checks it against the headers."""

import logging
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from subprocess import run
from tempfile import TemporaryDirectory

import SimpleITK as sitk

from dataset_conversion.dicom.headers.geometry import LARGEST_DIFFERENCE, grid_of, require_whole, steps_mm
from dataset_conversion.dicom.headers.multiframe import require_readable_frames
from dataset_conversion.dicom.headers.preamble import PREAMBLE, has_preamble
from dataset_conversion.dicom.headers.slices import DicomSeries
from dataset_conversion.faults import Fault
from dataset_conversion.files.images.grids import require_same_grid
from dataset_conversion.files.images.image_io import read_image

log = logging.getLogger(__name__)

AXIAL = "LPS"
REMEDY = "Check this series in a viewer, or choose another for this sequence in a rules file."
# Without a sidecar, defaults file and compression; all slices, whatever their echo or time, into one image.
OPTIONS = ("-b", "n", "-g", "i", "-z", "n", "-m", "y", "-f", "image")


def find_dcm2niix() -> str:
    """Raises Fault where it is not installed."""
    found = shutil.which("dcm2niix") or shutil.which("dcm2niix", path=str(Path(sys.executable).parent))
    if found is None:
        raise Fault("dcm2niix is not installed", remedy="Run: pip install 'nnunet_seqdropout[dicom]'")
    return found


def require_sound(series: DicomSeries) -> None:
    """Raises Fault where the series is no whole volume, dcm2niix would read other values than the headers tell, or two
    files of one SOP Instance UID differ."""
    from dataset_conversion.dicom.headers.copies import n_differing_copies

    require_whole(series)
    require_readable_frames(series)
    if n := n_differing_copies(series):
        remedy = "Keep one export of this series in the folder."
        raise Fault(f"{series}: {n} of them are there twice, with other pixels (SOPInstanceUID)", remedy=remedy)


def volume_of(series: DicomSeries, converter: str) -> sitk.Image:
    """The voxels of a sound series, axes in the order nearest to left, posterior, superior; geometry and nothing else.

    Raises Fault where dcm2niix does not make one image of it that lies where the headers say.
    """
    with TemporaryDirectory() as temporary:
        linked, made = Path(temporary, "dicom"), Path(temporary, "nifti")
        linked.mkdir()
        made.mkdir()
        _link(series.files, linked)
        process = run(
            [converter, *OPTIONS, "-o", made, linked], capture_output=True, text=True, errors="replace", check=False
        )
        written = list(made.iterdir())
        # Not what it says: it quotes headers.
        log.debug("dcm2niix ended with %d and made %d images of %s", process.returncode, len(written), series)
        if len(written) != 1:
            problem = f"dcm2niix made {len(written)} images of {series}, {_syntaxes(series)}"
            raise Fault(problem, remedy=f"{REMEDY[:-1]}, or export it without compression.")
        # The filter hands on voxels and geometry only: dcm2niix's descrip and aux_file (comments) end here.
        image = sitk.DICOMOrient(read_image(written[0]), AXIAL)
    try:
        require_same_grid(sitk.DICOMOrient(grid_of(series), AXIAL), image, files=(Path("DICOM"), Path("dcm2niix")))
    except Fault as fault:
        least, most = steps_mm(series)
        uneven = f"; its slices are {least:.2f} to {most:.2f} mm apart" if most - least > LARGEST_DIFFERENCE else ""
        raise Fault(f"dcm2niix changed the position of {series} ({fault.problem}{uneven})", remedy=REMEDY) from fault
    if image.GetPixelID() == sitk.sitkFloat64:  # scaled by the header's slope
        image = sitk.Cast(image, sitk.sitkFloat32)
    return image


def _link(files: Iterable[Path], folder: Path) -> None:
    """Under names that say nothing. dcm2niix reads no file without a preamble: that is copied behind one."""
    try:
        for i, file in enumerate(files):
            link = folder / f"{i:05d}.dcm"
            if has_preamble(file):
                link.symlink_to(file.resolve())
            else:
                link.write_bytes(PREAMBLE + file.read_bytes())
    except OSError as error:
        # Its message would carry the file's name, and that often the patient's, into the summary.
        raise Fault(
            f"no symbolic links can be created in {folder}",
            remedy="Set TMPDIR to a folder whose file system supports them.",
        ) from error


def _syntaxes(series: DicomSeries) -> str:
    """How the pixels are stored, in the standard's words."""
    from pydicom.uid import UID  # of an extra, which find_series has asked for

    names = sorted({UID(one.transfer_syntax).name for one in series.slices})
    return f"whose pixels are stored as {' and '.join(names)}"
