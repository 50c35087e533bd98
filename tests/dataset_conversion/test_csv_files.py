"""No cell of our tables is a formula, and every text comes back as it was."""

import csv

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT
from example_folders import evaluate, rows, write_folders
from hypothesis import given
from hypothesis import strategies as st

from dataset_conversion.files.texts.csv_files import read_csv, write_csv
from evaluation.tables.results import read_evaluation

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@pytest.mark.parametrize("name", ['=HYPERLINK("http://x")', "+1", "-x", "@x", "'=x", "''+", "'x", "P1", "NA", "null"])
def test_a_name_comes_back_and_is_no_formula(tmp_path, name):
    table = pd.DataFrame({"case": [name, "P"], "dice": [-0.5, np.nan], "n": [1, 2]})
    write_csv(table, tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as lines:
        written = list(csv.reader(lines))
    assert not written[1][0].startswith(FORMULA)
    assert written[1][1:] == ["-0.5", "1"]
    pd.testing.assert_frame_equal(read_csv(tmp_path / "x.csv", text=["case"], remedy=""), table)


@given(st.lists(st.text(alphabet="'=+-@\t ,\"aü", min_size=1), min_size=1, max_size=5))
def test_every_text_comes_back(tmp_path_factory, names):
    file = tmp_path_factory.mktemp("x") / "x.csv"
    write_csv(pd.DataFrame({"case": names, "n": 1}), file)
    assert list(read_csv(file, text=["case"], remedy="")["case"]) == names


def test_a_patient_called_like_a_formula_is_neutral_in_an_evaluation_and_the_same_when_it_is_read(tmp_path):
    folders = write_folders(tmp_path)
    for folder in ("test_gt", "test_p"):
        for file in (folders / folder).glob("P0.*"):
            file.rename(file.with_name(file.name.replace("P0", "=1+2")))
    assert evaluate(folders) == 0
    for table in ("cases", "lesions"):
        assert {row["case"] for row in rows(folders / "out" / f"{table}.csv")} == {"'=1+2", "P1", "P2"}
    evaluation = read_evaluation(folders / "out")
    assert set(evaluation.cases["case"]) == set(evaluation.lesions["case"]) == {"=1+2", "P1", "P2"}
    assert set(evaluation.summary["cases"]) == {"=1+2", "P1", "P2"}


def test_no_table_is_written_another_way():
    rooms = [PROJECT / room for room in ("dataset_conversion", "evaluation", "nnunet_seqdropout", "trainers")]
    files = [file for room in rooms for file in room.rglob("*.py") if file.name != "csv_files.py"]
    for word in (".to_csv(", "csv.writer(", "DictWriter("):
        assert [file.name for file in files if word in file.read_text()] == []
