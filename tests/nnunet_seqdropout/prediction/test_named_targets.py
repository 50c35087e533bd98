"""``predict`` and ``subsets`` take the label by the name that the model's dataset.json gives it."""

import json

import pandas as pd
import pytest
from conftest import write_case
from predict_folders import predict

from nnunet_seqdropout.cli.command import main


@pytest.fixture
def images(tmp_path):
    write_case(tmp_path, "P", (9, 40, 38), seed=5)
    return tmp_path / "imagesTr"


def test_predict_writes_the_same_probabilities_for_name_and_number(make_model, images, tmp_path):
    model = make_model("TinySeqDropout")
    for label in ("lesion", "1"):
        assert predict(images, tmp_path / label, model, "--save_probabilities", "--label", label) == 0
    named, numbered = ((tmp_path / label / "P_prob.nii.gz").read_bytes() for label in ("lesion", "1"))
    assert named == numbered
    assert json.loads((tmp_path / "lesion" / "P.json").read_text())["target"] == "1"


def test_predict_answers_a_misspelt_label(make_model, images, tmp_path, capsys):
    assert predict(images, tmp_path / "out", make_model("TinySeqDropout"), "--label", "lesions") == 2
    assert "no label lesions. Did you mean lesion?" in capsys.readouterr().err


def test_subsets_measures_the_same_for_name_and_number(make_model, images, tmp_path):
    where = ("-i", images, "-gt", tmp_path / "labelsTr", "-m", make_model("TinySeqDropout"), "-f", 0, "-device", "cpu")
    how = ("--disable_tta", "--no-report", "--patterns", "flair")
    for label in ("lesion", "1"):
        assert main([str(word) for word in ("subsets", *where, *how, "--label", label, "-o", tmp_path / label)]) == 0
    tables = [pd.read_csv(tmp_path / label / "subsets.csv") for label in ("lesion", "1")]
    pd.testing.assert_frame_equal(*tables)
