"""While one case is predicted, others are prepared and written: as many as was asked for, no more, and in order."""

from pathlib import Path
from threading import Event, Lock
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from conftest import write_case
from predict_folders import predict

from nnunet_seqdropout.prediction import folder as module
from nnunet_seqdropout.prediction.case import CaseImages
from nnunet_seqdropout.prediction.folder import predict_folder

N_CASES = 8


class Counted:
    """Model, input and writer of cases in one, which counts the cases that are in memory; each is written slowly."""

    predictor = type("Predictor", (), {"dataset_json": {}})
    folder = "model"
    notes = ()

    def __init__(self) -> None:
        self.lock, self.predicted = Lock(), Event()
        self.prepared = self.written = self.n_predicted = self.most_prepared = self.most_waiting = 0
        self.order: list[str] = []

    def read(self) -> CaseImages:
        return CaseImages({}, sitk.Image(1, 1, 1, sitk.sitkUInt8))

    def identity(self) -> dict:
        return {}

    def preprocess(self, images):
        with self.lock:
            self.prepared += 1
            self.most_prepared = max(self.most_prepared, self.prepared - self.n_predicted)
        return type("Preprocessed", (), {"present": ()})

    def warnings(self, present):
        return []

    def logits(self, case, **_):
        # whatever may be prepared meanwhile has the time for it
        self.predicted.wait(0.05)
        with self.lock:
            self.n_predicted += 1
            self.most_waiting = max(self.most_waiting, self.n_predicted - self.written)
        return torch.zeros(1)

    def attempt(self, case, ready, logits):
        self.predicted.wait(0.2)
        with self.lock:
            self.written += 1
            self.order.append(case)
        return module.Outcome("ok")


@pytest.mark.parametrize(("n_prepared", "n_written"), [(1, 1), (3, 2)])
def test_no_more_cases_are_in_memory_than_asked_for(tmp_path, monkeypatch, n_prepared, n_written):
    counted: Any = Counted()
    monkeypatch.setattr(module, "Writer", lambda *_: counted)
    names = [f"P{n}" for n in range(N_CASES)]
    cases = dict.fromkeys(names, counted)
    outcomes = predict_folder(counted, cases, tmp_path, n_prepared=n_prepared, n_written=n_written)
    assert [*outcomes] == names
    assert sorted(counted.order) == names
    # the one that is predicted, too
    assert counted.most_prepared == n_prepared + 1
    assert counted.most_waiting == n_written + 1


def test_the_results_are_the_same_however_many_are_prepared_and_written(make_model, tmp_path, capfd):
    model = make_model("TinySeqDropout")
    for number in range(3):
        write_case(tmp_path, f"P{number}", (5, 20, 18), seed=number)
    images = tmp_path / "imagesTr"
    for name, options in (("one", ("-npp", "1", "-nps", "1")), ("more", ("-npp", "3", "-nps", "2"))):
        assert predict(images, tmp_path / name, model, *options) == 0
    assert "perform_everything_on_device" not in "".join(capfd.readouterr())  # nnU-Net's words about every CPU
    assert [*map(content, files(tmp_path / "one"))] == [*map(content, files(tmp_path / "more"))]


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("P*.nii.gz"))


def content(file: Path) -> tuple[str, list]:
    return file.name, np.ravel(sitk.GetArrayFromImage(sitk.ReadImage(str(file)))).tolist()
