"""The script of ``completion`` completes commands, options, choices and files, without a Python of its own."""

import shlex
import subprocess

import pytest

from nnunet_seqdropout.cli.command import main

COMPLETE = """
{script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
PATH=/nowhere
_shtab_seqdropout
echo "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["ev"], {"evaluate"}),
        (["model", "inst"], {"install"}),
        (["predict", "--thresh"], {"--threshold", "--threshold-file"}),
        (["predict", "-device", "cp"], {"cpu"}),
        (["check", "-i", "ima"], {"imagesTr"}),
    ],
)
def test_bash_completes(words, completed, tmp_path, capsys):
    (tmp_path / "imagesTr").mkdir()
    assert main(["completion", "bash"]) == 0
    script = COMPLETE.format(script=capsys.readouterr().out, words=shlex.join(["seqdropout", *words]))
    shell = subprocess.run(["/bin/bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(shell.stdout.split()) == completed


@pytest.mark.parametrize(("shell", "begin"), [("zsh", "#compdef seqdropout"), ("tcsh", "# AUTOMATICALLY")])
def test_other_shells_have_a_script_too(shell, begin, capsys):
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out.startswith(begin)
