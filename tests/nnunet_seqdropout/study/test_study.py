"""The paper's experiment in miniature by its command: five arms, one report, killed and resumed."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import Host, write_case, write_dataset
from pages import Page

from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.study.steps import Steps

TINY = """
base: small
budget: {epochs: 2, slices_per_epoch: 8, largest_batch: 2}
background: null
"""
ARMS = ["DropOut", "DeepLabV3", "nnU-Net", "nnU-Net_zeros", "nnU-Net_DropOut"]


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory) -> Host:
    """Data set 1: four patients train with all sequences, E validates, and X and Y are tested, without bravo."""
    host = Host(tmp_path_factory.mktemp("hospitals"))
    folder = host.root / "raw" / "Dataset001_Mets"
    shapes = {case: (10 + i, 37, 45) for i, case in enumerate("ABCDE")}
    write_dataset(folder, shapes, splits=[{"train": ["A", "B", "C", "D"], "val": ["E"]}])
    write_case(folder, "E", shapes["E"], seed=9, absent=["bravo"])
    for seed, case in enumerate("XY", start=20):
        write_case(folder, case, (9, 37, 45), seed=seed, absent=["bravo"], split="Ts")
    (host.root / "tiny.yaml").write_text(TINY)
    return host


def study(host: Host, out: Path, *options: object) -> list[str]:
    raw = host.root / "raw" / "Dataset001_Mets"
    words = ["study", "-i", raw, "-o", out, "--design", host.root / "tiny.yaml", "-device", "cpu", *options]
    return [str(word) for word in words]


def test_a_dry_run_prints_nnunets_own_commands_and_trains_nothing(hospitals, tmp_path, capsys):
    assert main(study(hospitals, tmp_path / "out", "--dry-run")) == 0
    printed = capsys.readouterr().out
    assert printed.count("nnUNetv2_train") == 5
    assert "nnUNetv2_train 14 2d 0 -tr nnUNetTrainer_study" in printed  # on three sequences
    assert "nnUNetv2_train 15 2d 0 -tr nnUNetTrainer_study" in printed  # on all, to be given zeros
    assert printed.count("seqdropout evaluate") == 5
    assert not (tmp_path / "out" / "nnUNet_results").exists()


def test_a_dry_run_of_one_arm_shows_its_steps_alone(hospitals, tmp_path, capsys):
    assert main(study(hospitals, tmp_path / "out", "--dry-run", "--only", "DeepLabV3")) == 0
    printed = capsys.readouterr().out
    assert printed.count("nnUNetv2_train") == 1
    assert printed.count("nnUNetv2_plan_and_preprocess") == 1


def test_a_dry_run_of_two_seeds_trains_predicts_and_measures_with_each(hospitals, tmp_path, capsys):
    (hospitals.root / "seeds.yaml").write_text(TINY + "seeds: [0, 4]")
    words = study(hospitals, tmp_path / "out", "--dry-run", "--only", "DropOut")
    words[words.index("--design") + 1] = str(hospitals.root / "seeds.yaml")
    assert main(words) == 0
    lines = [
        line.removeprefix("nnUNet_n_proc_DA=0 MKL_CBWR=AUTO,STRICT ") for line in capsys.readouterr().out.splitlines()
    ]
    trained = [line.partition(" -p ")[0] for line in lines if line.startswith("nnUNetv2_train")]
    names = ["SeqDropoutTrainer_study", "SeqDropoutTrainer_study_seed4"]
    assert trained == [f"nnUNetv2_train 15 2d 0 -tr {name}" for name in names]
    commands = [" ".join(line.split()[:2]) for line in lines if line.startswith("seqdropout")]
    assert [commands.count(f"seqdropout {name}") for name in ("predict", "evaluate", "subsets")] == [4, 2, 2]
    trainers = [tmp_path / "out" / "trainers" / f"{name}.py" for name in names]
    assert [file.read_text().splitlines()[-1] for file in trainers] == ["    backbone = 'resnet18'"] * 2
    assert ["    seed = 4" in file.read_text() for file in trainers] == [False, True]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--only", "U-Net"], "Choose one of DropOut"),
        (["--small"], "base: small"),
        (["-d", "1"], "with -d, or its folder"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(hospitals, tmp_path, capsys, options, says):
    assert main(study(hospitals, tmp_path / "out", *options)) == 2
    assert says in capsys.readouterr().err


def test_trainings_are_refused_without_their_device_and_nothing_is_said_of_predicting(
    hospitals, tmp_path, capsys, caplog, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    words = study(hospitals, tmp_path / "out")
    words[words.index("cpu")] = "cuda"
    assert main(words) == 2
    assert "cuda is not available, and 5 models still to be trained" in capsys.readouterr().err
    assert "predicting" not in caplog.text


@pytest.mark.parametrize("left", ["predict", "evaluate"])
def test_a_study_warns_of_the_cpu_where_something_is_left_to_predict(hospitals, tmp_path, caplog, monkeypatch, left):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(Steps, "not_done", lambda self, stage, arm=None: [stage] if stage == left else [])
    monkeypatch.setattr(Steps, "run", lambda self, only: None)
    words = study(hospitals, tmp_path / "out", "--only", "DropOut")
    words[words.index("cpu")] = "cuda"
    assert main(words) == 0
    assert ("cuda is not available: predicting on the CPU." in caplog.text) == (left == "predict")


def run(host: Host, out: Path, *options: object, seconds: float | None = None) -> None:
    """The command in a process group of its own, killed as a whole after so many seconds if it is still running."""
    command = [str(Path(sys.executable).parent / "seqdropout"), *study(host, out, *options)]
    with (out.parent / f"{out.name}.log").open("a") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **host.environment}, start_new_session=True, stdout=log, stderr=log
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return
    assert code == 0, (out.parent / f"{out.name}.log").read_text() + (out / "study.log").read_text()[-3000:]


@pytest.mark.slow
def test_a_study_killed_at_three_random_moments_ends_with_the_same_tables(hospitals, tmp_path):
    run(hospitals, tmp_path / "undisturbed")
    whole = sum(step["seconds"] for step in state(tmp_path / "undisturbed").values())
    moments = [random.Random(11).uniform(0.05, 0.5) * whole for _ in range(3)]
    for seconds in moments:
        run(hospitals, tmp_path / "killed", seconds=seconds)
    run(hospitals, tmp_path / "killed")
    for name in ("table.csv", "comparisons.csv", "subsets/DropOut/test/subsets.csv"):
        tables = [pd.read_csv(tmp_path / kind / name) for kind in ("undisturbed", "killed")]
        pd.testing.assert_frame_equal(*tables)
    for out in (tmp_path / "undisturbed", tmp_path / "killed"):
        page = Page(out / "report.html")
        assert [row[0] for row in page.tables[0][2:]] == ARMS  # below the head and the question
    before = (tmp_path / "killed" / "state.json").read_bytes()
    run(hospitals, tmp_path / "killed")
    assert (tmp_path / "killed" / "state.json").read_bytes() == before


TWO_SEEDS = """
reference: DropOut
arms:
  DropOut: {trainer: SeqDropoutPlusTrainer, sequences: all, seeds: [0, 4]}
  nnU-Net: {trainer: nnUNetTrainer, sequences: available}
primary: {metric: dice, margin: 0.9}
"""


@pytest.mark.slow
def test_a_study_of_two_seeds_is_judged_by_its_primary_endpoint(hospitals, tmp_path):
    """Patient by patient, the mean of the seeds; the default threshold, with the paper's beside it."""
    (hospitals.root / "two.yaml").write_text(TINY + TWO_SEEDS)
    run(hospitals, tmp_path / "out", "--design", hospitals.root / "two.yaml")
    (row,) = pd.read_csv(tmp_path / "out" / "primary.csv").to_dict("records")
    runs = {name: tmp_path / "out" / "evaluations" / "as_acquired" / "metastasis" / name for name in RUNS}
    dice = {name: pd.read_csv(folder / "cases.csv").set_index("case")["dice"] for name, folder in runs.items()}
    reference = (dice["DropOut"] + dice["DropOut_seed4"]) / 2
    assert row["mean_reference"] == pytest.approx(reference.mean())
    assert row["difference"] == pytest.approx((reference - dice["nnU-Net"]).mean())
    assert (row["against"], row["n"], row["margin"]) == ("nnU-Net", 2, 0.9)
    assert row["non_inferior"] == (row["lowest"] > -0.9)
    page = Page(tmp_path / "out" / "report.html")
    assert "to nnU-Net with the margin of 0.900" in page.text
    assert [r[:2] for r in page.table("Threshold by")[1:]] == [
        ["Youden index, the paper's", n] for n in ("DropOut", "nnU-Net")
    ]
    for folder in runs.values():
        assert json.loads((folder / "thresholds.json").read_text())["method"] == "dice"


RUNS = ("DropOut", "DropOut_seed4", "nnU-Net")


def state(out: Path) -> dict:
    return json.loads((out / "state.json").read_text())["steps"]
