"""DICOM in, images under pseudonyms out: who is which sequence, what is not whole, and nothing that names anybody."""

import gzip
import json
import logging
import shutil
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from example_dicom import AXIAL, OBLIQUE, SAGITTAL, write_series
from hypothesis import given
from hypothesis import strategies as st

from dataset_conversion.dicom.convert import from_dicom
from dataset_conversion.dicom.headers.geometry import require_whole
from dataset_conversion.dicom.headers.slices import DicomSeries, DicomSlice
from dataset_conversion.dicom.roles import choose_series
from dataset_conversion.dicom.rules import Rule, read_rules
from dataset_conversion.dicom.series import find_series
from dataset_conversion.faults import Fault
from dataset_conversion.pseudonyms import pseudonym, read_or_make_key
from dataset_conversion.raw.layout import SHIPPED, read_layout
from dataset_conversion.raw.sources.patients import find_patients
from nnunet_seqdropout.cli.command import main

KEY = b"a key for tests, long enough"
IDENTIFYING = (b"Doe", b"Jane", b"HOSP-4711", b"19610203", b"Charit", b"20200304", b"101112", b"Smith")


def write_patient(folder: Path, patient: str = "HOSP-4711") -> dict[str, str]:
    """The four sequences of the paper; returns their UIDs."""
    return {
        "bravo": write_series(
            folder, "Ax BRAVO +C", patient=patient, number=7, agent="Gadavist", inversion_time_ms=450
        ),
        "t1_pre": write_series(folder / "deep" / "er", "Sag CUBE T1", patient=patient, number=3),
        "t1_gd": write_series(folder, "Sag CUBE T1", patient=patient, number=9, agent="Gadavist"),
        "flair": write_series(folder, "CUBE T2 FLAIR", patient=patient, number=4, inversion_time_ms=1850),
    }


@pytest.fixture
def source(tmp_path) -> Path:
    return tmp_path / "dicom" / "Doe_Jane"


@pytest.fixture
def convert(tmp_path):
    (tmp_path / "key").write_bytes(KEY)

    def call(rules: str | None = None):
        if rules is not None:
            (tmp_path / "rules.yaml").write_text(rules)
        chosen = None if rules is None else tmp_path / "rules.yaml"
        converted = from_dicom(tmp_path / "dicom", tmp_path / "work", rules=chosen, key_file=tmp_path / "key")
        return converted.images, converted.outcomes

    return call


def series_of(description: str, *, agent: bool = False, time: float | None = None, **changes) -> DicomSeries:
    one = DicomSlice(Path("x"), 0, (8, 6, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    return replace(DicomSeries("1", "day", description, "1", description, "MR", agent, time, (one,)), **changes)


def test_the_four_sequences_of_a_patient_are_found_and_read_as_a_hospital(source, convert, tmp_path):
    write_patient(source)
    images, outcomes = convert()
    name = pseudonym("HOSP-4711", KEY)
    assert {patient: outcome.status for patient, outcome in outcomes.items()} == {name: "ok"}
    assert images == {
        name: {role: tmp_path / "work" / name / f"{role}.nii.gz" for role in ("bravo", "flair", "t1_gd", "t1_pre")}
    }
    # The first voxel of a series is 7 x its number.
    firsts = {role: int(sitk.GetArrayFromImage(sitk.ReadImage(str(f))).min()) for role, f in images[name].items()}
    assert firsts == {"bravo": 49, "t1_pre": 21, "t1_gd": 63, "flair": 28}
    assert find_patients(tmp_path / "work", read_layout(SHIPPED / "hospital_a.yaml"))[name].images == images[name]


@pytest.mark.parametrize(
    ("description", "agent", "time", "role"),
    [
        ("Ax BRAVO", True, 450, "bravo"),
        ("t1_mprage_sag_p2_iso_KM", False, 900, "bravo"),
        ("t1_mpr_sag_p2_iso_post", False, 900, "bravo"),
        ("IR-FSPGR +C", False, None, "bravo"),
        ("sT1W_3D_TFE_Gd", False, None, "bravo"),
        ("AX BRAVO", False, 450, "t1_pre"),
        ("t1_space_sag", False, None, "t1_pre"),
        ("T1 PRE GAD", True, None, "t1_pre"),
        ("T1 SE nativ", False, None, "t1_pre"),
        ("T1 FLAIR", False, 860, "t1_pre"),
        ("CUBE T1 POST", False, None, "t1_gd"),
        ("T1W_VISTA", True, None, "t1_gd"),
        ("T1CE", False, None, "t1_gd"),
        ("Sag CUBE", True, None, "t1_gd"),
        ("T1 posterior fossa", False, None, "t1_pre"),
        ("CUBE T2 FLAIR +C", True, 1850, "flair"),
        ("t2_space_dark-fluid_sag", False, 1800, "flair"),
        ("3D CUBE", False, 1900, "flair"),
        ("t2_tse_tra", False, None, "t2"),
        ("T2* GRE", False, None, None),
        ("Ax BRAVO +C MPR cor", True, 450, None),
        ("MIP T1 post", True, None, None),
        ("ep2d_diff_ADC", False, None, None),
        ("3-plane loc", False, None, None),
        ("PD CUBE", False, None, None),
        ("", False, None, None),
    ],
)
def test_the_shipped_rules_know_the_names_of_the_vendors(description, agent, time, role):
    rule = next((r for r in read_rules().rules if r.holds(series_of(description, agent=agent, time=time))), None)
    assert (None if rule is None or rule.role == "none" else rule.role) == role


def test_the_ends_of_a_range_of_inversion_times_belong_to_it():
    rule = Rule("flair", inversion_time_ms=(1500, 3000))
    times = (1499, 1500, 3000, 3001, None)
    assert [rule.holds(series_of("x", time=time)) for time in times] == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("agent", "is_one"), [("None", False), ("NO", False), ("N/A", False), ("", False), ("Gd", True)]
)
def test_a_contrast_agent_that_is_denied_is_none(source, agent, is_one):
    write_series(source, "T1", agent=agent)
    (series,) = find_series(source)
    assert series.contrast_agent == is_one


def test_a_series_that_is_no_mr_image_is_no_sequence(tmp_path):
    (tmp_path / "r").write_text("series: {}")
    both = [series_of("FLAIR", uid="ct", modality="CT", aside="no MR image (CT)"), series_of("FLAIR", uid="mr")]
    chosen = choose_series(both, read_rules(tmp_path / "r"), patient="P")
    assert {role: series.uid for role, series in chosen.items()} == {"flair": "mr"}


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, OBLIQUE], ids=["axial", "sagittal", "oblique"])
@pytest.mark.parametrize("descending", [False, True])
def test_voxels_lie_where_simpleitk_reads_them(source, convert, orientation, descending):
    positions = np.arange(5) * 1.5
    uid = write_series(
        source, "FLAIR", orientation=orientation, positions_mm=positions[::-1] if descending else positions
    )
    ((files,), _) = (list(found.values()) if isinstance(found, dict) else found for found in convert())
    converted = sitk.ReadImage(str(files["flair"]))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(source), uid))
    expected = sitk.DICOMOrient(reader.Execute(), "LPS")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(converted), sitk.GetArrayFromImage(expected))
    for of in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(converted, of)(), getattr(expected, of)(), atol=1e-4)


def test_nothing_that_names_a_patient_leaves_the_source(source, convert, tmp_path, caplog):
    uids = write_patient(source)
    write_series(tmp_path / "dicom" / "b", "T1 +C", patient="Doe-2", number=1)
    write_series(tmp_path / "dicom" / "b", "T1 +C", patient="Doe-2", number=2)
    write_series(tmp_path / "dicom" / "c", "T1 +C", patient="Smith-3", positions_mm=(0, 1, 3))
    with caplog.at_level(logging.INFO):
        convert()
    written = [file for file in (tmp_path / "work").rglob("*") if file.is_file()]
    assert len(written) == 4 + 1 + 1  # images, record, summary
    contents = [gzip.decompress(f.read_bytes()) if f.suffix == ".gz" else f.read_bytes() for f in written]
    contents += [str(file.relative_to(tmp_path)).encode() for file in written] + [caplog.text.encode()]
    for searched in (*IDENTIFYING, *(uid.encode() for uid in uids.values())):
        assert not any(searched in content for content in contents), searched
    for file in written:
        if file.suffix == ".gz":
            header = nibabel.Nifti1Image.from_filename(file).header
            assert not any(
                bytes(header[name]).strip(b"\0") for name in ("descrip", "aux_file", "intent_name", "db_name")
            )


def test_steps_that_are_all_a_little_uneven_are_named(source, convert):
    """Four steps of 1.5 mm and four of 1.59: the fifth slice is at 6 mm, half of the way of 12.36 mm is 6.18."""
    write_series(source, "FLAIR", positions_mm=(0, 1.5, 3, 4.5, 6, 7.59, 9.18, 10.77, 12.36), number=4)
    _, outcomes = convert()
    (outcome,) = outcomes.values()
    assert outcome.problem == "series 4 (9 slices) has uneven steps: a slice lies 0.2 mm from its place"


def test_a_gap_is_named_in_mm(source, convert):
    write_series(source, "FLAIR", positions_mm=(0, 1.5, 3, 6, 7.5), number=4)
    images, outcomes = convert()
    (outcome,) = outcomes.values()
    # The first slice lies at z = 30.
    assert not images
    assert outcome.problem == ("series 4 (5 slices) has gaps: from 33.0 to 36.0 mm, elsewhere a slice every 1.5 mm")


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"positions_mm": (3, 1.5)}, "two slices each at 31.5, 33.0 mm"),
        ({"orientation": SAGITTAL}, "two orientations"),
    ],
)
def test_two_stacks_in_one_series_are_found(source, convert, second, said):
    uid = write_series(source, "FLAIR")
    write_series(source, "FLAIR", uid=uid, **second)
    (outcome,) = convert()[1].values()
    assert outcome.status == "failed"
    assert said in outcome.problem


def stack(positions_mm: Sequence[float] | np.ndarray, **changes) -> DicomSeries:
    (one,) = series_of("FLAIR").slices
    slices = tuple(replace(one, **{"position": (0.0, 0.0, float(z)), **changes}) for z in positions_mm)
    return series_of("FLAIR", slices=slices)


@given(
    n=st.integers(3, 40),
    step=st.floats(0.5, 6),
    start=st.floats(-200, 200),
    lost=st.integers(1, 38),
    seed=st.integers(0),
)
def test_a_stack_is_whole_in_any_order_until_an_inner_slice_is_lost(n, step, start, lost, seed):
    positions = np.random.default_rng(seed).permutation(start + step * np.arange(n))
    require_whole(stack(positions))
    if n > 4 and lost < n - 1:
        with pytest.raises(Fault, match="has gaps"):
            require_whole(stack(np.delete(positions, np.argsort(positions)[lost])))
    with pytest.raises(Fault, match="two slices each at"):
        require_whole(stack([*positions, positions[0]]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": (8, 7, 1)}, "two sizes"),
        ({"spacing": (1.0, 0.9, 1.0)}, "two pixel spacings"),
        ({"position": (5.0, 0.0, 2.0)}, "shifted by up to 5.0 mm"),
    ],
)
def test_slices_of_another_stack_are_found(changes, said):
    series = stack([0, 1, 2, 3])
    slices = (*series.slices[:2], replace(series.slices[2], **changes), series.slices[3])
    with pytest.raises(Fault, match=said):
        require_whole(replace(series, slices=slices))


@pytest.mark.parametrize(
    ("series", "said"),
    [
        (stack([0]), "is no volume"),
        (stack([0, 1], position=()), "2 of 2 have no position"),
        (stack([0, 1], direction=()), "2 of 2 have no orientation"),
        (stack([0, 1], spacing=()), "2 of 2 have no pixel spacing"),
        (stack([0, 1], problem="is a mosaic of slices (ImageType)"), "2 of 2: is a mosaic"),
    ],
)
def test_what_is_no_stack_of_slices_is_refused(series, said):
    with pytest.raises(Fault, match=said):
        require_whole(series)


def test_two_series_for_one_sequence_are_listed_and_a_rules_file_decides(source, convert):
    write_series(source, "Ax T1 FS +C", number=8)
    uid = write_series(source, "Cor T1 +C", number=9, positions_mm=(0, 1, 2))
    write_series(source, "FLAIR", number=4)
    name = pseudonym("HOSP-4711", KEY)
    images, outcomes = convert()
    assert not images
    problem = "2 series for t1_gd: series 8 (5 slices), series 9 (3 slices)"
    assert outcomes[name].problem == problem
    assert f"series: {{{name}: {{t1_gd: 8}}}}" in outcomes[name].remedy
    for series in (9, uid):
        images, outcomes = convert(f"series: {{{name}: {{t1_gd: {series}, flair: none}}}}")
        assert list(images[name]) == ["t1_gd"]
        assert sitk.ReadImage(str(images[name]["t1_gd"])).GetSize() == (8, 6, 3)
    images, _ = convert("rules: [{role: t1_gd, description: ['\\bt1', '^cor']}, {role: flair, description: flair}]")
    assert list(images[name]) == ["flair", "t1_gd"]


def test_images_of_two_days_are_not_one_case(source, convert):
    write_series(source, "FLAIR", number=4)
    write_series(source, "CUBE T1 +C", number=5, day="20200611")
    (outcome,) = convert()[1].values()
    assert "2 examinations: (1) series 4 (5 slices); (2) series 5 (5 slices)" in outcome.problem


def test_a_series_that_the_user_named_serves_one_sequence_only(tmp_path):
    (tmp_path / "r").write_text("series: {P: {t1_gd: a}}")
    chosen = choose_series(
        [series_of("FLAIR", uid="a"), series_of("T1", uid="b")], read_rules(tmp_path / "r"), patient="P"
    )
    assert {role: series.uid for role, series in chosen.items()} == {"t1_gd": "a", "t1_pre": "b"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: [{role: t3}]", "unknown sequence t3"),
        ("rules: [{role: flair, description: '('}]", "invalid rules"),
        ("rules: [{role: flair, contrast: maybe}]", "contrast should be true or false or null, and is 'maybe'"),
        ("rules: [{role: flair, inversion_time_ms: 5}]", r"rules\[0\].inversion_time_ms should be a list of 2 or null"),
        ("rules: [{role: flair, colour: red}]", "colour"),
        ("rules: [{description: flair}]", "role"),
        ("rules: flair", "rules should be a list, and is 'flair'"),
        ("rule: []", "rule is no key that is known here: rules, words, series"),
        ("rules: [", "this is no YAML"),
        ("", "not rules for DICOM series: it holds no keys"),
    ],
)
def test_a_rules_file_of_another_form_is_refused(tmp_path, text, said):
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(Fault, match=said):
        read_rules(tmp_path / "rules.yaml")


def test_a_named_series_that_is_not_there_is_a_fault(source, convert):
    write_series(source, "FLAIR", number=4)
    (outcome,) = convert(f"series: {{{pseudonym('HOSP-4711', KEY)}: {{flair: 5}}}}")[1].values()
    assert outcome.problem == "there is no series 5, which the rules file assigns to flair"
    assert "series 4 (5 slices)" in outcome.remedy


def test_one_key_gives_one_pseudonym_and_another_key_another():
    assert pseudonym("HOSP-4711", KEY) == pseudonym("HOSP-4711", KEY)
    names = {pseudonym(patient, key) for patient in ("HOSP-4711", "HOSP-4712") for key in (KEY, KEY + b"!")}
    assert len(names) == 4
    assert all(len(name) == 12 and name.startswith("P_") for name in names)


def test_a_key_is_made_once_for_its_owner_only(tmp_path):
    file, work = tmp_path / "kept" / "key", tmp_path / "work"
    key = read_or_make_key(file, away_from=work)
    assert len(key) == 64
    assert read_or_make_key(file, away_from=work) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(Fault, match="lies in the data set"):
        read_or_make_key(work / "key", away_from=work)
    file.write_text("short\n")
    with pytest.raises(Fault, match="the key has only 5 characters"):
        read_or_make_key(file, away_from=work)


def test_files_that_are_no_images_are_counted_and_passed_over(source, caplog):
    write_series(source, "FLAIR")
    (source / "notes.txt").write_text("Doe, Jane")
    whole = next(source.glob("IM*"))
    whole.with_name("damaged").write_bytes(whole.read_bytes()[:300])
    (series,) = find_series(source)
    assert len(series.slices) == 5
    assert "skipped 2 of 7 files without a DICOM image, 1 of them marked as DICOM" in caplog.text
    assert "Doe" not in caplog.text


def test_a_folder_without_dicom_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(Fault, match="no DICOM image below"):
        find_series(tmp_path)


def test_a_fault_of_one_patient_does_not_stop_the_others(source, convert, tmp_path):
    write_patient(source)
    write_series(tmp_path / "dicom" / "b", "FLAIR", patient="2", positions_mm=(0, 1, 3))
    write_series(tmp_path / "dicom" / "c", "T2* GRE", patient="3")
    write_series(tmp_path / "dicom" / "d", "FLAIR", patient="")
    images, outcomes = convert()
    names = {patient: pseudonym(patient, KEY) for patient in ("HOSP-4711", "2", "3", "")}
    assert {patient: outcomes[name].status for patient, name in names.items()} == {
        "HOSP-4711": "ok",
        "2": "failed",
        "3": "failed",
        "": "failed",
    }
    assert outcomes[names["3"]].problem == "no rule matches any of series 1 (5 slices)"
    assert outcomes[names[""]].problem == "these series have no PatientID"
    assert images.keys() == {names["HOSP-4711"]}
    summary = json.loads((tmp_path / "work" / "summary.json").read_text())
    assert {case["status"] for case in summary["cases"].values()} == {"ok", "failed"}


def test_a_patient_whose_files_are_unchanged_is_skipped(source, convert, tmp_path):
    write_patient(source)
    images, _ = convert()
    name = pseudonym("HOSP-4711", KEY)
    label = tmp_path / "work" / name / "seg.nii.gz"
    label.write_text("drawn by hand")
    before = {role: file.stat().st_mtime_ns for role, file in images[name].items()}
    again, outcomes = convert()
    assert (again, outcomes[name].status) == (images, "skipped")
    assert {role: file.stat().st_mtime_ns for role, file in images[name].items()} == before

    images[name]["flair"].unlink()
    assert convert()[1][name].status == "ok"
    assert images[name]["flair"].is_file()

    min((source / "deep").rglob("IM*")).unlink()  # the first slice of t1_pre
    assert convert()[1][name].status == "ok"
    assert sitk.ReadImage(str(images[name]["t1_pre"])).GetSize() == (8, 6, 4)

    shutil.rmtree(source / "deep")
    assert list(convert()[0][name]) == ["bravo", "flair", "t1_gd"]
    assert not images[name]["t1_pre"].exists()

    write_series(source, "FLAIR again", number=40)
    assert convert()[1][name].status == "failed"
    assert [file.name for file in label.parent.iterdir()] == ["seg.nii.gz"]


def test_a_description_in_an_old_character_set_is_read(source, tmp_path):
    write_series(source, "FLAIR f\xfcr Sch\xe4del")
    (series,) = find_series(source)
    assert series.description.startswith("FLAIR f")
    series.description.encode()


def test_without_dcm2niix_the_remedy_is_named(source, convert, tmp_path, monkeypatch):
    write_series(source, "FLAIR")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(Fault, match=r"pip install 'nnunet_seqdropout\[dicom\]'"):
        convert()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 3", "dcm2niix made 0 images of series 4 (5 slices)"),
        ("shift $(($# - 2)); cp {moved} $1/image.nii", "dcm2niix changed the position of series 4 (5 slices)"),
    ],
)
def test_an_image_that_does_not_lie_where_the_headers_say_is_refused(
    source, convert, tmp_path, monkeypatch, script, said
):
    write_series(source, "FLAIR", number=4)
    moved = sitk.Image(8, 6, 5, sitk.sitkInt16)
    moved.SetSpacing((0.5, 1.0, 3.0))
    moved.SetOrigin((-10, -20, 30))
    sitk.WriteImage(moved, str(tmp_path / "moved.nii"))
    fake = tmp_path / "bin" / "dcm2niix"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{script.format(moved=tmp_path / 'moved.nii')}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    (outcome,) = convert()[1].values()
    assert said in outcome.problem


def files_with(folder: Path, words: Sequence[bytes]) -> list[str]:
    """Which file below the folder holds which word, in its name or, unpacked, in its content."""
    found = []
    for file in (file for file in folder.rglob("*") if file.is_file()):
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        found += [f"{file}: {w!r}" for w in words if w in content or w in str(file.relative_to(folder)).encode()]
    return found


def test_from_dicom_to_the_data_set_nothing_names_the_patient(source, tmp_path, monkeypatch, capfd):
    """Through both commands; the patient's name is in the folder of the source, too."""
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    uids = write_patient(source)
    write_series(tmp_path / "dicom" / "Doe_John", "FLAIR", patient="Doe-2", positions_mm=(0, 1, 3))
    out, key = tmp_path / "out", tmp_path / "key"
    assert main(["dicom", str(tmp_path / "dicom"), "-o", str(out), "--key", str(key)]) == 1
    command = ["convert", "hospital_a", str(out), "-d", "1", "-n", "X", "--register", "never"]
    assert main(command) == 0
    (patient,) = json.loads((tmp_path / "raw" / "Dataset001_X" / "manifest.json").read_text())["patients"]
    assert patient == pseudonym("HOSP-4711", key.read_bytes().strip())
    words = [*IDENTIFYING, b"Doe_J", *(uid.encode() for uid in uids.values())]
    assert files_with(tmp_path / "dicom", words)  # they would be found
    assert not files_with(out, words)
    assert not files_with(tmp_path / "raw", words)
    printed = "".join(capfd.readouterr())
    assert "from 31.0 to 33.0 mm" in printed
    assert not [word for word in words if word.decode() in printed]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/dicom/Doe_Jane/IM1"), "it cannot be converted (Permission denied)"),
        (RuntimeError("Symlink loop from '/dicom/Doe_Jane/IM1'"), "it cannot be converted (unexpected RuntimeError)"),
    ],
)
def test_an_error_that_names_a_file_of_the_source_does_not_come_into_the_output(
    source, tmp_path, capfd, monkeypatch, error, said
):
    def fail(_):
        raise error

    write_patient(source)
    monkeypatch.setattr("dataset_conversion.dicom.convert.bytes_of", fail)
    assert main(["dicom", str(source), "-o", str(tmp_path / "out"), "--key", str(tmp_path / "key")]) == 1
    written = (tmp_path / "out" / "summary.json").read_text()
    assert said in written
    assert "Doe" not in written + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"number": 1, "positions_mm": (0, 1, 2, 4)}, "has gaps: from 32.0 to 34.0 mm"),
        ({"number": 1, "positions_mm": (0, 1, 2, 2)}, "mixes stacks: two slices each at 32.0 mm"),
        ({"number": 2}, "series 1 (5 slices)"),
    ],
)
def test_what_is_wrong_with_a_series_is_one_line_of_the_command(tmp_path, capsys, second, said):
    if second["number"] == 2:
        write_series(tmp_path / "dicom", "T1 +C", patient="1", number=1)
    write_series(tmp_path / "dicom", "T1 +C", patient="1", **second)
    write_series(tmp_path / "dicom" / "b", "T1 +C", patient="2")
    out, key = tmp_path / "out", tmp_path / "key"
    key.write_bytes(KEY)
    assert main(["dicom", str(tmp_path / "dicom"), "-o", str(out), "--key", str(key)]) == 1
    outcome = json.loads((out / "summary.json").read_text())["cases"][pseudonym("1", KEY)]
    assert outcome["status"] == "failed"
    assert said in outcome["problem"]
    assert "rules file" in outcome["remedy"]
    (line,) = [line for line in capsys.readouterr().err.splitlines() if pseudonym("1", KEY) + ": " in line]
    assert said in line
    assert [file.parent.name for file in out.rglob("*.nii.gz")] == [pseudonym("2", KEY)]


@pytest.mark.parametrize(
    "series",
    [
        [("Doe Jane knee", {})],
        [("Doe Jane FLAIR", {"number": 1}), ("FLAIR for Doe", {"number": 2})],
        [("Doe Jane FLAIR", {"number": 1}), ("CUBE T1 +C Doe", {"number": 2, "day": "20200611"})],
        [("Doe Jane FLAIR", {"positions_mm": (0, 1, 3)})],
        [("Doe Jane FLAIR", {})],
    ],
    ids=["no rule", "two for one sequence", "two days", "a gap", "sound"],
)
def test_no_description_of_a_series_is_in_the_output_or_on_the_screen(source, tmp_path, capfd, series):
    """People write names into SeriesDescription; rules read it, and nothing repeats it."""
    for description, how in series:
        write_series(source, description, patient="4711", **how)
    out, key = tmp_path / "out", tmp_path / "key"
    sound = series == [("Doe Jane FLAIR", {})]
    assert main(["dicom", str(tmp_path / "dicom"), "-o", str(out), "--key", str(key)]) == (0 if sound else 1)
    assert files_with(tmp_path / "dicom", [b"Doe Jane"])
    assert not files_with(out, [b"Doe"])
    printed = "".join(capfd.readouterr())
    assert "Doe" not in printed
    assert "series 1 (" in printed
    assert "series 1 (" in (out / "summary.json").read_text() or sound


def test_an_image_that_was_damaged_since_is_converted_again(source, tmp_path):
    write_series(source, "FLAIR", number=4)
    command = ["dicom", str(tmp_path / "dicom"), "-o", str(tmp_path / "out"), "--key", str(tmp_path / "key")]
    assert main(command) == 0
    (image,) = (tmp_path / "out").glob("*/flair.nii.gz")
    whole = image.read_bytes()
    image.write_bytes(whole[:-20])
    assert main(command) == 0
    assert image.read_bytes() == whole
