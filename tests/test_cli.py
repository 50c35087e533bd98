"""The command itself: its help, its exit codes, and ``env``."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_seqdropout.cli import main
from nnunet_seqdropout.folders import environment

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


@pytest.mark.parametrize(
    "command",
    [[], ["env"], ["fill"], ["convert"], ["check"], ["predict"], ["evaluate"], ["compare"], ["dicom"], ["phantom"]],
)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    assert "usage: seqdropout" in capsys.readouterr().out


def test_help_comes_at_once_since_nothing_heavy_is_loaded():
    heavy = {"torch", "nnunetv2", "numpy", "pandas", "scipy", "SimpleITK", "nibabel", "matplotlib", "joblib"}
    check = "import sys; from nnunet_seqdropout.cli import _parser; _parser(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout.split()
    assert "nnunet_seqdropout" in loaded
    assert not heavy & set(loaded)


@pytest.mark.parametrize("arguments", [[], ["no_such"], ["fill", "-i", "x", "-o", "y"]])
def test_wrong_arguments_end_with_two(arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
