"""The notebook of the tutorials runs from its first cell to its last, with a training of three batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import PROJECT, Host

NOTEBOOK = PROJECT / "docs" / "tutorials" / "python.ipynb"
TRAINER, SHORT = "SeqDropoutPlusTrainer_demo", "TinyPlusSeqDropout"


def cells() -> list[dict]:
    return [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_python_and_keeps_no_outputs():
    for cell in cells():
        compile("".join(cell["source"]), str(NOTEBOOK), "exec")
        assert cell["outputs"] == []
    assert "".join(cells()[0]["source"]).count(f'TRAINER = "{TRAINER}"\n') == 1


@pytest.mark.slow
def test_the_notebook_runs_from_the_first_cell_to_the_last(tmp_path):
    host = Host(tmp_path / "host")
    script = "\n".join("".join(cell["source"]) for cell in cells()).replace(TRAINER, SHORT)
    ours = {name: host.environment[name] for name in ("nnUNet_def_n_proc", "nnUNet_n_proc_DA")}
    ours["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ours |= {"nnUNet_extTrainer": str(host.root / "own_trainers"), "MPLBACKEND": "agg"}
    (tmp_path / "notebook.py").write_text(script, encoding="utf-8")
    words = [sys.executable, "notebook.py"]
    environment = {**os.environ, **ours}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    work = tmp_path / "from_python"
    assert (work / "slice.png").is_file()
    assert len(pd.read_csv(work / "evaluation" / "cases.csv")) == 1
