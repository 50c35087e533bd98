"""A label or region is called by its name in dataset.json, and by its number where that says nothing."""

import json

import pytest
from example_folders import evaluate, write_folders

from dataset_conversion.files.texts.dataset_json import Description
from evaluation.report.target import target_in_full, target_name

LABELS = {"background": 0, "necrosis": 1, "oedema": 2, "enhancing": 3}
REGIONS = {"background": 0, "whole tumour": [1, 2, 3], "core": [1, 3], "enhancing": [3]}


@pytest.mark.parametrize(
    ("labels", "values", "name"),
    [
        (LABELS, (2,), "oedema"),
        (LABELS, (3, 1), "necrosis + enhancing"),
        (LABELS, (1, 4), "necrosis + label 4"),
        (REGIONS, (3, 1), "core"),
        (REGIONS, (3,), "enhancing"),
        (REGIONS, (1,), "label 1"),
        ({}, (1,), "label 1"),
    ],
)
def test_the_name_is_that_of_the_whole_or_else_of_each_label(labels, values, name):
    assert Description((), "", labels).name_of(values) == name


@pytest.mark.parametrize(
    ("settings", "name", "in_full"),
    [
        ({"target": "1", "target_name": "metastasis"}, "metastasis", "metastasis (label 1)"),
        ({"target": "1,3", "target_name": "core"}, "core", "core (labels 1, 3)"),
        ({"target": "1"}, "label 1", "label 1"),
        ({"target": "1", "target_name": "label 1"}, "label 1", "label 1"),
    ],
)
def test_the_report_gives_name_and_number(settings, name, in_full):
    assert (target_name(settings), target_in_full(settings)) == (name, in_full)


def test_evaluate_takes_the_name_from_dataset_json_beside_the_predictions(tmp_path):
    folders = write_folders(tmp_path)
    content = {"channel_names": {"0": "t1_gd"}, "file_ending": ".nii.gz", "labels": {"background": 0, "metastasis": 1}}
    (folders / "test_p" / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    assert evaluate(folders) == 0
    settings = json.loads((folders / "out" / "summary.json").read_text(encoding="utf-8"))["settings"]
    assert settings["target_name"] == "metastasis"
