"""docs/formats.md lists every column and key that the code writes, and none that it does not."""

import json
import re
import zipfile
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch
from conftest import PROJECT
from example_folders import evaluate, patient, save, write_folders
from example_plans import FINGERPRINT, PLANS
from example_question import question
from example_study import DESIGN, cohort, train
from example_study_results import results as study_results
from example_subsets import subsets
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from dataset_conversion.dicom.rules import Rule
from dataset_conversion.outcomes import Outcome, write_summary
from dataset_conversion.phantom.hospitals import Place
from dataset_conversion.phantom.lesions import Lesion
from dataset_conversion.phantom.settings import PhantomSettings
from dataset_conversion.raw.dataset import RawDataset
from dataset_conversion.raw.fill import fill
from dataset_conversion.raw.manifest import manifest_entry
from dataset_conversion.raw.preparing.prepared import Preparation, Prepared, PreparedSeries
from dataset_conversion.raw.sources.patient import Patient
from dataset_conversion.raw.writer import write_raw_dataset
from dataset_conversion.registration.rigid import Registration
from dataset_conversion.sequences import ALIASES
from evaluation.inputs.thresholds import Threshold, Thresholds
from evaluation.tables.comparison import compare
from evaluation.tables.results import read_evaluation
from evaluation.tables.study import models_table, seeds_table
from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.dropout import factor
from nnunet_seqdropout.prediction.folder import predict_folder
from nnunet_seqdropout.prediction.inputs import CaseFiles
from nnunet_seqdropout.prediction.model import Model, Preprocessed, Segmentation
from nnunet_seqdropout.prediction.subset_table import Measurement, measure_subsets
from nnunet_seqdropout.study.commands import prepare_study
from nnunet_seqdropout.study.design.design import Arm, Budget, Design
from nnunet_seqdropout.study.design.endpoint import Endpoint
from nnunet_seqdropout.study.folder import Study
from nnunet_seqdropout.study.models import arms_table, learning_table, trained_models
from nnunet_seqdropout.study.state import Record
from nnunet_seqdropout.training import ConfiguredTrainer, DeepLab25D, WithSequenceDropout
from nnunet_seqdropout.training.configured import GPU_MEBIBYTES
from nnunet_seqdropout.training.patterns import LOGGED_AS

PAGE = (PROJECT / "docs" / "formats.md").read_text(encoding="utf-8")
NAMES = ("t1_gd", "flair")
VOXELS, _ = patient(0)
AVERAGE = re.findall(r"`([^`]+)`", PAGE.split("An average is ")[1].split("\n|")[0])
MAPPINGS = {"cases": "<case>", "metrics": "<metric>", "versions": "<package>", "thresholds": "<pattern>"} | {
    "settings.sha256": "<fold>"
}
"""Keys whose content has other keys in every file, and what the page calls these."""


def rows(heading: str) -> list[list[str]]:
    """The cells of all tables below a heading, up to the next one, without their head."""
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def documented(heading: str) -> list[str]:
    """What is in backticks in the first column below a heading."""
    return [name for row in rows(heading) for name in re.findall(r"`([^`]+)`", row[0])]


def paths(content: object, *, whole: tuple[str, ...] = (), named: dict[str, str] = MAPPINGS) -> list[str]:
    """The keys of a JSON file as the page writes them, ``a.b`` and ``a[].b``, once each; ``whole`` are not opened."""

    def walk(value: object, path: str) -> list[str]:
        if isinstance(value, dict) and value and path not in whole:
            placeholder = named.get(path)
            keys = [(placeholder or key, each) for key, each in value.items()]
            return [p for key, each in keys for p in walk(each, f"{path}.{key}" if path else key)]
        if isinstance(value, list) and value and isinstance(value[0], dict) and path not in whole:
            return [p for each in value for p in walk(each, f"{path}[]")]
        return [path]

    return list(dict.fromkeys(walk(content, "")))


def read(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory) -> Path:
    """Three patients with probabilities, evaluated twice under two names."""
    folder = write_folders(tmp_path_factory.mktemp("formats"))
    validation = ("--val-gt", folder / "val_gt", "--val-p", folder / "val_p")
    assert [evaluate(folder, *validation, out=out) for out in ("a", "b")] == [0, 0]
    return folder


@pytest.mark.parametrize("name", ["cases", "lesions", "roc", "froc", "protocols", "reliability", "confidence"])
def test_the_tables_of_an_evaluation_have_the_columns_of_the_page_in_its_order(evaluated, name):
    assert list(pd.read_csv(evaluated / "a" / f"{name}.csv").columns) == documented(f"`{name}.csv`")


def test_the_summary_of_an_evaluation(evaluated):
    summary = read(evaluated / "a" / "summary.json")
    whole = ("settings.map", "threshold.values", "strata[].metrics", "protocols[].metrics", "metrics.<metric>")
    written = {*paths(summary, whole=whole, named={**MAPPINGS, "totals": "<metric>"})}
    assert written | {"totals.n_patients"} == {*documented("`summary.json` of `evaluate`")}
    for average in summary["metrics"].values():
        assert [*average] == AVERAGE
    assert {*summary["versions"]} == {*backticked("`summary.json` of `evaluate`", "`versions.<package>`")}


def backticked(heading: str, key: str) -> list[str]:
    """What else is in backticks in the row of this key."""
    (row,) = [row for row in rows(heading) if row[0] == key]
    return re.findall(r"`([^`]+)`", row[2])


def test_the_comparison_of_two_models_and_of_the_arms_of_a_study(evaluated):
    table = compare(*(read_evaluation(evaluated / out) for out in "ab"))
    assert list(table.columns) == documented("`comparison.csv`")
    of_study = list(question().comparison.assign(question="Q").columns)
    assert of_study == [*documented("`comparison.csv`"), *documented("`comparisons.csv`")]


def test_thresholds(evaluated):
    assert paths(read(evaluated / "a" / "thresholds.json"), whole=("settings",)) == documented("`thresholds.json`")
    of_pattern = [name for name in documented("`thresholds.json`") if name.startswith("thresholds.")]
    assert of_pattern == [f"thresholds.<pattern>.{field.name}" for field in fields(Threshold)]
    settings = backticked("`thresholds.json`", "`settings`")
    written = {*read(evaluated / "a" / "thresholds.json")["settings"], "fp_budget", "forced"}
    assert written == {*settings} - {"fixed", "--force"}


def test_the_tables_of_subsets():
    example = subsets()
    assert list(example.table.columns) == documented("`subsets.csv`")
    assert list(example.importance().columns) == documented("`importance.csv`")


class Predicted(Model):
    """A model that was never trained and says of every voxel what the example of an evaluation says."""

    def __init__(self, folder: Path) -> None:
        dataset = {"channel_names": {str(i): name for i, name in enumerate(NAMES)}, "file_ending": ".nii.gz"}
        how = {"plans_manager": SimpleNamespace(plans={}), "use_mirroring": True, "tile_step_size": 0.5}
        predictor = SimpleNamespace(dataset_json=dataset, network=torch.nn.Identity(), **how)
        super().__init__(predictor, folder, "checkpoint_final.pth", {"0": "00"})

    def preprocess(self, images):
        return Preprocessed(torch.zeros(len(NAMES), 1, 1, 1), {}, tuple(name in images for name in NAMES))

    def logits(self, case, **_):
        return torch.zeros(1)

    def segmentation(self, logits, case):
        probability = patient(0)[1]
        return Segmentation((probability >= 0.5).astype(np.uint8), np.stack([1 - probability, probability]))

    def probability(self, segmentation, labels):
        return segmentation.probabilities[1]


@pytest.fixture
def images(tmp_path) -> Path:
    """A case of two sequences, and of one."""
    for name in ("P0_0000", "P0_0001", "P1_0000"):
        save(patient(0)[1], tmp_path / "images" / f"{name}.nii.gz")
    return tmp_path / "images"


def test_the_record_and_the_lesions_of_a_prediction(tmp_path, images):
    assert predict_folder(Predicted(tmp_path), {"P1": CaseFiles({0: images / "P1_0000.nii.gz"}, NAMES)}, tmp_path)
    named = {"settings.sha256": "<fold>", "inputs.sha256": "<sequence>", "files": "<name>"}
    assert paths(read(tmp_path / "P1.json"), named=named) == documented("`<case>.json` of `predict`")
    assert [*read(tmp_path / "summary.json")["settings"]] == settings_of("predict")
    assert list(pd.read_csv(tmp_path / "P1_lesions.csv").columns) == documented("`lesions.csv`")


def test_the_summary_and_the_cases_of_subsets(tmp_path, images):
    save(VOXELS, tmp_path / "labels" / "P0.nii.gz")
    files = {channel: images / f"P0_000{channel}.nii.gz" for channel in range(2)}
    found = measure_subsets(
        Predicted(tmp_path),
        {"P0": CaseFiles(files, NAMES)},
        [(True, True), (True, False)],
        Measurement(tmp_path / "labels", thresholds=Thresholds("1", "fixed", {"": Threshold(0.5)})),
    )
    of_patient, of_subsets = documented("`cases.csv`"), documented("`cases.csv` of `subsets`")
    assert list(found.cases.columns) == [*of_patient[:2], *of_subsets, *of_patient[2:]]
    written = paths(found.summary, named={**MAPPINGS, "threshold.values": "<pattern>"})
    # the command adds the folder of images
    assert {*written, "settings.i"} == {*documented("`summary.json` of `subsets`")}


def test_what_is_said_of_a_model_and_what_its_archive_says(make_model, tmp_path, capsys):
    model, heading, named = make_model("TinySeqDropout"), "`model info --json`", {"checkpoints": "<checkpoint>"}
    capsys.readouterr()
    assert main(["model", "info", "-m", str(model), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    whole = ("network.settings", "labels", "dropout", "thresholds")
    written = paths(said, whole=whole, named=named)
    assert {*written} == {*documented(heading)}
    assert {*said["dropout"], "plans.json"} == {*backticked(heading, "`dropout`")}
    assert main(["model", "export", "-m", str(model), "-o", str(tmp_path / "model.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        content = json.loads(archive.read("model.json"))
    assert {*paths(content, named={**named, "versions": "<package>"})} == {*documented("`model.json`")}


def test_what_fill_writes(tmp_path, images):
    fill(images, tmp_path / "filled", channel_names=NAMES, file_ending=".nii.gz", factor=factor)
    assert paths(read(tmp_path / "filled" / "P1.json")) == documented("`fill`")
    assert {*read(tmp_path / "filled" / "summary.json")["settings"]} == {*settings_of("fill")}


def settings_of(command: str) -> list[str]:
    """The keys of a command's settings in the common summary."""
    (row,) = [row for row in rows("`summary.json`") if row[0] == f"`{command}`"]
    return re.findall(r"`([^`]+)`", row[1])


def test_the_common_summary_and_the_settings_of_phantom(tmp_path):
    write_summary(tmp_path, command="x", settings={}, outcomes={"P": Outcome("ok")})
    common = documented("`summary.json`")
    commands = ["convert", "dicom", "phantom", "fill", "predict"]
    assert [*paths(read(tmp_path / "summary.json")), *commands] == common
    assert settings_of("phantom") == [field.name for field in fields(PhantomSettings)]


def test_a_converted_data_set_and_its_records(tmp_path):
    save((100 * patient(0)[1]).astype(np.int16), tmp_path / "source" / "P0" / "t1_gd.nii.gz")
    save(VOXELS, tmp_path / "source" / "P0" / "seg.nii.gz")
    (tmp_path / "source" / "P0" / "truth.json").write_text("{}")
    images = {"t1_gd": tmp_path / "source" / "P0" / "t1_gd.nii.gz"}
    converted = Patient("P0", "train", images, (tmp_path / "source" / "P0" / "seg.nii.gz",), {0: 0, 1: 1})
    labels = {"background": 0, "metastasis": 1}
    folder = tmp_path / "Dataset001_X"
    dataset = RawDataset(folder, tmp_path / "source", NAMES, labels, NAMES, synthetic=True)
    assert write_raw_dataset(dataset, {"P0": converted})["P0"].status == "ok"
    assert paths(read(folder / "dataset.json"), named={}, whole=("channel_names", "labels")) == documented(
        "`dataset.json`"
    )
    manifest = paths(
        read(folder / "manifest.json"), named={"patients": "<case>"}, whole=("settings.labels", "patients.<case>")
    )
    assert manifest == documented("`manifest.json`")
    entry = paths(
        read(folder / "manifest.json")["patients"]["P0"],
        named={"sequences": "<sequence>"},
        whole=("sequences.<sequence>",),
    )
    assert [*entry[:3], "label", *entry[3:]] == documented("`manifest.json`, of a case")
    record = paths(
        read(folder / ".conversion" / "P0.json"),
        named={"inputs.images": "<sequence>", "files": "<path>"},
        whole=("inputs.label_mapping", "inputs.preparation", "entry"),
    )
    assert record == documented("`.conversion/<case>.json`")
    preparation = [field.name for field in fields(Preparation)]
    assert backticked("`.conversion/<case>.json`", "`inputs.preparation`")[:-1] == preparation
    values = {"manifest.json", "auto", "never", "refuse", "zero"}
    assert {*read(folder / "summary.json")["settings"]} == {*settings_of("convert")} - values


def test_the_manifest_of_a_series_that_was_registered(tmp_path):
    image, file = sitk.Image([2, 2, 2], sitk.sitkInt16), tmp_path / "flair.nii.gz"
    registration = Registration(sitk.Euler3DTransform(), 1.1, 1.2, 0.0, 0.0)
    prepared = Prepared({"flair": PreparedSeries(image, file, "0", None, registration)}, None, "", {}, [])
    entry = manifest_entry(Patient("P", "test", {"flair": file}), prepared, channel_names=NAMES, source=tmp_path)
    assert list(entry["sequences"]["flair"]) == documented("`manifest.json`, of a sequence")
    assert list(entry["sequences"]["t1_gd"]) == ["present"]


def test_what_check_writes(tmp_path, images):
    """P1 is faulty, P0 has a note, P2 is stored another way, and the data set is not what its description says."""
    save(VOXELS, tmp_path / "imagesTr" / "P0_0000.nii.gz")
    save(VOXELS, turned := tmp_path / "imagesTr" / "P2_0000.nii.gz")
    sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(turned)), "RAS"), str(turned))
    save(np.full_like(VOXELS, 7), tmp_path / "imagesTr" / "P0_0001.nii.gz")
    (tmp_path / "imagesTr" / "P1_0000.nii.gz").write_bytes(b"")
    save(VOXELS, tmp_path / "labelsTr" / "P0.nii.gz")
    channels = {str(i): name for i, name in enumerate(NAMES)}
    description = {"channel_names": channels, "labels": {"background": 0, "x": 1}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps({**description, "numTraining": 7}))
    assert main(["check", "-i", str(tmp_path), "--json", str(tmp_path / "found.json")]) == 1
    named = {"cases": "<case>", "availability": "<pattern>", "availability.<pattern>": "<split>"}
    written = {*paths(read(tmp_path / "found.json"), named=named)}
    common = {name for name in documented("`summary.json`") if "." in name} | {"command", "version"}
    empty = {"cases.<case>.faults", "cases.<case>.notes"}
    assert written - empty == common | {*documented("`check --json`")}


def test_truth_and_rules():
    of_patient = {field.name for field in fields(Place)}
    assert {*backticked("`truth.json`", "`settings`")} - {"summary.json", "A", "B"} == of_patient
    lesions = [name for name in documented("`truth.json`") if name.startswith("lesions")]
    assert lesions == [f"lesions[].{field.name}" for field in fields(Lesion)]
    assert documented("Rules of `dicom`") == [field.name for field in fields(Rule)]


def test_aliases():
    said = {row[0].strip("`"): tuple(re.findall(r"`([^`]+)`", row[1])) for row in rows("Aliases")}
    assert said == ALIASES


class FullTrainer(WithSequenceDropout, DeepLab25D):
    """Every setting that our trainers write."""

    backbone = "resnet18"


def plans_of(trainer_class: type[ConfiguredTrainer], folder: Path, monkeypatch) -> dict:
    """The plans that a trainer writes, without what nnU-Net initialises."""
    monkeypatch.setattr(nnUNetTrainer, "initialize", lambda _: None)
    (folder / "dataset_fingerprint.json").write_text(json.dumps(FINGERPRINT))
    trainer = object.__new__(trainer_class)
    trainer.__dict__.update(
        fold="all",
        dataset_json={"channel_names": {str(i): name for i, name in enumerate(NAMES)}},
        configuration_name="2d",
        plans_manager=PlansManager(PLANS),
        configuration_manager=PlansManager(PLANS).get_configuration("2d"),
        label_manager=SimpleNamespace(num_segmentation_heads=2),
        preprocessed_dataset_folder_base=str(folder),
        is_cascaded=False,
        num_epochs=1000,
        num_iterations_per_epoch=250,
        print_to_log_file=lambda *_: None,
    )
    trainer.initialize()
    return trainer.plans_manager.plans


def test_what_the_plans_of_a_model_say(tmp_path, monkeypatch):
    heading = "`plans.json`, key `seqdropout`"
    keys, of_all = documented(heading), 9
    plans = plans_of(FullTrainer, tmp_path, monkeypatch)
    assert {*plans["seqdropout"]} == {*keys}
    assert {*plans_of(ConfiguredTrainer, tmp_path, monkeypatch)["seqdropout"]} == {*keys[:of_all]}
    section = PAGE.split(f"### {heading}\n")[1].split("\n|")[0]
    network = plans["configurations"]["2d"]["architecture"]["arch_kwargs"]
    assert all(f"`{key}`" in section for key in network)


def test_what_is_logged_in_checkpoints():
    assert documented("`logging` in checkpoints") == [LOGGED_AS, GPU_MEBIBYTES]


def test_the_tables_of_a_study(tmp_path):
    study = Study(tmp_path / "out", DESIGN, cohort(tmp_path))
    steps = prepare_study(study)
    for run in study.runs:
        train(study, run)
        steps.state.write(f"predict/as_acquired/{run.name}/test", Record(""))
    trained = trained_models(study)
    assert list(arms_table(study, steps, trained).columns) == documented("`arms.csv`")
    assert list(learning_table(trained).columns) == documented("`learning.csv`")
    assert list(models_table(question()).columns) == documented("`table.csv`")
    assert list(seeds_table(question()).columns) == documented("`seeds.csv`")
    assert list(study_results().primary.rows().columns) == documented("`primary.csv`")
    state = read(tmp_path / "out" / "state.json")
    assert [*state] == ["version", "steps"]
    assert [*next(iter(state["steps"].values()))] == documented("`state.json`")
    assert [field.name for field in fields(Record)] == documented("`state.json`")


def test_the_design_of_a_study():
    assert {field.name for field in fields(Design)} == {*documented("Design")}
    assert [field.name for field in fields(Arm)] == ["name", *documented("Arm of a design")]
    endpoint = [
        name
        for name in backticked("Design", "`primary`")
        if name not in ("lesion_f1", "sequences: available", "nnUNetTrainer")
    ]
    assert endpoint == [field.name for field in fields(Endpoint)]
    budget = backticked("Design", "`budget`")
    assert budget == [field.name for field in fields(Budget)]
