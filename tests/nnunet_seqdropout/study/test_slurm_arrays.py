"""A study as arrays of Slurm: the steps of its printed script run as docs/howto/clusters.md says, without Slurm."""

import os
import re
import subprocess
from pathlib import Path

from conftest import PROJECT

from nnunet_seqdropout.study.state import State
from nnunet_seqdropout.study.steps import Step, Steps

BLOCK = re.compile(r"```bash\n(# step\.sh .*?)```", re.DOTALL)


def writing(name: str, folder: Path, *lines: str) -> Step:
    """A step whose commands append each line to its own file, if the variable of the study is set."""
    file = folder / name.replace("/", "_").replace(" ", "-")
    commands = [["sh", "-c", f'test -n "$STUDY" && echo "{line} $COLOUR" >> {file}'] for line in lines]
    return Step(name, commands, [file], environment={"COLOUR": "dark green"})


def test_an_array_for_each_stage_runs_every_step_once_and_its_commands_in_order(tmp_path):
    steps = [
        writing("plan/one", tmp_path, "a"),
        writing("train/one", tmp_path, "b"),
        writing("train/two words", tmp_path, "c", "d"),
        writing("predict/one", tmp_path, "e"),
    ]
    script, task = tmp_path / "study.sh", tmp_path / "step.sh"
    script.write_text(Steps(State(tmp_path / "study"), steps, {"STUDY": "a folder"}).shell())
    (block,) = BLOCK.findall((PROJECT / "docs" / "howto" / "clusters.md").read_text())
    task.write_text(block)
    for stage, n_steps in (("plan", 1), ("train", 2), ("predict", 1)):
        array = [
            subprocess.Popen(["bash", task, script, stage], env={**os.environ, "SLURM_ARRAY_TASK_ID": str(number)})
            for number in range(1, n_steps + 1)
        ]
        assert [each.wait() for each in array] == [0] * n_steps
    written = {file.name: file.read_text().split(" dark green\n") for file in tmp_path.glob("*_*")}
    assert written == {
        "plan_one": ["a", ""],
        "train_one": ["b", ""],
        "train_two-words": ["c", "d", ""],
        "predict_one": ["e", ""],
    }
