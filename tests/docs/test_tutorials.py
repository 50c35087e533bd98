"""The shell blocks of the tutorials run as they stand, on a phantom of fewer voxels and a training of three batches."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import SimpleITK as sitk
from conftest import PROJECT, Host
from example_dicom import write_image

TRAINER, SHORT = "SeqDropoutPlusTrainer_demo", "TinyPlusSeqDropout"
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(tutorial: str) -> str:
    return "".join(BLOCK.findall((PROJECT / "docs" / "tutorials" / f"{tutorial}.md").read_text(encoding="utf-8")))


def export(patient: Path, folder: Path) -> None:
    """The series of a patient as an archive hands them over, named as scanners do."""
    for number, (name, description) in enumerate({"t1_gd": "AX T1 CUBE POST GD", "flair": "AX FLAIR"}.items(), start=1):
        write_image(folder, sitk.ReadImage(str(patient / f"{name}.nii.gz")), description, number=number)


@pytest.mark.slow
def test_the_tutorials_run_from_the_first_block_to_the_last(tmp_path):
    host, script = Host(tmp_path / "host"), blocks("nifti")
    assert script.count(f"TRAINER={TRAINER}\n") == 1
    first, rest = script.replace(TRAINER, SHORT).split("\n", 1)
    # nnU-Net's folders and our trainers are set by the tutorial itself
    ours = {name: host.environment[name] for name in ("nnUNet_def_n_proc", "nnUNet_n_proc_DA")}
    ours["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ours["nnUNet_extTrainer"] = str(host.root / "own_trainers")
    environment = {**os.environ, **ours}

    def run(commands: str) -> None:
        bash = ["bash", "-eux", "-o", "pipefail", "-c", commands]
        done = subprocess.run(bash, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    run(f"{first} --size 64")
    export(tmp_path / "data" / "hospital_b" / "test" / "Mets_009", tmp_path / "export")
    run(rest + blocks("dicom"))
    assert json.loads((tmp_path / "predictions" / "Mets_010.json").read_text())["pattern"] == "t1_gd+flair"
    assert json.loads((tmp_path / "from_dicom" / "study_1.json").read_text())["pattern"] == "t1_gd+flair"
    assert [*pd.read_csv(tmp_path / "evaluation" / "cases.csv")["case"]] == ["Mets_009", "Mets_010"]
    assert (tmp_path / "evaluation" / "report.html").is_file()
    measured = pd.read_csv(tmp_path / "subsets" / "subsets.csv")["pattern"]
    assert {*measured} == {"t1_gd", "t1_gd+flair", "t1_pre+flair"}
