"""``--label`` and ``--region`` take names of dataset.json, with the results of their numbers."""

import json

import pytest
from example_folders import evaluate, write_folders

from nnunet_seqdropout.cli.command import main

LABELS = {"background": 0, "tumour": 1, "oedema": 2}


def describe(folder, labels=LABELS):
    content = {"channel_names": {"0": "t1_gd"}, "file_ending": ".nii.gz", "labels": labels}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("beside", ["test_p", "test_gt", "."])
def test_a_name_gives_what_its_number_gives(tmp_path, beside):
    folders = write_folders(tmp_path)
    describe(folders / beside)
    assert evaluate(folders, "--label", "tumour", out="named") == evaluate(folders, "--label", "1", out="numbered") == 0
    for table in ("cases.csv", "lesions.csv", "froc.csv"):
        assert (folders / "named" / table).read_bytes() == (folders / "numbered" / table).read_bytes()
    settings = json.loads((folders / "named" / "summary.json").read_text())["settings"]
    assert (settings["target"], settings["target_name"]) == ("1", "tumour")


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        (LABELS, ("--region", "tumour,oedema")),
        (LABELS, ("--region", "oedema, 1")),
        ({"background": 0, "whole": [1, 2], "oedema": 2, "regions_class_order": [1, 2]}, ("--label", "whole")),
    ],
)
def test_a_region_is_named_by_its_labels_or_by_its_own_name(tmp_path, labels, options):
    folders = write_folders(tmp_path)
    for file in folders.glob("*_p/*.npz"):
        file.unlink()
    describe(folders / "test_p", {name: value for name, value in labels.items() if name != "regions_class_order"})
    assert evaluate(folders, *options) == 0
    assert json.loads((folders / "out" / "summary.json").read_text())["settings"]["target"] == "1,2"


@pytest.mark.parametrize(
    ("labels", "word", "said"),
    [
        (None, "tumour", "no dataset.json says which label tumour is. Give the label's number"),
        (LABELS, "tumor", "the data set has no label tumor. Did you mean tumour? Choose among"),
        (LABELS, "background", "the data set has no label background. Choose among its labels and regions: tumour (1)"),
        (LABELS, "0", "label 0 cannot be evaluated"),
        (LABELS, "7", "the data set has no label 7"),
    ],
)
def test_what_no_label_is_called_is_refused_before_the_first_case(tmp_path, capsys, labels, word, said):
    folders = write_folders(tmp_path)
    if labels is not None:
        describe(folders / "test_p", labels)
    assert evaluate(folders, "--label", word) == 2
    assert said in capsys.readouterr().err
    assert not (folders / "out").exists()


@pytest.mark.parametrize(("labels", "is_said"), [(LABELS, True), ({"background": 0, "tumour": 1}, False)])
def test_which_of_several_labels_is_measured_is_said(tmp_path, capsys, labels, is_said):
    folders = write_folders(tmp_path)
    describe(folders / "test_p", labels)
    assert evaluate(folders) == 0
    said = "Target: tumour, of tumour, oedema; choose with --label or --region" in capsys.readouterr().out
    assert said == is_said


def test_calibrate_takes_the_name_and_writes_the_number(tmp_path, capsys):
    folders = write_folders(tmp_path)
    words = ["calibrate", "-gt", folders / "val_gt", "-p", folders / "val_p", "-o", folders / "t.json", "--force"]
    assert main([str(word) for word in [*words, "--label", "tumour"]]) == 2
    assert "no dataset.json" in capsys.readouterr().err
    describe(folders / "val_p")
    assert main([str(word) for word in [*words, "--label", "tumour"]]) == 0
    assert json.loads((folders / "t.json").read_text())["target"] == "1"
