"""The command itself: its help, its exit codes, and ``env``."""

import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dataset_conversion.outcomes import Outcome
from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.cli.process.exit_codes import report
from nnunet_seqdropout.models.nnunet_folders import environment

COMMAND = Path(sys.executable).parent / "seqdropout"


def test_env_prints_what_a_shell_can_evaluate(tmp_path):
    root = tmp_path / "it's here"
    script = f'eval "$({shlex.quote(str(COMMAND))} env --root {shlex.quote(str(root))})"; env'
    clean = {"PATH": os.environ["PATH"]}
    lines = subprocess.run(["bash", "-c", script], env=clean, capture_output=True, text=True, check=True).stdout
    variables = dict(line.split("=", 1) for line in lines.splitlines() if line.startswith("nnUNet_"))
    assert Path(variables.pop("nnUNet_extTrainer"), "SeqDropoutTrainer.py").is_file()
    assert variables == {f"nnUNet_{kind}": str(root / f"nnUNet_{kind}") for kind in ("raw", "preprocessed", "results")}


def test_env_keeps_the_trainers_of_others_and_adds_ours_once(monkeypatch):
    ours = environment()["nnUNet_extTrainer"].split(os.pathsep)[0]
    monkeypatch.setenv("nnUNet_extTrainer", os.pathsep.join(["/theirs", ours]))
    assert environment()["nnUNet_extTrainer"] == os.pathsep.join([ours, "/theirs"])


COMMANDS = [
    "completion",
    "env",
    "model",
    "phantom",
    "convert",
    "check",
    "fill",
    "predict",
    "calibrate",
    "evaluate",
    "compare",
    "subsets",
    "study",
    "dicom",
]


def test_no_command_is_forgotten_here(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    # the list below the usage: a command, then what it does
    listed = re.findall(r"^    (\w+)(?: |$)", printed, flags=re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    assert "usage: seqdropout" in capsys.readouterr().out


def test_help_comes_at_once_since_nothing_heavy_is_loaded():
    heavy = {"torch", "nnunetv2", "numpy", "pandas", "scipy", "SimpleITK", "nibabel", "matplotlib", "joblib"}
    check = "import sys; from nnunet_seqdropout.cli.command import build_parser; build_parser(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout.split()
    assert "nnunet_seqdropout" in loaded
    assert not heavy & set(loaded)


def test_predicting_loads_no_tables_of_an_evaluation_and_no_figures():
    needed = "nnunet_seqdropout.prediction.folder, nnunet_seqdropout.prediction.page, nnunet_seqdropout.training"
    check = f"import sys, nnunet_seqdropout.cli.command, {needed}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout.split()
    assert "evaluation.metrics.lesion.lesions" in loaded
    assert not [name for name in loaded if name.startswith(("evaluation.tables", "evaluation.figures"))]


def test_patients_done_before_count_as_done_and_are_named(tmp_path, capsys):
    outcomes = {"P1": Outcome("ok"), "P2": Outcome("skipped"), "P3": Outcome("failed", "x", "y")}
    assert report(outcomes, Path("out")) == 1
    assert capsys.readouterr().out == "out: 2 of 3 patients, 1 of them done before\n"
    assert report({"P1": Outcome("ok")}, Path("out")) == 0
    assert capsys.readouterr().out == "out: 1 of 1 patient\n"


def test_a_command_seldom_searches_its_packages_for_garbage_and_not_at_its_end():
    at_end = "atexit.register(lambda: print(gc.get_threshold()[2], gc.get_freeze_count()))"
    check = f"import atexit, gc, sys; {at_end}; from nnunet_seqdropout.cli.command import main; main({{}})"
    by_itself, in_another = (
        subprocess.run([sys.executable, "-c", check.format(words), "env"], capture_output=True, text=True, check=True)
        for words in ("", "['env']")
    )
    threshold, n_frozen = map(int, by_itself.stdout.splitlines()[-1].split())
    assert n_frozen > 1000
    if sys.version_info < (3, 14):  # later ones have no third threshold
        assert threshold == 100
    assert in_another.stdout.splitlines()[-1].split()[1] == "0"


@pytest.mark.parametrize("arguments", [[], ["no_such"], ["fill", "-i", "x", "-o", "y"]])
def test_wrong_arguments_end_with_two(arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


@pytest.fixture(scope="module")
def run_by_themselves(tmp_path_factory) -> dict[str, subprocess.CompletedProcess]:
    """What each command says in a process of its own: on what the ones before it wrote."""
    work = tmp_path_factory.mktemp("cli")
    phantom, raw = work / "phantom", work / "raw" / "Dataset007_Mets"
    a = work / "a"
    each_on_the_last = {
        "env": [],
        "phantom": ["-o", phantom, "--train", 0, "--val", 1, "--test", 0, "--size", 24],
        "convert": ["hospital_b", phantom / "hospital_b", "-d", 7, "-n", "Mets", "--register", "never"],
        "check": ["-i", raw],
        "fill": ["-i", raw / "imagesTr", "-o", work / "filled", "-d", 7],
        "evaluate": ["-gt", raw / "labelsTr", "-p", raw / "labelsTr", "-o", a, "--no-report", "--name", "a"],
        "compare": [a, a, "-o", work / "compared"],
        "calibrate": ["-gt", raw / "labelsTr", "-p", work / "nowhere", "-o", work / "thresholds.json"],
    }
    each_on_nothing = {
        "predict": ["-i", raw / "imagesTr", "-o", work / "out", "-m", work / "nowhere"],
        "subsets": ["-i", raw / "imagesTr", "-gt", raw / "labelsTr", "-o", work / "out", "-m", work / "nowhere"],
        "study": ["-i", work / "nowhere", "-o", work / "study"],
        "dicom": [work / "nowhere", "-o", work / "series", "--key", work / "key"],
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("nnUNet_")}
    environment["nnUNet_raw"] = str(work / "raw")

    def run_in_turn(calls: dict[str, list]) -> dict[str, subprocess.CompletedProcess]:
        return {
            name: subprocess.run(
                [COMMAND, name, *map(str, words)], env=environment, capture_output=True, text=True, check=False
            )
            for name, words in calls.items()
        }

    with ThreadPoolExecutor() as both:
        first, second = both.map(run_in_turn, (each_on_the_last, each_on_nothing))
    return {**first, **second}


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("env", 0, "export nnUNet_extTrainer="),
        ("phantom", 0, ""),
        ("convert", 0, "1 of 1 case;"),
        ("check", 0, "none with faults"),
        ("fill", 0, " done: "),
        ("evaluate", 0, " found, "),
        ("compare", 2, "both models are called a"),
        ("calibrate", 2, "nowhere is not a folder"),
        ("predict", 2, "no model folder"),
        ("subsets", 2, "no model folder"),
        ("study", 2, "not a raw data set"),
        ("dicom", 2, "nowhere"),
    ],
)
def test_every_command_runs_in_a_process_of_its_own(run_by_themselves, command, code, said):
    process = run_by_themselves[command]
    printed = process.stdout + process.stderr
    assert process.returncode == code, printed
    assert said in printed
    assert "Traceback" not in printed
