"""Every kind of text, archive and checkpoint that a command reads, tiny, and the command that reads it."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from conftest import TRAINERS
from example_evaluation import CASES, example
from example_folders import patient, save, save_npz
from example_study import train
from example_subsets import subsets

from dataset_conversion.files.checksums import replace_recorded
from evaluation.inputs.thresholds import Threshold, Thresholds
from evaluation.tables.summaries import averages, strata
from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.study.cohort import read_cohort
from nnunet_seqdropout.study.commands import prepare_study
from nnunet_seqdropout.study.design.design_file import read_design
from nnunet_seqdropout.study.design.endpoint import declare
from nnunet_seqdropout.study.folder import Study
from nnunet_seqdropout.study.state import Record

NAMES = ("t1_gd", "flair")
DATASET = "raw/Dataset001_Mets"
MODEL = "results/Dataset001_Mets/nnUNetTrainerSeqDropout__nnUNetPlans__2d"
TRAINED = "out/nnUNet_results/*/nnUNetTrainerSeqDropout_study_A__nnUNetPlans__2d"
EVALUATION = "out/evaluations/as_acquired/lesion/A"
LAYOUT = """
about: a hospital
channels: [t1_gd, flair]
labels: {background: 0, lesion: 1}
images: {t1_gd: ["{patient}/t1_gd", "{patient}/t1c"], flair: "{patient}/{:flair|t2f}"}
label: [{files: ["{patient}/seg"], map: {1: 1, 255: 1}, unite: false}]
reference: t1_gd
registered: true
split: {default: train, unlabelled: test, folders: {validation: val}}
optional: [flair]
"""
RULES = """
words: [&flair ["flair", "t2"]]
rules:
  - {role: none, description: localizer}
  - {role: flair, description: *flair, exclude: [scout], contrast: false, inversion_time_ms: [1500, 3000]}
  - {role: t1_gd, description: ["t1"], contrast: true}
series: {P_0123456789: {flair: 4, t1_gd: none}}
"""
DESIGN = """
reference: A
arms:
  A: {trainer: nnUNetTrainerSeqDropout, sequences: all, settings: {always_keep: [t1_gd]}, seeds: [0]}
  B: {trainer: nnUNetTrainer, sequences: available}
budget: {epochs: 2, slices_per_epoch: 8, largest_batch: 2}
targets: {lesion: [1]}
threshold: dice
scenarios: {as_acquired: [], without_flair: [flair]}
test: imagesTs
folds: [0]
configuration: 2d
plans: nnUNetPlans
planning: [-gpu_memory_target, "4"]
settings: {learning_rate: 0.001}
seeds: [0]
min_volume_mm3: 10
background: null
mirroring: true
subset_tables: first_seed
primary: {metric: dice, scenario: as_acquired, target: lesion, dedicated: B, margin: 0.05}
"""


@dataclass(frozen=True)
class Reader:
    """file: what is mutated, a pattern below the folder that ``make`` fills. words: the command, ``{}`` for the folder.

    share: how often it is drawn; what takes long is drawn less.
    """

    make: Callable[[Path], None]
    file: str
    words: str
    share: float = 1
    codes: tuple[int, ...] = (0,)

    @property
    def name(self) -> str:
        return f"{self.words.split()[0]} {self.file}"


def set_environment(folder: Path) -> None:
    folders = {name: str(folder / name.removeprefix("nnUNet_")) for name in ("nnUNet_raw", "nnUNet_results")}
    os.environ.update({**folders, "nnUNet_preprocessed": str(folder / "pre"), "nnUNet_extTrainer": str(TRAINERS)})


def hospital(folder: Path) -> None:
    """Three patients in ``in``, converted by a layout."""
    for seed, case in enumerate(("P1", "P2", "P3", "P4")):
        reference, probability = patient(seed)
        for name in NAMES:
            save(probability, folder / "in" / case / f"{name}.nii.gz")
        save(reference, folder / "in" / case / "seg.nii.gz")
    (folder / "layout.yaml").write_text(LAYOUT)
    set_environment(folder)
    convert = f"convert generic {folder}/in --layout {folder}/layout.yaml -d 1 -n Mets --val P3 --test P4"
    assert main(convert.split()) == 0


def predicted(folder: Path) -> None:
    """Label maps with nnU-Net's probabilities or with ours and their records, and thresholds."""
    for seed in range(3):
        reference, probability = patient(seed)
        save(reference, folder / "labels" / f"P{seed}.nii.gz")
        save_npz(probability, folder / "npz", f"P{seed}")
        save(probability, folder / "ours" / f"P{seed}_prob.nii.gz")
        save((probability > 0.5).astype(np.uint8), folder / "ours" / f"P{seed}.nii.gz")
        record = {"case": f"P{seed}", "pattern": "t1_gd", "absent": ["flair"], "target": "1", "threshold": None}
        (folder / "ours" / f"P{seed}.json").write_text(json.dumps(record))
    for seed in (3, 4):
        reference, probability = patient(seed)
        save(reference, folder / "val_labels" / f"V{seed}.nii.gz")
        save_npz(probability, folder / "val", f"V{seed}")
    (folder / "npz" / "dataset.json").write_text(json.dumps(dataset_json()))
    by_pattern = {"": Threshold(0.4, 3, 0.8, 0.7, 0.3, 0.5, 6, 5, 0.5)}
    Thresholds("1", "fp_budget", by_pattern, {"fp_budget": 2.0, "gt": "labels"}).write(folder / "thresholds.json")
    (folder / "manifest.json").write_text(json.dumps({"version": 1, "settings": {"synthetic": True}, "patients": {}}))


def dataset_json() -> dict:
    return {
        "name": "Dataset001_Mets",
        "channel_names": {str(i): name for i, name in enumerate(NAMES)},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": 3,
        "file_ending": ".nii.gz",
    }


def listed(folder: Path) -> None:
    """A raw data set whose dataset.json says where its cases are, with a region and a label to ignore."""
    cases = {}
    for seed, case in enumerate(("P1", "P2")):
        reference, probability = patient(seed)
        for name in NAMES:
            save(probability, folder / "listed" / case / f"{name}.nii.gz")
        save(reference, folder / "listed" / case / "seg.nii.gz")
        cases[case] = {"images": [f"{case}/{name}.nii.gz" for name in NAMES], "label": f"{case}/seg.nii.gz"}
    labels = {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}
    (folder / "listed" / "dataset.json").write_text(
        json.dumps({**dataset_json(), "labels": labels, "numTraining": 2, "dataset": cases})
    )


def plans() -> dict:
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    layers = {"conv_op": "Conv2d", "norm_op": "InstanceNorm2d", "nonlin": "LeakyReLU"}
    places = {"conv_op": "conv", "norm_op": "instancenorm", "nonlin": "activation"}
    imported = {key: f"torch.nn.modules.{places[key]}.{name}" for key, name in layers.items()}
    network = {"n_stages": 2, "features_per_stage": [2, 4], "kernel_sizes": [[3, 3], [3, 3]], "conv_bias": True}
    network |= {"strides": [[1, 1], [2, 2]], "n_conv_per_stage": [1, 1], "n_conv_per_stage_decoder": [1]}
    network |= {"norm_op_kwargs": {"eps": 1e-5, "affine": True}, "nonlin_kwargs": {"inplace": True}}
    network |= {"dropout_op": None, "dropout_op_kwargs": None}
    kinds = ("data", "seg", "probabilities")
    configuration = {
        "data_identifier": "nnUNetPlans_2d",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [8, 8],
        "median_image_size_in_voxels": [8.0, 8.0],
        "spacing": [1.0, 1.0],
        "normalization_schemes": ["ZScoreNormalization"] * 2,
        "use_mask_for_norm": [False, False],
        **{f"resampling_fn_{kind}": "resample_data_or_seg_to_shape" for kind in kinds},
        **{f"resampling_fn_{kind}_kwargs": resampling for kind in kinds},
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {**network, **imported},
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": True,
    }
    intensities = {"max": 1.0, "mean": 0.5, "median": 0.5, "min": 0.0, "std": 0.1}
    return {
        "dataset_name": "Dataset001_Mets",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [2.5, 1.0, 1.0],
        "original_median_shape_after_transp": [4, 6, 8],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"2d": configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": intensities, "1": intensities},
        "seqdropout": {
            "version": "0.2.0",
            "sequences": list(NAMES),
            "subset_law": "weights",
            "drop_probability": 0.25,
            "always_keep": ["t1_gd"],
            "subset_weights": {"t1_gd": 2},
            "rescale": "sqrt",
        },
    }


def model(folder: Path) -> None:
    """A network of some hundred weights, with thresholds, and images of a patient."""
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    set_environment(folder)
    made = folder / MODEL
    (made / "fold_0").mkdir(parents=True)
    (made / "plans.json").write_text(json.dumps(plans(), indent=1))
    (made / "dataset.json").write_text(json.dumps(dataset_json(), indent=1))
    how = plans()["configurations"]["2d"]["architecture"]
    torch.manual_seed(0)
    network = get_network_from_plans(
        how["network_class_name"], how["arch_kwargs"], how["_kw_requires_import"], 2, 2, deep_supervision=False
    )
    content = {
        "network_weights": network.state_dict(),
        "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.01}]},
        "logging": {"train_losses": [np.float64(0.5)], "ema_fg_dice": [0.3]},
        "current_epoch": 1,
        "init_args": {"configuration": "2d", "fold": 0, "plans": {}},
        "trainer_name": "nnUNetTrainerSeqDropout",
        "inference_allowed_mirroring_axes": (0, 1),
    }
    torch.save(content, made / "fold_0" / "checkpoint_final.pth")
    Thresholds("1", "fixed", {"t1_gd+flair": Threshold(0.4, 3)}).write(made / "fold_0" / "thresholds.json")
    for channel in range(2):
        save(patient(0)[1], folder / "images" / f"P_{channel:04d}.nii.gz")


def exported(folder: Path) -> None:
    """The model, and its archive."""
    model(folder)
    assert main(f"model export -m {folder}/{MODEL} -o {folder}/model.zip".split()) == 0


def segmented(folder: Path) -> None:
    """The model, and what it predicted."""
    model(folder)
    assert main(f"predict -i {folder}/images -o {folder}/out -m {folder}/{MODEL} -device cpu".split()) == 0


def checksummed(folder: Path) -> None:
    """The model, with the SHA-256 of its checkpoint."""
    model(folder)
    fold = folder / MODEL / "fold_0"
    (fold / "checkpoint_final.pth").rename(fold / "new")
    replace_recorded(fold / "new", fold / "checkpoint_final.pth")


def evaluated(folder: Path) -> None:
    """Two evaluations of the same patients that are written by hand, and two by the command."""
    for name in "AB":
        example(name, metrics=averages(CASES), strata=strata(CASES)).write(folder / name)
    predicted(folder)
    paths = f"-gt {folder}/labels -p {folder}/npz --val-gt {folder}/val_labels --val-p {folder}/val"
    for name in "CD":
        assert main(["evaluate", *paths.split(), "-o", f"{folder}/{name}", "--name", name, "--no-report"]) == 0


def studied(folder: Path) -> None:
    """A study whose steps are done: nothing is left but its report."""
    hospital(folder)
    (folder / "design.yaml").write_text(DESIGN)
    (folder / "report.yaml").write_text(DESIGN.replace(", without_flair: [flair]", ""))
    study = Study(folder / "out", read_design(folder / "report.yaml"), read_cohort(folder / DATASET))
    steps = prepare_study(study)
    declare(study.design.endpoint, study.folder, n_results=0)
    for run in study.runs:
        train(study, run)
        example(run.name, metrics=averages(CASES), strata=strata(CASES)).write(
            study.evaluation(run, "as_acquired", "lesion")
        )
        if run.arm.drops:
            subsets().write(study.subsets(run, "test"))
        for step in (f"predict/as_acquired/{run.name}/test", *study.training_steps(run, "as_acquired")):
            record = Record("a", "b", 4.0, 10.0, False, ["-np", "1"], {"torch": "2"}, {"c": "d"})
            steps.state.write(step, record)


def dicom(folder: Path) -> None:
    """A series of five slices, converted once."""
    from example_dicom import write_series

    (folder / "rules.yaml").write_text(RULES)
    write_series(folder / "dicom", "CUBE T2 FLAIR", inversion_time_ms=1850)
    (folder / "key").write_bytes(b"a key for tests, long enough")
    words = f"dicom {folder}/dicom -o {folder}/patients --key {folder}/key --rules {folder}/rules.yaml"
    assert main(words.split()) == 0


_CONVERT = "convert generic {}/in --layout {}/layout.yaml -d 1 -n Mets --val P3 --test P4"
_EVALUATE = "evaluate -gt {}/labels -o {}/out --no-report -p {}/"
_MODEL = f"-m {{}}/{MODEL}"
_REPORT = f"study -i {{}}/{DATASET} -o {{}}/out --design {{}}/report.yaml -device cpu -np 1"

READERS = (
    Reader(hospital, f"{DATASET}/dataset.json", f"check -i {{}}/{DATASET}"),
    Reader(hospital, f"{DATASET}/manifest.json", f"check -i {{}}/{DATASET}"),
    Reader(hospital, f"{DATASET}/splits_final.json", f"check -i {{}}/{DATASET}"),
    Reader(hospital, f"{DATASET}/dataset.json", f"fill -i {{}}/{DATASET}/imagesTs -o {{}}/out -d 1"),
    Reader(hospital, "layout.yaml", f"{_CONVERT} --dry-run"),
    Reader(hospital, f"{DATASET}/manifest.json", _CONVERT),
    Reader(hospital, f"{DATASET}/splits_final.json", _CONVERT, 0.3),
    Reader(hospital, f"{DATASET}/.conversion/P1.json", _CONVERT),
    Reader(hospital, f"{DATASET}/summary.json", f"evaluate -gt {{}}/labels -p {{}}/none -o {{}}/{DATASET}", 0.3, (2,)),
    Reader(listed, "listed/dataset.json", "check -i {}/listed"),
    Reader(dicom, "rules.yaml", "dicom {}/dicom -o {}/new --key {}/key --rules {}/rules.yaml"),
    Reader(dicom, "patients/*/dicom.json", "dicom {}/dicom -o {}/patients --key {}/key --rules {}/rules.yaml", 0.3),
    Reader(predicted, "thresholds.json", f"{_EVALUATE}ours --threshold-file {{}}/thresholds.json"),
    Reader(predicted, "npz/P1.npz", f"{_EVALUATE}npz"),
    Reader(predicted, "npz/P1.npz", "calibrate -gt {}/labels -p {}/npz -o {}/t.json --force"),
    Reader(predicted, "npz/dataset.json", f"{_EVALUATE}npz"),
    Reader(predicted, "ours/P1.json", f"{_EVALUATE}ours"),
    Reader(predicted, "manifest.json", f"{_EVALUATE}ours", 0.3),
    *(Reader(evaluated, f"A/{name}", "compare {}/A {}/B -o {}/out") for name in ("summary.json", "cases.csv")),
    *(Reader(evaluated, f"A/{name}.csv", "compare {}/A {}/B -o {}/out", 0.3) for name in ("lesions", "roc", "froc")),
    *(
        Reader(evaluated, f"C/{name}.csv", "compare {}/C {}/D -o {}/out", 0.3)
        for name in ("protocols", "reliability", "confidence")
    ),
    Reader(model, f"{MODEL}/plans.json", f"model verify {_MODEL}"),
    Reader(model, f"{MODEL}/plans.json", f"model info {_MODEL}"),
    Reader(model, f"{MODEL}/plans.json", f"fill -i {{}}/images -o {{}}/filled {_MODEL}", 0.3),
    Reader(model, f"{MODEL}/dataset.json", f"model info {_MODEL}"),
    Reader(model, f"{MODEL}/dataset.json", f"model verify {_MODEL}"),
    Reader(model, f"{MODEL}/fold_0/checkpoint_final.pth", f"model verify {_MODEL}"),
    Reader(model, f"{MODEL}/fold_0/checkpoint_final.pth", f"model info {_MODEL}"),
    Reader(model, f"{MODEL}/fold_0/thresholds.json", f"model verify {_MODEL}"),
    Reader(model, f"{MODEL}/fold_0/thresholds.json", f"model export {_MODEL} -o {{}}/x.zip", 0.5),
    Reader(checksummed, f"{MODEL}/fold_0/checksums.json", f"model verify {_MODEL}"),
    Reader(exported, "model.zip", "model install {}/model.zip -d 7 -n New"),
    Reader(segmented, "out/P.json", f"predict -i {{}}/images -o {{}}/out {_MODEL} -device cpu --c", 0.5),
    *(
        Reader(model, f"{MODEL}/{name}", f"predict -i {{}}/images -o {{}}/new {_MODEL} -device cpu", 0.5)
        for name in ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth", "fold_0/thresholds.json")
    ),
    Reader(studied, "design.yaml", f"study -i {{}}/{DATASET} -o {{}}/new --design {{}}/design.yaml --dry-run"),
    *(
        Reader(studied, f"{DATASET}/{name}", f"study -i {{}}/{DATASET} -o {{}}/new --design {{}}/report.yaml --dry-run")
        for name in ("dataset.json", "manifest.json", "splits_final.json")
    ),
    Reader(studied, "out/state.json", f"{_REPORT} --dry-run"),
    Reader(studied, "out/state.json", _REPORT, 0.5),
    Reader(studied, "out/endpoint.json", _REPORT, 0.5),
    *(Reader(studied, f"{EVALUATION}/{name}", _REPORT, 0.3) for name in ("summary.json", "cases.csv")),
    *(Reader(studied, f"out/subsets/A/test/{name}", _REPORT, 0.5) for name in ("summary.json", "cases.csv")),
    *(Reader(studied, f"{TRAINED}/{name}", _REPORT, 0.5) for name in ("plans.json", "fold_0/checkpoint_final.pth")),
)
