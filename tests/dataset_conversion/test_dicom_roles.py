"""What a DICOM series is taken for, and why; and that no text of a header is in anything that is said or written."""

import gzip
import json
import re
import sys

import pydicom
import pytest
from example_dicom import SAGITTAL, Stack, generate_uid, uids, write_classic, write_document, write_enhanced

from nnunet_seqdropout.cli.command import main

SECRET = "Zzyzx"
FREE_TEXTS = (
    *("PatientName", "PatientID", "SeriesDescription", "ProtocolName", "StudyDescription", "ImageComments"),
    *("InstitutionName", "Manufacturer", "SequenceName", "PulseSequenceName", "ContrastBolusAgent", "StationName"),
    *("ManufacturerModelName", "AcquisitionContrast", "OperatorsName", "PatientComments"),
)
NUMBERS = ("StudyDate", "InversionTime", "EchoTime", "SeriesNumber", "ImagesInAcquisition", "RescaleSlope")
IR_GRADIENT_ECHO = {"ScanningSequence": ["GR", "IR"], "InversionTime": 900, "EchoTime": 3}
SPIN_ECHO = {"ScanningSequence": "SE", "RepetitionTime": 500, "EchoTime": 10}


@pytest.fixture
def dicom(tmp_path):
    """Runs the command on ``in``, with what is given."""

    def call(*options: str) -> int:
        where = () if "--dry-run" in options else ("-o", str(tmp_path / "out"), "--key", str(tmp_path / "key"))
        return main(["dicom", str(tmp_path / "in"), *where, *options])

    return call


def rows_of(printed: str) -> dict[str, tuple[str, str]]:
    """The lines of a dry run's table: number of the series -> what it was taken for, and why."""
    cells = [re.split(r" {2,}", line.strip()) for line in printed.splitlines() if line.startswith("  ")]
    return {row[0]: (row[-2], row[-1]) for row in cells if len(row) == 7}


@pytest.mark.parametrize(
    ("description", "tags", "role", "why"),
    [
        ("AX FLAIR", {}, "flair", "rule 3: SeriesDescription"),
        (None, {"ProtocolName": "AX FLAIR"}, "flair", "rule 3: ProtocolName"),
        (None, {"ProtocolName": "ep2d diff", **SPIN_ECHO}, "-", "rule 2 (none): ProtocolName"),
        (None, {"InversionTime": 2200, "EchoTime": 120}, "flair", "InversionTime 2200 ms, EchoTime 120 ms"),
        (None, {"InversionTime": 1199, "EchoTime": 120}, "-", "no rule matches"),
        (None, {"InversionTime": 160, "EchoTime": 60}, "-", "(none): InversionTime 160 ms"),
        (None, {**IR_GRADIENT_ECHO, "ContrastBolusAgent": "Gadavist"}, "bravo", "ContrastBolusAgent"),
        (None, IR_GRADIENT_ECHO, "t1_pre", "ScanningSequence, no SeriesDescription, no ContrastBolusAgent"),
        (None, {"PulseSequenceName": "*tfl3d1_16ns"}, "t1_pre", "SequenceName"),
        (None, SPIN_ECHO, "t1_pre", "RepetitionTime 500 ms"),
        (None, {**SPIN_ECHO, "ContrastBolusAgent": "Gd"}, "t1_gd", "EchoTime 10 ms, RepetitionTime 500 ms"),
        (None, {**SPIN_ECHO, "RepetitionTime": 5000, "EchoTime": 100}, "t2", "RepetitionTime 5000 ms"),
        (None, {**SPIN_ECHO, "ScanningSequence": ["EP", "SE"]}, "-", "(none): ScanningSequence"),
        ("knee", SPIN_ECHO, "-", "no rule matches"),
        (None, {"EchoTime": b"Zzyzx "}, "-", "no rule matches"),
    ],
)
def test_without_a_description_the_protocol_and_then_the_acquisition_tells(
    dicom, tmp_path, capsys, description, tags, role, why
):
    write_classic(tmp_path / "in", Stack(description, tags=tags))
    dicom("--dry-run")
    found, reason = rows_of(capsys.readouterr().out)["1"]
    assert found == role
    assert why in reason


@pytest.mark.parametrize(
    ("tags", "groups", "role"),
    [
        ({}, {"MRImageFrameTypeSequence.AcquisitionContrast": "FLUID_ATTENUATED"}, "flair"),
        ({}, {"MRModifierSequence.InversionTimes": [2100], "MREchoSequence.EffectiveEchoTime": 110}, "flair"),
        ({"EchoPulseSequence": "GRADIENT"}, {"MRModifierSequence.InversionTimes": [900]}, "t1_pre"),
        (
            {"EchoPulseSequence": "SPIN"},
            {"MRTimingAndRelatedParametersSequence.RepetitionTime": 600, "MREchoSequence.EffectiveEchoTime": 12},
            "t1_pre",
        ),
        ({"EchoPulseSequence": "SPIN", "EchoPlanarPulseSequence": "YES"}, {}, "-"),
        (
            {"EchoPulseSequence": "GRADIENT", "ContrastBolusAgentSequence": [pydicom.Dataset()]},
            {"MRModifierSequence.InversionTimes": [900]},
            "bravo",
        ),
    ],
)
def test_an_enhanced_image_says_it_in_its_functional_groups(dicom, tmp_path, capsys, tags, groups, role):
    write_enhanced(tmp_path / "in", Stack(None, tags=tags, tags_of=lambda _: groups))
    dicom("--dry-run")
    assert rows_of(capsys.readouterr().out)["1"][0] == role


def test_a_rule_of_ones_own_asks_for_times_and_names(dicom, tmp_path, capsys):
    write_classic(tmp_path / "in", Stack("x", tags={"EchoTime": 95, "RepetitionTime": 4000, "SequenceName": "*tse2d1"}))
    rules = tmp_path / "rules.yaml"
    for limits, role in (([95, 95], "t2"), ([96, 200], "-")):
        rules.write_text(f"rules: [{{role: t2, echo_time_ms: {limits}, sequence_name: tse}}]")
        dicom("--dry-run", "--rules", str(rules))
        assert rows_of(capsys.readouterr().out)["1"][0] == role


@pytest.mark.parametrize(
    ("image_type", "why"),
    [
        (["DERIVED", "SECONDARY", "MPR"], "reformatted (ImageType)"),
        (["DERIVED", "PRIMARY", "PROJECTION IMAGE"], "projection (ImageType)"),
        (["DERIVED", "SECONDARY", "MIP"], "projection (ImageType)"),
        (["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], "map (ImageType)"),
        (["DERIVED", "SECONDARY", "M", "SUB"], "subtraction (ImageType)"),
        (["ORIGINAL", "PRIMARY", "P"], "phase image (ImageType)"),
        (["ORIGINAL", "PRIMARY", "LOCALIZER"], "localizer (ImageType)"),
        (["DERIVED", "SECONDARY"], "derived, and there is an original for flair"),
    ],
)
@pytest.mark.parametrize("same_uid", [False, True])
def test_computed_images_beside_the_original_do_not_spoil_it(dicom, tmp_path, capsys, image_type, why, same_uid):
    uid = generate_uid()
    write_classic(tmp_path / "in", Stack(number=1, uid=uid))
    beside = Stack(number=2, uid=uid if same_uid else "", tags={"ImageType": image_type}, orientation=SAGITTAL)
    write_classic(tmp_path / "in", beside)
    assert dicom("--dry-run") == 0
    rows = rows_of(capsys.readouterr().out)
    assert rows["1"][0] == "flair"
    assert rows["2"] == ("-", why)
    assert dicom() == 0
    assert f"not used: series 2 (5 slices), MR: {why}" in capsys.readouterr().err


def test_a_derived_series_is_taken_where_there_is_no_original(dicom, tmp_path, capsys):
    write_classic(tmp_path / "in", Stack(tags={"ImageType": ["DERIVED", "SECONDARY", "OTHER"]}))
    assert dicom("--dry-run") == 0
    assert rows_of(capsys.readouterr().out)["1"] == (
        "flair",
        "rule 3: SeriesDescription; derived, there is no original",
    )


def test_a_reformatted_series_is_taken_if_the_rules_file_says_so(dicom, tmp_path):
    write_classic(tmp_path / "in", Stack(number=1))
    write_classic(tmp_path / "in", Stack(number=5, tags={"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, first_voxel=9))
    assert dicom() == 0
    (folder,) = (tmp_path / "out").glob("P_*")
    (tmp_path / "rules.yaml").write_text(f"series: {{{folder.name}: {{flair: 5}}}}")
    before = (folder / "flair.nii.gz").read_bytes()
    assert dicom("--rules", str(tmp_path / "rules.yaml")) == 0
    assert (folder / "flair.nii.gz").read_bytes() != before


def test_what_is_no_mr_image_is_named_by_its_kind(dicom, tmp_path, capsys):
    uid = generate_uid()
    write_classic(tmp_path / "in", Stack(number=1, uid=uid))
    write_document(tmp_path / "in", uids.EncapsulatedPDFStorage, modality="DOC", tags={"SeriesNumber": 90})
    write_document(tmp_path / "in", uids.BasicTextSRStorage, modality="SR", tags={"SeriesNumber": 91})
    screenshot = {"PixelSpacing": None, "ImagePositionPatient": None, "ImageOrientationPatient": None}
    secondary = Stack(number=92, uid=uid, positions_mm=(0,), sop_class=uids.SecondaryCaptureImageStorage)
    write_classic(tmp_path / "in", Stack(**{**vars(secondary), "tags": screenshot}))
    write_classic(tmp_path / "in", Stack(number=93, sop_class=uids.CTImageStorage, tags={"Modality": "CT"}))
    write_classic(tmp_path / "in", Stack("3-plane loc", number=94, positions_mm=(0,)))
    write_classic(tmp_path / "in", Stack(number=95, tags={"Modality": "PT"}))
    assert dicom("--dry-run") == 0
    assert rows_of(capsys.readouterr().out) == {
        "series": ("taken for", "why"),
        "1": ("flair", "rule 3: SeriesDescription"),
        "90": ("-", "document (PDF)"),
        "91": ("-", "report"),
        "92": ("-", "screenshot (secondary capture)"),
        "93": ("-", "no MR image (CT)"),
        "94": ("-", "rule 1 (none): SeriesDescription"),
        "95": ("-", "no MR image (PT)"),
    }
    assert dicom() == 0
    assert [file.name for file in (tmp_path / "out").glob("*/*.nii.gz")] == ["flair.nii.gz"]
    (folder,) = (tmp_path / "out").glob("P_*")
    (tmp_path / "rules.yaml").write_text(f"series: {{{folder.name}: {{t2: {uid}}}}}")
    assert dicom("--rules", str(tmp_path / "rules.yaml")) == 0  # the images under the UID, not the screenshot
    assert [file.name for file in (tmp_path / "out").glob("*/*.nii.gz")] == ["t2.nii.gz"]


def test_a_dry_run_shows_faults_and_writes_nothing(dicom, tmp_path, capsys):
    write_classic(tmp_path / "in", Stack("T1 +C", number=7, patient="A", positions_mm=(0, 1.5, 3, 6)))
    write_classic(tmp_path / "in", Stack("AX FLAIR", number=2, patient="B"))
    write_classic(tmp_path / "in", Stack("COR FLAIR", number=3, patient="B"))
    before = {*tmp_path.rglob("*")}
    assert dicom("--dry-run", "-q") == 1
    assert {*tmp_path.rglob("*")} == before
    printed = capsys.readouterr().out
    assert "  7       MR    GE      8x6 x 4          0.5 x 1 x 2  t1_gd      rule 10: SeriesDescription" in printed
    assert "series 7 (4 slices) has gaps: from 33.0 to 36.0 mm" in printed
    assert "2 series for flair: series 2 (5 slices), series 3 (5 slices)" in printed
    assert printed.splitlines()[-1] == "2 patients, 2 with faults; nothing was written"


def test_a_dry_run_with_the_key_names_patients_as_the_conversion_does(dicom, tmp_path, capsys):
    write_classic(tmp_path / "in", Stack())
    assert dicom() == 0
    (folder,) = (tmp_path / "out").glob("P_*")
    capsys.readouterr()
    assert dicom("--dry-run", "--key", str(tmp_path / "key")) == 0
    assert capsys.readouterr().out.startswith(f"{folder.name}\n")


@pytest.mark.parametrize("options", [["-o", "OUT"], ["--key", "KEY"], []])
def test_a_conversion_needs_a_folder_and_a_key(tmp_path, capsys, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    write_classic(tmp_path / "in", Stack())
    assert main(["dicom", "in", *options]) == 2
    assert "dicom needs -o OUT and --key FILE" in capsys.readouterr().err


def test_without_pydicom_the_remedy_is_named(dicom, tmp_path, capsys, monkeypatch):
    write_classic(tmp_path / "in", Stack())
    monkeypatch.setitem(sys.modules, "dataset_conversion.dicom.headers.header_file", None)
    assert dicom("--dry-run") == 2
    assert "pip install 'nnunet_seqdropout[dicom]'" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [write_classic, write_enhanced])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tags": {"Manufacturer": "SIEMENS"}},
        {"positions_mm": (0, 1, 3)},
        {"transfer_syntax": uids.DeflatedExplicitVRLittleEndian},
        {"tags": {"Modality": SECRET.upper()}},
        {"tags": {"ImageType": ["DERIVED", SECRET.upper(), SECRET.upper()]}},
        {"tags": {"SeriesInstanceUID": SECRET, "SOPInstanceUID": SECRET, "SeriesNumber": None}},
        {"tags": dict.fromkeys(NUMBERS, f"{SECRET} ".encode())},
    ],
    ids=["sound", "of which dcm2niix says more", "a gap", "not readable", "modality", "image type", "UIDs", "values"],
)
@pytest.mark.parametrize("rules", [None, "rules: [{role: t2, description: nothing}]", "rules: [{role: flair}]"])
def test_no_text_of_a_header_is_in_any_output(tmp_path, dicom, capfd, recwarn, kind, changes, rules):
    """Not in files, names of files, NIfTI headers or on the screen, with -v, whatever happens to the series."""
    tags = dict.fromkeys(FREE_TEXTS, f"{SECRET} FLAIR") | changes.get("tags", {})
    stack = Stack(f"{SECRET} FLAIR", **{**changes, "tags": tags, "patient": SECRET})
    with pydicom.config.disable_value_validation():
        kind(tmp_path / "in" / SECRET, stack)
    options = ["-v"]
    if rules:
        (tmp_path / "rules.yaml").write_text(rules)
        options += ["--rules", str(tmp_path / "rules.yaml")]
    codes = dicom(*options), dicom("--dry-run", *options)
    assert {*codes} <= {0, 1}
    if not changes and rules is None:
        assert codes == (0, 0)
    printed = "".join((*capfd.readouterr(), *(str(warning.message) for warning in recwarn)))
    assert SECRET.lower() not in printed.lower()
    for file in (tmp_path / "out").rglob("*"):
        assert SECRET.lower() not in str(file.relative_to(tmp_path)).lower()
        if file.is_file():
            content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            assert SECRET.lower().encode() not in content.lower()
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["cases"]
