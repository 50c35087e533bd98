"""Converts DICOM files of many patients to ``<pseudonym>/<sequence>.nii.gz`` without identifying data."""

import logging
import shutil
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from subprocess import run
from tempfile import TemporaryDirectory

import SimpleITK as sitk

from dataset_conversion.dicom.geometry import grid_of, require_whole
from dataset_conversion.dicom.roles import choose_series
from dataset_conversion.dicom.rules import read_rules
from dataset_conversion.dicom.series import DicomSeries, find_series
from dataset_conversion.faults import Fault
from dataset_conversion.files.disk import bytes_of, require_room
from dataset_conversion.files.grids import require_same_grid
from dataset_conversion.files.hashing import sha256_of
from dataset_conversion.files.images import read_image, write_image
from dataset_conversion.files.json_files import read_json_if_there, write_json
from dataset_conversion.files.staging import staged
from dataset_conversion.outcomes import Outcome, for_each_case, write_summary
from dataset_conversion.plurals import n_of
from dataset_conversion.pseudonyms import pseudonym, read_or_make_key
from dataset_conversion.sequences import ALIASES

log = logging.getLogger(__name__)

RECORD = "dicom.json"
AXIAL = "LPS"


def from_dicom(
    source: Path, work: Path, *, rules: Path | None = None, key_file: Path
) -> tuple[dict[str, dict[str, Path]], dict[str, Outcome]]:
    """Converts every patient below ``source``; returns the images by pseudonym and sequence, and what became of each.

    A patient converted before from the same files is skipped; one with a fault has no image in ``work``. Other files
    in a patient's folder, a label for instance, are left as they are.
    Raises Fault where nothing can be done: no dcm2niix, no DICOM, no rules, no key that will do.
    """
    require_room(work)
    converter = _find_dcm2niix()
    chosen_by, key = read_rules(rules), read_or_make_key(key_file, away_from=work)
    patients: dict[str, list[DicomSeries]] = defaultdict(list)
    for series in find_series(source):
        patients[pseudonym(series.patient, key)].append(series)
    if strangers := chosen_by.decided.keys() - patients.keys():
        log.warning("the rules file has decisions for %s, but there is no such patient", ", ".join(sorted(strangers)))
    images: dict[str, dict[str, Path]] = {}
    unchanged = set()

    def convert(patient: str) -> None:
        folder = work / patient
        try:
            if not patients[patient][0].patient:
                raise Fault("these series have no PatientID", remedy="Set the PatientID of every patient.")
            chosen = choose_series(patients[patient], chosen_by, patient=patient)
            fingerprints = {role: _fingerprint(series) for role, series in chosen.items()}
            if _is_converted(folder, fingerprints):
                unchanged.add(patient)
            else:
                _convert(chosen, folder, fingerprints=fingerprints, converter=converter)
        except Exception as error:
            _remove_converted(folder)
            raise error if isinstance(error, Fault) else _without_names(error) from None
        images[patient] = {role: _image_file(folder, role) for role in chosen}

    outcomes = for_each_case(sorted(patients), convert, doing="Converting")
    outcomes |= {patient: Outcome("skipped") for patient in unchanged}
    write_summary(work, command="dicom", settings={"own_rules": rules is not None}, outcomes=outcomes)
    return images, outcomes


def _convert(
    chosen: Mapping[str, DicomSeries], folder: Path, *, fingerprints: Mapping[str, str], converter: str
) -> None:
    for series in chosen.values():
        require_whole(series)
    require_room(folder, bytes_of(one.file for series in chosen.values() for one in series.slices))
    with staged(folder) as stage:
        for role, series in chosen.items():
            log.info("%s: %s is %s", folder.name, role, series)
            write_image(_volume(series, converter), _image_file(stage, role))
        write_json(stage / RECORD, {"version": 1, "series": fingerprints})
        _remove_converted(folder)


def _volume(series: DicomSeries, converter: str) -> sitk.Image:
    """The voxels of a whole series, axes in the order nearest to left, posterior, superior; geometry and nothing else.

    Raises Fault where dcm2niix does not make one image of it that lies where the headers say.
    """
    remedy = "Check this series in a viewer, or choose another for this sequence in a rules file."
    with TemporaryDirectory() as temporary:
        linked, made = Path(temporary, "dicom"), Path(temporary, "nifti")
        linked.mkdir()
        made.mkdir()
        try:
            for i, one in enumerate(series.slices):
                (linked / f"{i:05d}.dcm").symlink_to(one.file.resolve())
        except OSError as error:
            # Its message would carry the file's name, and that often the patient's, into the summary.
            raise Fault(
                f"no symbolic links can be created in {linked}",
                remedy="Set TMPDIR to a folder whose file system supports them.",
            ) from error
        # Without a sidecar, defaults file and compression; all slices, whatever their echo or time, into one image.
        options = ("-b", "n", "-g", "i", "-z", "n", "-m", "y", "-f", "image", "-o", made)
        process = run([converter, *options, linked], capture_output=True, text=True, errors="replace", check=False)
        log.debug("%s", process.stdout + process.stderr)
        written = list(made.iterdir())
        if len(written) != 1:
            raise Fault(f"dcm2niix made {n_of(len(written), 'image')} of {series}", remedy=remedy)
        # The filter hands on voxels and geometry only: dcm2niix's descrip and aux_file (comments) end here.
        image = sitk.DICOMOrient(read_image(written[0]), AXIAL)
    try:
        require_same_grid(sitk.DICOMOrient(grid_of(series), AXIAL), image, files=(Path("DICOM"), Path("dcm2niix")))
    except Fault as fault:
        raise Fault(f"dcm2niix changed the position of {series} ({fault.problem})", remedy=remedy) from fault
    if image.GetPixelID() == sitk.sitkFloat64:  # scaled by the header's slope
        image = sitk.Cast(image, sitk.sitkFloat32)
    return image


def _without_names(error: Exception) -> Fault:
    """The kind of the error alone: its message may name a file of the source, and that the patient."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else f"unexpected {type(error).__name__}"
    remedy = "See that all files of this patient can be read and the disk has room; -v tells more."
    log.debug("%s", reason, exc_info=error)
    return Fault(f"it cannot be converted ({reason})", remedy=remedy)


def _find_dcm2niix() -> str:
    found = shutil.which("dcm2niix") or shutil.which("dcm2niix", path=str(Path(sys.executable).parent))
    if found is None:
        raise Fault("dcm2niix is not installed", remedy="Run: pip install 'nnunet_seqdropout[dicom]'")
    return found


def _fingerprint(series: DicomSeries) -> str:
    """Another one if a file has come, gone or changed."""
    files = sorted((str(one.file.resolve()), one.modified_ns) for one in series.slices)
    return sha256_of(repr((series.uid, files)))


def _is_converted(folder: Path, fingerprints: Mapping[str, str]) -> bool:
    """Whether the images are there, made of these files, and can be read."""
    try:
        if (read_json_if_there(folder / RECORD, dict) or {}).get("series") != fingerprints:
            return False
        there = [role for role in ALIASES if _image_file(folder, role).is_file()]
        for role in there:
            read_image(_image_file(folder, role))
    except Fault:
        return False
    return {*there} == fingerprints.keys()


def _remove_converted(folder: Path) -> None:
    for file in (folder / RECORD, *(_image_file(folder, role) for role in ALIASES)):
        file.unlink(missing_ok=True)


def _image_file(folder: Path, role: str) -> Path:
    return folder / f"{role}.nii.gz"
