"""Headers that contradict each other: refused, taken on trust if that is said, never where the sizes differ."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.experiment_planning.verify_dataset_integrity import check_cases
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from dataset_conversion.faults import Fault
from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.prediction.inputs import from_folder, without

SEQUENCES = ("bravo", "t1_pre", "t1_gd", "flair")
TRUST = "--trust-geometry"


def write(file: Path, voxels: np.ndarray, *, shift_mm: float = 0.0, spacing: float = 1.0) -> np.ndarray:
    """Voxels (Z, Y, X), moved along x."""
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing([1.0, 1.0, spacing])
    image.SetOrigin([shift_mm, 0.0, 0.0])
    file.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(file))
    return voxels


def noise(seed: int = 0, shape=(5, 8, 7)) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 99, shape).astype(np.int16)


def lesion(shape=(5, 8, 7)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[2, 3:5, 3:5] = 1
    return mask


@pytest.fixture
def patient(tmp_path) -> Path:
    """Four images and a label on one grid."""
    folder = tmp_path / "in" / "P1"
    for seed, name in enumerate(SEQUENCES):
        write(folder / f"{name}.nii.gz", noise(seed))
    write(folder / "seg.nii.gz", lesion())
    return folder


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    return tmp_path / "raw" / "Dataset001_X"


def nnunet_files(raw: Path) -> tuple[list[str], str]:
    return sorted(map(str, (raw / "imagesTr").iterdir())), str(raw / "labelsTr" / "P1.nii.gz")


def convert(patient: Path, *options: str) -> int:
    words = ("convert", "hospital_a", str(patient.parent), "-d", "1", "-n", "X", "--register", "never")
    return main([*words, *options])


def outcome(folder: Path, case: str = "P1") -> dict:
    return json.loads((folder / "summary.json").read_text())["cases"][case]


def geometry(file: Path) -> tuple:
    image = sitk.ReadImage(str(file))
    return image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection()


@pytest.mark.parametrize("differs", [{"shift_mm": 3.0}, {"spacing": 1.5}])
def test_convert_takes_the_reference_series_header_on_trust_and_the_manifest_says_for_which(patient, raw, differs):
    voxels = write(patient / "flair.nii.gz", noise(3), **differs)
    assert convert(patient) == 1
    assert TRUST in outcome(raw)["remedy"]
    assert convert(patient, TRUST) == 0
    written = raw / "imagesTr" / "P1_0003.nii.gz"
    assert geometry(written) == geometry(raw / "imagesTr" / "P1_0000.nii.gz")
    assert check_cases(*nnunet_files(raw), 4, SimpleITKIO)
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(written)))
    assert image.dtype == np.int16
    assert np.array_equal(image, voxels)
    (warning,) = json.loads((raw / "manifest.json").read_text())["patients"]["P1"]["warnings"]
    # 1.5 mm slices: the fifth lies 4 x 0.5 mm away
    distance = "3.0" if "shift_mm" in differs else "2.0"
    assert warning.startswith(f"flair: its header places it up to {distance} mm from bravo")
    assert (raw / "imagesTr" / "P1_0001.nii.gz").read_bytes() == (patient / "t1_pre.nii.gz").read_bytes()


def test_a_label_is_taken_on_trust_like_an_image(patient, raw):
    write(patient / "seg.nii.gz", lesion(), shift_mm=-2)
    assert convert(patient) == 1
    assert convert(patient, TRUST) == 0
    assert geometry(raw / "labelsTr" / "P1.nii.gz") == geometry(raw / "imagesTr" / "P1_0000.nii.gz")
    warnings = json.loads((raw / "manifest.json").read_text())["patients"]["P1"]["warnings"]
    assert [warning.split(" from")[0] for warning in warnings] == ["label: its header places it up to 2.0 mm"]


@pytest.mark.parametrize("name", ["flair", "seg"])
def test_another_size_is_never_taken_on_trust(patient, raw, name):
    shape = (6, 8, 7)
    write(patient / f"{name}.nii.gz", lesion(shape) if name == "seg" else noise(shape=shape))
    assert convert(patient, TRUST) == 1
    assert "size (7, 8, 6)" in outcome(raw)["problem"]


def test_a_series_that_nnunet_would_refuse_for_its_last_digits_gets_the_reference_header(patient, raw):
    """0.05 mm is within our tolerance, and nnU-Net stops at a spacing that differs by a hundred thousandth."""
    write(patient / "flair.nii.gz", noise(3), spacing=1.001)
    write(patient / "seg.nii.gz", lesion(), spacing=1.001)
    sources = [str(patient / f"{name}.nii.gz") for name in SEQUENCES]
    with pytest.raises(RuntimeError):
        check_cases(sources, str(patient / "seg.nii.gz"), 4, SimpleITKIO)
    assert convert(patient) == 0
    assert check_cases(*nnunet_files(raw), 4, SimpleITKIO)
    assert len({geometry(file) for file in raw.glob("*Tr/*.nii.gz")}) == 1
    assert main(["check", "-i", str(raw)]) == 0


@pytest.fixture
def dataset(tmp_path) -> Path:
    """A raw data set of one case."""
    folder = tmp_path / "Dataset002_Y"
    for channel in range(2):
        write(folder / "imagesTr" / f"P1_000{channel}.nii.gz", noise(channel))
    write(folder / "labelsTr" / "P1.nii.gz", lesion())
    names = {"0": "t1_gd", "1": "flair"}
    labels = {"background": 0, "lesion": 1}
    description = {"channel_names": names, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def test_check_names_what_it_takes_on_trust(dataset, capsys):
    write(dataset / "labelsTr" / "P1.nii.gz", lesion(), shift_mm=4)
    assert main(["check", "-i", str(dataset)]) == 1
    capsys.readouterr()
    assert main(["check", "-i", str(dataset), TRUST]) == 0
    assert "labelsTr/P1.nii.gz: origin (4, 0, 0), but" in capsys.readouterr().out
    write(dataset / "labelsTr" / "P1.nii.gz", lesion((6, 8, 7)))
    assert main(["check", "-i", str(dataset), TRUST]) == 1


@pytest.mark.parametrize("spacing", [1.001, 1.2])
def test_a_spacing_that_nnunet_does_not_train_on_is_a_fault_on_trust_too(dataset, capsys, spacing):
    write(dataset / "imagesTr" / "P1_0001.nii.gz", noise(1), spacing=spacing)
    assert main(["check", "-i", str(dataset), TRUST]) == 1
    assert "P1_0001.nii.gz: spacing (1" in capsys.readouterr().out
    # in a folder of images of which some may be absent, 0.001 mm is no difference
    model = ("-m", str(dataset))
    assert main(["check", "-i", str(dataset / "imagesTr"), *model]) == (1 if spacing == 1.2 else 0)


def fill(dataset: Path, *options: str) -> tuple[int, Path]:
    target = dataset.parent / "filled"
    command = ("fill", "-i", str(dataset / "imagesTr"), "-o", str(target), "-m", str(dataset))
    return main([*command, *options]), target


def test_fill_writes_what_it_trusts_anew_with_one_header(dataset, caplog):
    voxels = write(dataset / "imagesTr" / "P1_0001.nii.gz", noise(1), shift_mm=4)
    assert fill(dataset)[0] == 1
    code, target = fill(dataset, TRUST)
    assert code == 0
    assert geometry(target / "P1_0001.nii.gz") == geometry(target / "P1_0000.nii.gz")
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(target / "P1_0001.nii.gz"))), voxels)
    assert "P1_0001.nii.gz: origin (4, 0, 0)" in caplog.text
    assert (target / "P1_0000.nii.gz").read_bytes() == (dataset / "imagesTr" / "P1_0000.nii.gz").read_bytes()
    write(dataset / "imagesTr" / "P1_0001.nii.gz", noise(1, (6, 8, 7)))
    assert fill(dataset, TRUST)[0] == 1


def test_fill_writes_a_spacing_that_nnunet_would_refuse_for_its_last_digits_anew(dataset):
    write(dataset / "imagesTr" / "P1_0001.nii.gz", noise(1), spacing=1.001)
    code, target = fill(dataset)
    assert code == 0
    assert geometry(target / "P1_0001.nii.gz") == geometry(target / "P1_0000.nii.gz")


def test_prediction_reads_on_trust_only_if_that_is_said(dataset):
    from dataclasses import replace

    write(dataset / "imagesTr" / "P1_0001.nii.gz", noise(1), shift_mm=4)
    (found,) = from_folder(dataset / "imagesTr", channel_names=["t1_gd", "flair"], file_ending=".nii.gz").values()
    with pytest.raises(Fault, match="origin"):
        found.read()
    trusted = without({"P1": replace(found, trust_geometry=True)}, [], ["t1_gd", "flair"])["P1"]
    first, second = trusted.read().by_channel.values()
    assert first.GetOrigin() == second.GetOrigin() == (0, 0, 0)


@pytest.mark.parametrize("probabilities", [True, False])
def test_evaluate_takes_a_prediction_on_trust(dataset, tmp_path, caplog, probabilities):
    name = "P1_prob" if probabilities else "P1"
    voxels = lesion().astype(np.float32) if probabilities else lesion()
    write(tmp_path / "p" / f"{name}.nii.gz", voxels, shift_mm=4)
    command = ["evaluate", "-gt", str(dataset / "labelsTr"), "-p", str(tmp_path / "p"), "-o", str(tmp_path / "out")]
    assert main([*command, "--no-report"]) == 2  # nobody is left
    assert main([*command, "--no-report", TRUST]) == 0
    written = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert written["metrics"]["dice"]["mean"] == 1
    assert written["settings"]["trust_geometry"] is True
    assert f"{name}.nii.gz: origin (4, 0, 0)" in caplog.text
    write(tmp_path / "p" / f"{name}.nii.gz", np.zeros((6, 8, 7), voxels.dtype))
    assert main([*command, "--no-report", TRUST]) == 2


def test_the_files_of_one_label_are_put_together_on_trust(tmp_path, raw):
    (tmp_path / "layout.yaml").write_text(
        "channels: [t1_gd]\nlabels: {background: 0, metastasis: 1}\nimages: '{patient}/{sequence}'\n"
        "label: [{files: ['{patient}/mask_*'], map: {1: 1}, unite: true}]\n"
    )
    write(tmp_path / "in" / "P1" / "t1_gd.nii.gz", noise())
    write(tmp_path / "in" / "P1" / "mask_1.nii.gz", lesion())
    write(tmp_path / "in" / "P1" / "mask_2.nii.gz", np.roll(lesion(), 1, axis=0), shift_mm=2)
    words = ["convert", "generic", "--layout", str(tmp_path / "layout.yaml"), str(tmp_path / "in"), "-d", "1"]
    assert main([*words, "-n", "X", "--register", "never"]) == 1
    assert main([*words, "-n", "X", "--register", "never", TRUST]) == 0
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(raw / "labelsTr" / "P1.nii.gz")))
    assert [int(area.sum()) for area in label] == [0, 0, 4, 4, 0]
    (warning,) = json.loads((raw / "manifest.json").read_text())["patients"]["P1"]["warnings"]
    assert warning.startswith("label: its files' headers differ")


@pytest.mark.parametrize(
    ("options", "said"), [([], "none of 1 case can be predicted"), ([TRUST], "no fold has the file checkpoint")]
)
def test_predict_passes_on_trust_to_the_loading_of_the_model(dataset, tmp_path, capsys, options, said):
    """Every case is looked at before the model is loaded, of which only dataset.json is there."""
    write(dataset / "imagesTr" / "P1_0001.nii.gz", noise(1), shift_mm=4)
    command = ["predict", "-i", str(dataset / "imagesTr"), "-o", str(tmp_path / "out"), "-m", str(dataset)]
    assert main([*command, *options]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
