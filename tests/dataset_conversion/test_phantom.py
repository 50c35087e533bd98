"""The synthetic hospitals: what is written, how tissues contrast, and the law of the lesions."""

import json
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from scipy.stats import binomtest, kstest, lognorm

from dataset_conversion.phantom.anatomy import Head, draw_head
from dataset_conversion.phantom.hospitals import write_phantom
from dataset_conversion.phantom.lesions import LAWS, Hospital, draw_diameters
from dataset_conversion.phantom.scanner import scan
from dataset_conversion.phantom.settings import PhantomSettings, series_grid
from dataset_conversion.phantom.signal import TISSUES, Protocol, Tissue, hospital_a, hospital_b, signal
from nnunet_seqdropout.cli.command import main

SMALL = ["--train", "1", "--val", "1", "--test", "1", "--size", "48"]


def phantom(folder: Path, *options: str) -> int:
    return main(["phantom", "-o", str(folder), *SMALL, *options])


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    assert phantom(folder) == 0
    return folder


def test_hospital_a_trains_with_four_sequences_and_hospital_b_has_no_bravo(cohort):
    files = {name for name in content(cohort) if name.endswith(".nii.gz")}
    b = {"t1_pre", "t1_gd", "flair", "seg"}
    expected = {("hospital_a/train/Mets_001", name) for name in {*b, "bravo"}}
    expected |= {(f"hospital_b/{folder}", name) for folder in ("val/Mets_002", "test/Mets_003") for name in b}
    assert files == {f"{folder}/{name}.nii.gz" for folder, name in expected}


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(cohort, tmp_path):
    assert phantom(tmp_path, "-np", "2") == 0
    assert content(tmp_path) == content(cohort)


@pytest.mark.parametrize("options", [["--train", "-1"], ["--size", "0"]])
def test_numbers_that_cannot_be_are_refused(tmp_path, capsys, options):
    assert phantom(tmp_path, *options) == 2
    assert "a number of patients is below 0, or the size below 1" in capsys.readouterr().err


def test_the_room_that_the_shapes_need_is_looked_at_first(cohort, tmp_path, capsys, monkeypatch):
    """By hand: 48 x 48 x 40 voxels of two bytes, four series and twice three, of which at most .4 is left."""
    needed = 737_280
    usage = namedtuple("usage", "total used free")
    taken = sum(len(written) for name, written in content(cohort).items() if name.endswith(".nii.gz"))
    assert needed / 3 < taken < needed
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, needed - 1))
    assert phantom(tmp_path / "out") == 2
    assert f"out has 737,279 bytes free, up to {needed:,} are needed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    # those who are there need none
    shutil.copytree(cohort, tmp_path / "there")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 0))
    assert phantom(tmp_path / "there") == 0


def test_another_seed_gives_other_patients(cohort, tmp_path):
    assert phantom(tmp_path, "--seed", "1", "--val", "0", "--test", "0") == 0
    first, second = (content(folder / "hospital_a") for folder in (cohort, tmp_path))
    assert first.keys() == second.keys()
    assert not any(first[name] == second[name] for name in first)


def test_an_interrupted_cohort_is_completed_and_the_patients_there_are_left_alone(cohort, tmp_path, capsys):
    shutil.copytree(cohort, tmp_path, dirs_exist_ok=True)
    kept = tmp_path / "hospital_a" / "train" / "Mets_001" / "seg.nii.gz"
    before = kept.stat().st_mtime_ns
    for file in (tmp_path / "hospital_b" / "val" / "Mets_002").iterdir():
        file.unlink()
    assert phantom(tmp_path) == 0
    assert f"{tmp_path}: 3 of 3 patients, 2 of them done before" in capsys.readouterr().out
    assert kept.stat().st_mtime_ns == before
    left, first = content(tmp_path), content(cohort)
    statuses = [outcome["status"] for outcome in json.loads(left.pop("summary.json"))["cases"].values()]
    assert statuses == ["skipped", "ok", "skipped"]
    del first["summary.json"]
    assert left == first


def test_every_lesion_of_the_truth_is_an_object_of_the_label(cohort):
    for patient in (truth.parent for truth in cohort.rglob("truth.json")):
        truth = json.loads((patient / "truth.json").read_text())
        label = sitk.ReadImage(str(patient / "seg.nii.gz"))
        _, n_objects = ndimage.label(sitk.GetArrayFromImage(label), np.ones((3, 3, 3)))
        assert n_objects == len(truth["lesions"]) >= 1


def test_like_paper_fixes_the_cohort(tmp_path, capsys):
    assert main(["phantom", "-o", str(tmp_path), "--like-paper", "--train", "3"]) == 2
    assert "--like-paper fixes the cohort" in capsys.readouterr().err


@pytest.fixture(scope="module")
def head() -> Head:
    """A patient of Hospital A with a lesion large enough to measure in."""
    rng = np.random.default_rng(0)
    while (drawn := draw_head(LAWS["A"], rng, gap_mm=6)).lesions[0].diameter_mm < 14:
        pass
    return drawn


def measured(head: Head, hospital: Hospital) -> dict[str, dict[str, float]]:
    """Mean signal of each tissue relative to white matter on every series, from the images, not from the formulas."""
    protocols = hospital_a(3.0) if hospital == "A" else hospital_b()
    contrasts = {}
    for name, protocol in protocols.items():
        grid = series_grid(head, hospital, name, PhantomSettings(size=192))
        brightness = {tissue: signal(tissue, values, protocol) for tissue, values in TISSUES[3.0].items()}
        image = scan(head, brightness, grid, sitk.Euler3DTransform(), np.random.default_rng(1))
        on_head = sitk.GetArrayFromImage(sitk.Resample(image, head.grid, sitk.Transform(), sitk.sitkLinear))
        means = {t: on_head[f > 0.9].mean() for t, f in head.fractions.items() if (f > 0.9).sum() > 20}
        contrasts[name] = {tissue: mean / means["white"] for tissue, mean in means.items()}
    return contrasts


@pytest.mark.parametrize("hospital", ["A", "B"])
def test_tissues_contrast_as_they_do_on_real_series(head, hospital):
    contrast = measured(head, hospital)
    assert contrast["t1_gd"]["enhancing"] > 1.3
    assert contrast["t1_pre"]["enhancing"] < 1.1
    assert contrast["flair"]["csf"] < 0.8
    assert contrast["flair"]["oedema"] > 1.2
    assert contrast["flair"]["oedema"] > contrast["flair"]["grey"]
    for spin_echo in ("t1_pre", "t1_gd", "flair"):
        assert contrast[spin_echo]["vessel"] < 0.6
    if hospital == "A":
        assert contrast["bravo"]["enhancing"] > 1.5
        assert contrast["bravo"]["vessel"] > 1.5
        assert contrast["bravo"]["csf"] < contrast["bravo"]["grey"] < 1


def test_fractions_are_a_partition_of_the_brain(head):
    total = np.sum(list(head.fractions.values()), axis=0)
    assert total.max() == pytest.approx(1, abs=1e-4)
    assert all(fraction.min() >= -1e-5 for fraction in head.fractions.values())
    assert (total > 0.99).mean() > 0.2


def test_a_spin_echo_by_hand():
    # TR = T1, TE = T2: 0.8 x (1 - 1/e) x 1/e = 0.186
    assert signal("white", Tissue(600, 10, 0.8), Protocol("spin_echo", 3.0, 600, 10)) == pytest.approx(0.186, abs=5e-4)


def test_an_inversion_at_ln_2_nulls_a_tissue_that_recovers_in_between():
    flair = Protocol("flair", 3.0, 60000, 100, inversion_ms=1000 * np.log(2))
    assert signal("csf", Tissue(1000, 100, 1.0), flair) == pytest.approx(0, abs=1e-9)


def test_a_long_gradient_echo_train_forgets_the_inversion():
    # the spoiled steady state by hand: T1 800, TR 20, 30 degrees: (1 - e^-.025) / (1 - cos 30 e^-.025) x sin 30
    long_train = Protocol("gradient_echo", 3.0, 20, 0, 30, 400)
    assert signal("white", Tissue(800, 80, 1.0), long_train) == pytest.approx(0.5 * 0.02469 / 0.15535, rel=1e-3)


@pytest.mark.parametrize("hospital", ["A", "B"])
def test_two_hundred_patients_follow_the_declared_law(hospital):
    law = LAWS[hospital]
    rng = np.random.default_rng(0)
    patients = [draw_diameters(law, rng) for _ in range(200)]
    many = sum(len(p) > 3 for p in patients)
    assert binomtest(many, 200, law.more_than_three).pvalue > 0.001
    assert max(map(len, patients)) <= law.most
    assert all(p[0] >= law.first_at_least_mm for p in patients)
    diameters = np.concatenate(patients)
    whole = lognorm(law.sigma_log, scale=law.median_mm)
    low, high = whole.cdf([law.smallest_mm, law.largest_mm])
    truncated = lambda d: (whole.cdf(d) - low) / (high - low)  # noqa: E731  # a distribution function
    if not law.first_at_least_mm:
        assert kstest(diameters, truncated).pvalue > 0.001
    assert (diameters >= law.smallest_mm).all()
    assert (diameters <= law.largest_mm).all()


def test_hospital_b_has_fewer_and_larger_lesions():
    rng = np.random.default_rng(8)
    a, b = ([draw_diameters(LAWS[h], rng) for _ in range(200)] for h in ("A", "B"))
    assert np.mean([len(p) for p in b]) < np.mean([len(p) for p in a])
    assert np.median(np.concatenate(b)) > np.median(np.concatenate(a))


@pytest.mark.slow
def test_like_paper_the_true_transforms_bring_the_series_together(tmp_path):
    write_phantom(tmp_path, PhantomSettings(train=1, val=0, test=0, size=256, like_paper=True))
    patient = tmp_path / "hospital_a" / "train" / "Mets_001"
    truth = json.loads((patient / "truth.json").read_text())
    bravo, moved = (sitk.ReadImage(str(patient / f"{name}.nii.gz"), sitk.sitkFloat32) for name in ("bravo", "t1_gd"))
    assert bravo.GetSize() == (256, 256, 160)
    assert bravo.GetDirection() != moved.GetDirection()
    matrix = np.array(truth["transforms"]["t1_gd"])
    transform = sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())
    assert not np.allclose(matrix, np.eye(4), atol=1e-3)
    inside = sitk.GetArrayFromImage(bravo) > 0

    def agreement(t: sitk.Transform) -> float:
        series = sitk.GetArrayFromImage(sitk.Resample(moved, bravo, t, sitk.sitkLinear)) > 0
        return 2 * (series & inside).sum() / (series.sum() + inside.sum())

    assert agreement(transform) > 0.98 > agreement(sitk.Transform())
