"""Mutated texts, archives and checkpoints end no command unexpectedly, run nothing, hang nothing and take no memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mutated_texts
import pytest

import nnunet_seqdropout


def require_none_wrong(*words: str) -> None:
    words = (sys.executable, mutated_texts.__file__, *words)
    # before the folders of tests, which have the names of packages
    environment = {**os.environ, "PYTHONPATH": str(Path(nnunet_seqdropout.__file__).parents[1])}
    process = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    found = json.loads(process.stdout[process.stdout.rindex('{\n "counts"') :])
    assert found["wrong"] == {}
    assert found["grown_bytes"] < mutated_texts.MOST_GROWTH
    codes = {name[-1] for name in found["counts"]}
    assert codes == {"0", "1", "2"}


def test_sixty_mutated_files_end_in_words():
    require_none_wrong("60", "1", "--quick")


@pytest.mark.slow
def test_so_do_five_thousand():
    require_none_wrong("5000", "0")
