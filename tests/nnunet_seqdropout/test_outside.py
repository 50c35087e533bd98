"""No name makes a command write outside of its output: each is refused, and all around is as before."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from conftest import write_case, write_dataset
from example_folders import save

from nnunet_seqdropout.cli.command import main

DESIGN = """
reference: A
arms: {A: {trainer: SeqDropoutTrainer, sequences: all}, B: {trainer: nnUNetTrainer, sequences: available}}
budget: {epochs: 2, slices_per_epoch: 30}
targets: {lesion: [1]}
threshold: argmax
"""


def run(*words: object) -> int:
    return main([str(word) for word in words])


def around(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*")}


@pytest.fixture
def hospital(tmp_path, monkeypatch) -> Path:
    """One patient P0 of Hospital A's layout, and an empty nnUNet_raw."""
    (tmp_path / "a" / "raw").mkdir(parents=True)
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "a" / "raw"))
    patient(tmp_path / "in" / "P0")
    return tmp_path / "in"


def patient(folder: Path) -> None:
    label = np.zeros((8, 12, 10), np.uint8)
    label[2:4, 3:6, 3:6] = 1
    save(label, folder / "seg.nii.gz")
    for seed, name in enumerate(("bravo", "t1_pre", "t1_gd", "flair")):
        noise = np.random.default_rng(seed).integers(1, 500, label.shape).astype(np.int16)
        save(noise, folder / f"{name}.nii.gz")


def convert(source: Path, *options: object) -> int:
    return run("convert", "hospital_a", source, "--register", "never", *options)


@pytest.mark.parametrize("name", ["../../x", "a/b", "..\\x", "", "aux", "n\nm"])
def test_convert_refuses_the_name_of_a_data_set(hospital, tmp_path, capsys, name):
    before = around(tmp_path)
    assert convert(hospital, "-d", 1, "-n", name) == 2
    assert f"the data set {name!r} cannot be the name of a file" in capsys.readouterr().err
    assert around(tmp_path) == before


@pytest.mark.parametrize("number", [-1, 1000])
def test_convert_refuses_a_number_that_nnunet_cannot_read(hospital, tmp_path, capsys, number):
    before = around(tmp_path)
    assert convert(hospital, "-d", number, "-n", "X") == 2
    assert f"the number of the data set is {number}. Give a number from 0 to 999 with -d." in capsys.readouterr().err
    assert around(tmp_path) == before


def test_convert_leaves_out_the_patient_whose_folder_has_no_usable_name(hospital, tmp_path, capsys):
    """The others are converted, one with a blank and an umlaut among them."""
    for name in ("-P1", "con", "Jane Müller"):
        patient(hospital / name)
    assert convert(hospital, "-d", 1, "-n", "X") == 1
    folder = tmp_path / "a" / "raw" / "Dataset001_X"
    outcomes = json.loads((folder / "summary.json").read_text())["cases"]
    assert {case: outcome["status"] for case, outcome in outcomes.items()} == {
        "-P1": "failed",
        "con": "failed",
        "Jane Müller": "ok",
        "P0": "ok",
    }
    assert "begins with -" in outcomes["-P1"]["problem"]
    assert "on Windows this is a device" in outcomes["con"]["problem"]
    assert len(list((folder / "imagesTr").iterdir())) == 8


def test_convert_refuses_channels_of_a_layout_and_cases_of_a_manifest(hospital, tmp_path, capsys):
    layout = tmp_path / "layout.yaml"
    layout.write_text("channels: [../x]\nlabels: {background: 0}\nimages: '{patient}/{sequence}'\n")
    assert run("convert", "generic", hospital, "--layout", layout, "-d", 1, "-n", "X") == 2
    assert "the channel '../x' cannot be the name of a file" in capsys.readouterr().err
    assert convert(hospital, "-d", 1, "-n", "X") == 0
    manifest = tmp_path / "a" / "raw" / "Dataset001_X" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["patients"]["../../x"] = content["patients"]["P0"]
    manifest.write_text(json.dumps(content))
    assert convert(hospital, "-d", 1, "-n", "X") == 2
    assert f"{manifest}: the case '../../x' cannot be the name of a file" in capsys.readouterr().err


def test_predict_refuses_the_name_of_a_case_before_the_model_is_loaded(tmp_path, capsys):
    """There is no model beside its dataset.json."""
    model, image = tmp_path / "a" / "model", tmp_path / "in" / "P_0000.nii.gz"
    write_dataset(tmp_path / "raw", {"P": (4, 6, 5)})
    model.mkdir(parents=True)
    os.link(tmp_path / "raw" / "dataset.json", model / "dataset.json")
    before = around(tmp_path)
    image = tmp_path / "raw" / "imagesTr" / "P_0000.nii.gz"
    options = ("--image", f"bravo={image}", "--case", "../x", "-m", model, "--argmax")
    assert run("predict", *options, "-o", tmp_path / "a" / "out") == 2
    assert "the case '../x' cannot be the name of a file: it leads into another folder" in capsys.readouterr().err
    assert around(tmp_path) == before


def test_fill_and_check_name_the_case_and_go_on(tmp_path, capsys):
    write_dataset(tmp_path / "raw", {"P": (4, 6, 5)})
    write_case(tmp_path / "raw", "-q", (4, 6, 5))
    images, out = tmp_path / "raw" / "imagesTr", tmp_path / "out"
    (tmp_path / "model").mkdir()
    os.link(tmp_path / "raw" / "dataset.json", tmp_path / "model" / "dataset.json")
    assert run("fill", "-i", images, "-o", out, "-m", tmp_path / "model") == 1
    assert sorted(file.name[:2] for file in out.glob("*_0000.nii.gz")) == ["P_"]
    assert run("check", "-i", tmp_path / "raw") == 1
    printed = capsys.readouterr()
    assert printed.out.count("-q: the case '-q' cannot be the name of a file") == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("A", "../A"), "invalid arms: ../A, B"),
        (("A:", "con:"), "the arm 'con' cannot be the name of a file"),
        (("threshold: argmax", "threshold: argmax\nplans: ../../x"), "the name of the plans '../../x' cannot"),
        (("threshold: argmax", "threshold: argmax\nconfiguration: ../x"), "the configuration '../x' cannot"),
    ],
)
def test_study_refuses_names_of_a_design(tmp_path, capsys, change, problem):
    write_dataset(tmp_path / "raw", dict.fromkeys("ABCDE", (4, 8, 8)))
    design = DESIGN.replace("A:", "con:").replace("reference: A", "reference: con") if "con:" in change else DESIGN
    design = design.replace("A", "../A") if change[0] == "A" else design.replace(*change)
    (tmp_path / "design.yaml").write_text(design.replace("../ArgMax", "argmax"))
    before = around(tmp_path)
    words = ("-i", tmp_path / "raw", "--design", tmp_path / "design.yaml", "-device", "cpu", "--dry-run")
    assert run("study", *words, "-o", tmp_path / "a" / "out") == 2
    assert problem in capsys.readouterr().err
    assert around(tmp_path) == before


def test_study_refuses_channels_that_would_lead_out_of_its_folder(tmp_path, capsys):
    raw = tmp_path / "raw"
    write_dataset(raw, dict.fromkeys("ABCDE", (4, 8, 8)), sequences=("flair",))
    write_case(raw, "T", (4, 8, 8), sequences=("flair",), seed=9, split="Ts")
    content = json.loads((raw / "dataset.json").read_text())
    (raw / "dataset.json").write_text(json.dumps({**content, "channel_names": {"0": "/../../../../x"}}))
    (tmp_path / "design.yaml").write_text(DESIGN)
    before = around(tmp_path)
    words = ("-i", raw, "--design", tmp_path / "design.yaml", "-device", "cpu", "--dry-run")
    assert run("study", *words, "-o", tmp_path / "a" / "out") == 2
    assert "the data set of the channels '/../../../../x' cannot be the name of a file" in capsys.readouterr().err
    assert around(tmp_path) == before


@pytest.mark.parametrize("words", [("evaluate", "-gt", "g", "-p", "p", "-o", ""), ("phantom", "-o", " ")])
def test_an_empty_output_is_not_the_current_folder(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 2
    assert "argument -o: the path is empty; give . for the current folder" in capsys.readouterr().err


def test_a_state_file_from_elsewhere_removes_nothing_outside(tmp_path):
    from nnunet_seqdropout.study.state import Record, State
    from nnunet_seqdropout.study.steps import Step, Steps

    precious = tmp_path / "precious"
    precious.write_text("x")
    study = tmp_path / "study"
    state = State(study)
    step = Step("plan/x", [["true"]], outputs=[])
    steps = Steps(state, [step], {})
    done = Record(steps.fingerprint(step), "another", outputs={"../precious": "0", str(precious): "0"})
    state.write("plan/x", done)
    steps.run()
    assert precious.read_text() == "x"
