"""Any subset of the sequences: absent is zero is dropped, as nnU-Net's own command has it, files whole or not there."""

import itertools
import json
import shutil
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch
from conftest import SEQUENCES, write_case
from predict_folders import predict, require_one_result

from dataset_conversion.faults import Fault
from dataset_conversion.files.images.image_io import read_image
from evaluation.inputs.target import Target
from evaluation.inputs.thresholds import Threshold, Thresholds
from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.prediction.loading import load_model
from nnunet_seqdropout.prediction.model import Model, Preprocessed, Segmentation
from nnunet_seqdropout.prediction.outputs import with_threshold
from nnunet_seqdropout.prediction.subsets_of_case import without

PLANNED = ("TinyStockSeqDropout", "3d_fullres")
SUBSETS = [kept for n in (1, 2, 3, 4) for kept in itertools.combinations(range(4), n)]


@pytest.fixture
def case(tmp_path) -> Path:
    """One case of four sequences, nnU-Net's names; its images have different margins of zeros, as masks differ."""
    write_case(tmp_path, "P", (9, 40, 38), seed=5)
    for channel in range(4):
        file = tmp_path / "imagesTr" / f"P_000{channel}.nii.gz"
        image = sitk.ReadImage(str(file))
        voxels = sitk.GetArrayFromImage(image)
        voxels[:, : 3 * channel] = 0
        voxels[:, :, : 2 * (3 - channel)] = 0
        changed = sitk.GetImageFromArray(voxels)
        changed.CopyInformation(image)
        sitk.WriteImage(changed, str(file))
    return tmp_path / "imagesTr"


@pytest.mark.parametrize(
    ("trainer", "configuration"),
    [
        ("TinySeqDropout", "2d"),
        pytest.param("TinyPlusSeqDropout", "2d", marks=pytest.mark.slow),
        pytest.param("TinyStockSeqDropout", "3d_fullres", marks=pytest.mark.slow),
        ("TinyDeepLab", "2d"),
    ],
)
def test_absent_zero_and_dropped_are_the_same_bytes_for_every_subset(
    make_model, case, tmp_path, trainer, configuration
):
    model = make_model(trainer, configuration=configuration)
    require_one_result(case, tmp_path, model, SEQUENCES, drop_every=1 if trainer == "TinySeqDropout" else 7)


def test_so_they_are_for_every_subset_of_three_sequences(make_model, case, tmp_path):
    model = make_model("TinySeqDropout", sequences=SEQUENCES[:3])
    (case / "P_0003.nii.gz").unlink()
    require_one_result(case, tmp_path, model, SEQUENCES[:3], drop_every=3)


def record_of(folder: Path, case: str) -> dict:
    return json.loads((folder / f"{case}.json").read_text())


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("bravo", "mprage", "flair"), ("bravo", "mprage", "flair")),
        (("zscore", "zscore", "zscore"), ("zscore_0", "zscore_1", "zscore_2")),
    ],
)
def test_channels_with_names_for_one_sequence_stay_apart(make_model, case, tmp_path, names, shown):
    """An image is what the number of its file says: bravo and mprage are aliases of each other, zscore is one name."""
    model = make_model("TinySeqDropout", sequences=names)
    for channel in (0, 2, 3):
        (case / f"P_000{channel}.nii.gz").unlink()
    assert predict(case, tmp_path / "out", model, "--save_probabilities") == 0
    record = record_of(tmp_path / "out", "P")
    assert (record["pattern"], record["absent"]) == (shown[1], [shown[0], shown[2]])
    image = read_image(case / "P_0001.nii.gz")
    loaded = load_model(model)
    prepared = loaded.preprocess({1: image})
    assert prepared.present == (False, True, False)
    assert [bool(channel.any()) for channel in prepared.data] == [False, True, False]
    expected = loaded.probability(loaded.segmentation(loaded.logits(prepared), prepared), (1,))
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "P_prob.nii.gz")))
    np.testing.assert_allclose(written, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("names", "drop", "left"),
    [
        (("bravo", "mprage", "flair"), "mprage", "bravo+flair"),
        (("bravo", "mprage", "flair"), "bravo", "mprage+flair"),
        (("bravo", "mprage", "flair"), "1", "bravo+flair"),
        (("zscore", "zscore", "zscore"), "2", "zscore_0+zscore_1"),
    ],
)
def test_the_sequence_named_is_dropped_and_no_alias_of_it(make_model, case, tmp_path, names, drop, left):
    model = make_model("TinySeqDropout", sequences=names)
    (case / "P_0003.nii.gz").unlink()
    assert predict(case, tmp_path / "out", model, "--drop", drop) == 0
    assert record_of(tmp_path / "out", "P")["pattern"] == left


@pytest.mark.parametrize(("names", "word"), [(("bravo", "mprage", "flair"), "irfspgr"), (("ZScore",) * 3, "zscore")])
def test_a_name_that_may_mean_several_channels_is_refused(make_model, case, tmp_path, capsys, names, word):
    model = make_model("TinySeqDropout", sequences=names)
    (case / "P_0003.nii.gz").unlink()
    assert predict(case, tmp_path / "out", model, "--drop", word) == 2
    said = capsys.readouterr().err
    assert "0000 " in said
    assert "number" in said or "unknown sequence" in said
    assert not list((tmp_path / "out").glob("*.nii.gz"))


def test_two_images_for_one_channel_are_refused(make_model, case):
    model, image = load_model(make_model("TinySeqDropout")), read_image(case / "P_0002.nii.gz")
    with pytest.raises(Fault, match="two images for channel 2, t1_gd"):
        model.preprocess({"t1_gd": image, "t1ce": image})


@pytest.mark.parametrize(
    ("trainer", "configuration"),
    [("TinySeqDropout", "2d"), ("TinyPlusSeqDropout", "2d"), ("TinyStockSeqDropout", "3d_fullres")],
)
def test_it_is_what_nnunet_makes_of_the_filled_folder(make_model, case, trainer, configuration):
    folder = make_model(trainer, configuration=configuration)
    files = [case / f"P_000{channel}.nii.gz" for channel in range(4)]
    images = {name: read_image(file) for name, file in zip(SEQUENCES, files, strict=True) if name != "t1_gd"}
    ours = load_model(folder, folds=[0]).predict(images)
    sitk.WriteImage(sitk.ReadImage(str(files[2])) * 0, str(files[2]))
    # a predictor that nobody has changed
    stock = load_model(folder, folds=[0]).predictor
    volume, properties = stock.plans_manager.image_reader_writer_class().read_images(list(map(str, files)))
    assert stock.use_gaussian
    weighted = stock.predict_single_npy_array(volume, properties, save_or_return_probabilities=True)[1]
    stock.use_gaussian = False
    labels, probabilities = stock.predict_single_npy_array(volume, properties, save_or_return_probabilities=True)
    assert np.array_equal(ours.labels, labels)
    assert np.array_equal(ours.probabilities, probabilities)
    # of one tile the weights leave rounding in float16: in its corners, where they are smallest, to whole logits
    differences = np.abs(ours.probabilities - weighted)
    assert differences.max() < 0.25
    assert (differences > 1e-3).mean() < 0.05


# data set 1: slabs of [16, 40, 48], slices of [40, 48]
@pytest.mark.parametrize(
    ("trainer", "shape", "tiles"),
    [
        ("TinySeqDropout", (2, 40, 38), "one"),
        ("TinySeqDropout", (16, 40, 48), "one"),
        ("TinySeqDropout", (17, 40, 38), "several"),
        ("TinyPlusSeqDropout", (2, 41, 38), "several"),
        # a slice at a time, however many there are
        ("TinyStockSeqDropout", (2, 40, 48), "one"),
        ("TinyStockSeqDropout", (2, 40, 49), "several"),
    ],
)
def test_only_where_tiles_overlap_are_they_weighted_by_nnunets_gaussian(make_model, trainer, shape, tiles):
    model = load_model(make_model(trainer), folds=[0], use_mirroring=False)
    data = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    # whatever came before: here a case of the other kind
    other = (1, 40, 49) if tiles == "one" else (1, 40, 48)
    model.logits(Preprocessed(torch.zeros(4, *other), {}, (True,) * 4))
    ours = model.logits(Preprocessed(data, {}, (True,) * 4))
    by_nnunet = {}
    for use_gaussian in (True, False):
        model.predictor.use_gaussian = use_gaussian
        by_nnunet[use_gaussian] = model.predictor.predict_logits_from_preprocessed_data(data)
    assert not torch.equal(by_nnunet[True], by_nnunet[False])
    assert torch.equal(ours, by_nnunet[tiles == "several"])


@torch.inference_mode()
def test_what_fits_into_one_tile_is_the_answer_of_the_network_itself(make_model):
    model = load_model(make_model("TinySeqDropout"), folds=[0], use_mirroring=False)
    data = torch.randn(4, 16, 40, 48, generator=torch.Generator().manual_seed(0))
    ours = model.logits(Preprocessed(data, {}, (True,) * 4))
    assert torch.equal(ours, model._network(data[None])[0].half().to(ours.dtype))


@pytest.fixture
def rescaling_model(make_model, tmp_path):
    """``rescaling_model(how)`` -> the folder of a model that rescales so; None: from before there was a choice."""

    def make(rescale: str | None, *, trainer: str = "TinySeqDropout", configuration: str = "2d") -> Path:
        folder = with_one_fold(make_model(trainer, configuration=configuration), tmp_path / f"model_{rescale}")
        plans = json.loads((folder / "plans.json").read_text())
        assert plans["seqdropout"].pop("rescale") == "paper"
        if rescale:
            plans["seqdropout"]["rescale"] = rescale
        (folder / "plans.json").write_text(json.dumps(plans))
        return folder

    return make


@pytest.mark.parametrize(("rescale", "factor"), [("paper", 4), ("sqrt", 2), ("none", 1), (None, 4)])
def test_the_factor_is_applied_once_and_by_the_whole_case(rescaling_model, case, rescale, factor):
    planned = {"trainer": PLANNED[0], "configuration": PLANNED[1]}
    model = load_model(rescaling_model(rescale, **planned), folds=[0])
    seen = []
    model._network.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].clone()))
    image = read_image(case / "P_0001.nii.gz")
    prepared = model.preprocess({"t1_pre": image})
    # a tile in which the only sequence is empty, too
    prepared.data[:, :, :20, :20] = 0
    model.logits(prepared)
    assert model.factor(prepared.present) == factor
    largest = max(float(piece[:, 1].abs().max()) for piece in seen)
    assert largest == pytest.approx(factor * float(prepared.data[1].abs().max()), rel=1e-3)
    assert all(not piece[:, [0, 2, 3]].any() for piece in seen)


@pytest.mark.parametrize(
    ("rescale", "factor", "shown"),
    [("paper", 4 / 3, "4/3"), ("sqrt", sqrt(4 / 3), "1.15"), ("none", 1, "1"), (None, 4 / 3, "4/3")],
)
def test_the_record_and_the_log_say_what_the_model_multiplies_by(
    rescaling_model, case, tmp_path, caplog, rescale, factor, shown
):
    folder = rescaling_model(rescale)
    model = load_model(folder, folds=[0])
    assert model.rescales
    assert model.factor((True, True, True, False)) == pytest.approx(factor)
    assert model.factor((True,) * 4) == 1
    (case / "P_0003.nii.gz").unlink()
    assert predict(case, tmp_path / "out", folder) == 0
    assert json.loads((tmp_path / "out" / "P.json").read_text())["factor"] == pytest.approx(factor)
    assert f"P: missing flair (_0003), using 3 of 4, factor {shown}\n" in caplog.text
    # the factor read back from the file is the factor still
    assert predict(case, tmp_path / "out", folder, "--c") == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["cases"]["P"]["status"] == "skipped"


@pytest.mark.parametrize("trainer", ["TinyDeepLab", "TinyPlus"])
def test_a_model_trained_without_dropout_multiplies_by_nothing_and_warns(make_model, trainer):
    model = load_model(make_model(trainer), folds=[0])
    assert not model.rescales
    assert model.factor((True, True, True, False)) == 1
    assert "trained without sequence dropout" in model.warnings((True, True, True, False))[0]


def test_a_bad_case_is_reported_and_the_others_are_done(make_model, case, tmp_path):
    model = make_model("TinySeqDropout")
    for channel in range(2):
        shutil.copy(case / f"P_000{channel}.nii.gz", case / f"Q_000{channel}.nii.gz")
        shutil.copy(case / f"P_000{channel}.nii.gz", case / f"R_00{channel}.nii.gz")
    (case / "Q_0001.nii.gz").write_bytes((case / "Q_0001.nii.gz").read_bytes()[:200])
    assert predict(case, tmp_path / "out", model) == 1
    cases = json.loads((tmp_path / "out" / "summary.json").read_text())["cases"]
    assert {name: outcome["status"] for name, outcome in cases.items() if name in "PQ"} == {"P": "ok", "Q": "failed"}
    assert "Q_0001.nii.gz" in cases["Q"]["problem"]
    assert [file.name for file in (tmp_path / "out").glob("*.nii.gz")] == ["P.nii.gz"]


def test_nobody_who_can_be_predicted_ends_with_two_before_the_model_is_loaded(
    case, tmp_path, make_model, capsys, monkeypatch
):
    model = make_model("TinySeqDropout")
    for file in case.iterdir():
        sitk.WriteImage(sitk.ReadImage(str(file)) * 0, str(file))
    monkeypatch.setattr("nnunet_seqdropout.prediction.loading.load_model", None)
    assert predict(case, tmp_path / "out", model) == 2
    assert "no usable sequence" in capsys.readouterr().err


def test_named_files_go_by_name_alias_or_number(make_model, case, tmp_path):
    model = make_model("TinySeqDropout")
    files = [f"--image={name}={case / f'P_000{i}.nii.gz'}" for i, name in enumerate(("MPRAGE", "1", "t1ce"))]
    command = ["predict", *files, "--case", "X", "-o", str(tmp_path / "out"), "-m", str(model), "-device", "cpu"]
    assert main([*command, "--disable_tta"]) == 0
    (case / "P_0003.nii.gz").unlink()
    assert predict(case, tmp_path / "folder", model) == 0
    assert (tmp_path / "out" / "X.nii.gz").read_bytes() == (tmp_path / "folder" / "P.nii.gz").read_bytes()
    assert json.loads((tmp_path / "out" / "X.json").read_text())["absent"] == ["flair"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--image=t2=x.nii.gz"], "unknown sequence t2"),
        (["--image=7=x.nii.gz"], "unknown sequence 7"),
        (["--image=x.nii.gz"], "--image NAME=FILE"),
        (["--image=t1ce=x.nii.gz", "--image=t1_gd=y.nii.gz"], "two files for t1_gd"),
        (["--image=t1ce=nowhere.nii.gz"], "nowhere.nii.gz"),
        (["--image=t1ce=x.nii.gz", "--drop=pet"], "unknown sequence pet"),
        (["-i", "nowhere"], "nowhere is not a folder"),
    ],
)
def test_what_cannot_be_understood_ends_with_two(make_model, tmp_path, capsys, words, problem):
    model = make_model("TinySeqDropout")
    assert main(["predict", *words, "-o", str(tmp_path / "out"), "-m", str(model), "-device", "cpu"]) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ((), "give exactly one of -m and -d"),
        (("-m", "nowhere"), "no model folder"),
        (("-d", "1", "-tr", "NeverTrained"), "no model folder"),
        (("-d", "999"), "no data set 999"),
    ],
)
def test_a_model_that_is_not_there_ends_with_two(in_host, case, tmp_path, capsys, flags, problem):
    assert main(["predict", "-i", str(case), "-o", str(tmp_path / "out"), *flags]) == 2
    assert problem in capsys.readouterr().err


def test_a_patient_tree_in_a_known_layout_is_predicted(make_model, case, tmp_path):
    model = make_model("TinySeqDropout")
    folder = tmp_path / "tree" / "Mets_1"
    folder.mkdir(parents=True)
    for name, channel in (("T1post", 2), ("FLAIR", 3)):
        shutil.copy(case / f"P_000{channel}.nii.gz", folder / f"{name}.nii.gz")
    assert predict(tmp_path / "tree", tmp_path / "out", model, "--layout", "hospital_b") == 0
    assert json.loads((tmp_path / "out" / "Mets_1.json").read_text())["pattern"] == "t1_gd+flair"


def test_resuming_opens_what_is_there_and_redoes_what_is_broken(make_model, case, tmp_path):
    model = make_model("TinySeqDropout")
    for name in "QR":
        for channel in range(4):
            shutil.copy(case / f"P_000{channel}.nii.gz", case / f"{name}_000{channel}.nii.gz")
    out = tmp_path / "out"
    assert predict(case, out, model) == 0
    whole = (out / "Q.nii.gz").read_bytes()
    (out / "Q.nii.gz").write_bytes(whole[:100])
    (out / "R.json").unlink()
    before = (out / "P.nii.gz").stat().st_mtime_ns
    assert predict(case, out, model, "--continue_prediction") == 0
    statuses = {name: o["status"] for name, o in json.loads((out / "summary.json").read_text())["cases"].items()}
    assert statuses == {"P": "skipped", "Q": "ok", "R": "ok"}
    assert (out / "Q.nii.gz").read_bytes() == whole
    assert (out / "P.nii.gz").stat().st_mtime_ns == before
    # row 57: an emptied table, and another case's map
    (out / "P_lesions.csv").write_text((out / "P_lesions.csv").read_text().splitlines()[0])
    sitk.WriteImage(1 - sitk.ReadImage(str(out / "R.nii.gz")), str(out / "R.nii.gz"))
    assert predict(case, out, model, "--c") == 0
    statuses = {name: o["status"] for name, o in json.loads((out / "summary.json").read_text())["cases"].items()}
    assert statuses == {"P": "ok", "Q": "skipped", "R": "ok"}
    # other images, another prediction
    (case / "P_0000.nii.gz").unlink()
    assert predict(case, out, model, "--c") == 0
    assert json.loads((out / "P.json").read_text())["absent"] == ["bravo"]


def test_parts_share_the_cases(make_model, case, tmp_path):
    model = make_model("TinySeqDropout")
    for name in "QR":
        shutil.copy(case / "P_0000.nii.gz", case / f"{name}_0000.nii.gz")
    done = []
    for part in range(2):
        assert predict(case, tmp_path / f"out{part}", model, "-num_parts", 2, "-part_id", part) == 0
        done += sorted(file.name for file in (tmp_path / f"out{part}").glob("*.nii.gz"))
    assert done == ["P.nii.gz", "R.nii.gz", "Q.nii.gz"]
    assert predict(case, tmp_path / "out", model, "-num_parts", 2, "-part_id", 2) == 2


def test_a_threshold_decides_where_the_target_is(make_model, case, tmp_path):
    model = make_model("TinySeqDropout")
    (case / "P_0000.nii.gz").unlink()
    by_pattern = {"+".join(SEQUENCES): Threshold(0.5, 3), "t1_pre+t1_gd+flair": Threshold(0.4, 2)}
    Thresholds("1", "youden_pooled", by_pattern).write(tmp_path / "t.json")
    assert predict(case, tmp_path / "a", model, "--save_probabilities", "--threshold-file", tmp_path / "t.json") == 0
    record = json.loads((tmp_path / "a" / "P.json").read_text())
    assert record["threshold"] == 0.4
    assert record["threshold_source"].startswith("youden_pooled of ")
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a" / "P.nii.gz")))
    probability = sitk.GetArrayFromImage(read_image(tmp_path / "a" / "P_prob.nii.gz"))
    clear = np.abs(probability - 0.4) > 1e-4
    assert np.array_equal((labels == 1)[clear], (probability >= 0.4)[clear])
    (case / "P_0001.nii.gz").unlink()
    assert predict(case, tmp_path / "b", model, "--threshold-file", tmp_path / "t.json") == 0
    borrowed = json.loads((tmp_path / "b" / "P.json").read_text())["threshold_source"]
    assert "that of t1_pre+t1_gd+flair, since t1_gd+flair was not calibrated" in borrowed


def test_a_calibrated_fold_is_used_for_the_pattern_that_is_there(make_model, case, tmp_path, capsys):
    model = make_model("TinySeqDropout")
    for name, channels in (("Q", (1, 2, 3)), ("R", (1, 2, 3))):
        for channel in channels:
            shutil.copy(case / f"P_000{channel}.nii.gz", case / f"{name}_000{channel}.nii.gz")
    assert predict(case, tmp_path / "val", model, "--save_probabilities", "--argmax") == 0
    reference = np.zeros((9, 40, 38), np.uint8)
    reference[4, 15:22, 15:22] = 1
    for name in "PQR":
        image = sitk.GetImageFromArray(reference)
        image.CopyInformation(sitk.ReadImage(str(case / "P_0001.nii.gz")))
        (tmp_path / "gt").mkdir(exist_ok=True)
        sitk.WriteImage(image, str(tmp_path / "gt" / f"{name}.nii.gz"))
    fold = model / "fold_0"
    command = ["calibrate", "-gt", str(tmp_path / "gt"), "-p", str(tmp_path / "val"), "-o", str(fold)]
    assert main(command) == 0
    written = json.loads((fold / "thresholds.json").read_text())["thresholds"]
    assert {pattern: entry["n_patients"] for pattern, entry in written.items()} == {
        "+".join(SEQUENCES): 1,
        "t1_pre+t1_gd+flair": 2,
    }
    assert predict(case, tmp_path / "out", model) == 0
    for name, pattern in (("P", "+".join(SEQUENCES)), ("Q", "t1_pre+t1_gd+flair")):
        record = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        assert record["threshold"] == written[pattern]["value"]
        assert "dice of" in record["threshold_source"]
    assert predict(case, tmp_path / "out", model, "--argmax") == 0
    assert json.loads((tmp_path / "out" / "P.json").read_text())["threshold"] is None
    (fold / "thresholds.json").unlink()


def test_a_region_above_its_threshold_gets_the_most_probable_of_its_labels():
    class Manager:
        has_regions = False

    class Predictor:
        label_manager = Manager()

    class Stub:
        predictor = Predictor()

    model: Any = Stub()
    # voxels by classes 0 to 3; the region is 1 and 3
    probabilities = np.array([[0.4, 0.1, 0.2, 0.3], [0.5, 0.1, 0.3, 0.1], [0.2, 0.1, 0.6, 0.1]]).T.reshape(4, 1, 1, 3)
    segmentation = Segmentation(probabilities.argmax(0), probabilities)
    region = probabilities[[1, 3]].sum(axis=0)
    labels = with_threshold(segmentation, model, Target((1, 3)), region, 0.2)
    assert labels.ravel().tolist() == [3, 1, 1]
    assert with_threshold(segmentation, model, Target((1, 3)), region, 0.3).ravel().tolist() == [3, 0, 2]


@pytest.fixture
def references(case, tmp_path) -> Path:
    image = sitk.GetImageFromArray(np.zeros((9, 40, 38), np.uint8))
    image[15:22, 15:22, 4] = 1
    image.CopyInformation(sitk.ReadImage(str(case / "P_0000.nii.gz")))
    (tmp_path / "gt").mkdir()
    sitk.WriteImage(image, str(tmp_path / "gt" / "P.nii.gz"))
    return tmp_path / "gt"


def words_of_subsets(case: Path, references: Path, out: Path, model: Path, *options: object) -> list[str]:
    where = ("-i", case, "-gt", references, "-o", out, "-m", model)
    return [str(word) for word in ("subsets", *where, "-f", 0, "-device", "cpu", "--disable_tta", *options)]


def measure_subsets(*words: Any) -> int:
    return main(words_of_subsets(*words))


def test_every_subset_is_measured_as_if_predicted_by_itself(make_model, case, references, tmp_path, capsys):
    model = make_model("TinySeqDropout")
    assert measure_subsets(case, references, tmp_path / "out", model) == 0
    table = pd.read_csv(tmp_path / "out" / "subsets.csv")
    assert list(table.columns) == ["pattern", "n_present", "metric", "mean", "ci_low", "ci_high", "n"]
    assert table["pattern"].nunique() == 15
    assert table["pattern"].iloc[0] == "+".join(SEQUENCES)
    cases = pd.read_csv(tmp_path / "out" / "cases.csv").set_index("pattern")
    for kept in SUBSETS[::3]:
        drop = [word for channel in range(4) if channel not in kept for word in ("--drop", SEQUENCES[channel])]
        assert predict(case, tmp_path / "p", model, *drop) == 0
        command = ["evaluate", "-gt", references, "-p", tmp_path / "p", "-o", tmp_path / "e", "--no-report"]
        assert main([str(word) for word in command]) == 0
        alone = pd.read_csv(tmp_path / "e" / "cases.csv").iloc[0]
        here = cases.loc["+".join(SEQUENCES[channel] for channel in kept)]
        measured = ["dice", "n_found", "n_objects", "fp", "fp_10mm3", "volume_predicted_mm3"]
        assert here[measured].tolist() == alone[measured].tolist()
        # of the probabilities, which the label map lacks
        assert here[["auc", "auprc", "brier"]].between(0, 1).all()
        assert alone[["auc", "auprc", "brier"]].isna().all()
    importance = pd.read_csv(tmp_path / "out" / "importance.csv")
    assert importance["without"].tolist() == list(SEQUENCES)
    lost = cases.loc["+".join(SEQUENCES), "dice"] - cases.loc["+".join(SEQUENCES[1:]), "dice"]
    assert importance["mean"][0] == pytest.approx(lost)
    assert (tmp_path / "out" / "heat_map.png").is_file()
    assert "+".join(SEQUENCES) in capsys.readouterr().out


def test_calibrate_and_subsets_run_in_processes_of_their_own(make_model, in_host, case, references, tmp_path, capsys):
    model = make_model("TinySeqDropout")
    assert predict(case, tmp_path / "val", model, "--save_probabilities", "--argmax") == 0
    in_host.run("seqdropout", "calibrate", "-gt", references, "-p", tmp_path / "val", "-o", tmp_path / "t.json")
    words = (case, references, tmp_path / "subsets", model, "--patterns", "+".join(SEQUENCES), "flair")
    assert measure_subsets(*words, "--threshold-file", tmp_path / "missing.json") == 2
    assert "missing.json" in capsys.readouterr().err
    own = ("--threshold-file", tmp_path / "t.json", "--min-volume-mm3", "2.5")
    printed = in_host.run("seqdropout", *words_of_subsets(*words, *own))
    assert f"Report: {tmp_path / 'subsets' / 'report.html'}" in printed
    written = json.loads((tmp_path / "t.json").read_text())["thresholds"]["+".join(SEQUENCES)]["value"]
    said = json.loads((tmp_path / "subsets" / "summary.json").read_text())["threshold"]
    assert said["values"]["flair"] == {"value": written, "of": "+".join(SEQUENCES)}
    assert str(tmp_path / "t.json") in said["source"]
    assert "fp_2.5mm3" in set(pd.read_csv(tmp_path / "subsets" / "subsets.csv")["metric"])


def test_subsets_takes_the_thresholds_that_predict_takes(make_model, case, references, tmp_path, capsys):
    model = make_model("TinySeqDropout")
    complete = "+".join(SEQUENCES)
    calibrated = model / "fold_0" / "thresholds.json"

    def threshold(*options: object) -> tuple[float, str]:
        """Of the row of all sequences: what the table says, and how it came."""
        command = ("--patterns", complete, "--no-report", *options)
        assert measure_subsets(case, references, tmp_path / "out", model, *command) == 0
        said = json.loads((tmp_path / "out" / "summary.json").read_text())["threshold"]
        return pd.read_csv(tmp_path / "out" / "cases.csv")["threshold"][0], said["source"]

    assert np.isnan(threshold()[0])
    assert threshold("--threshold", 0.3) == (0.3, "as given.")
    Thresholds("1", "dice", {complete: Threshold(0.2, 3)}).write(calibrated)
    try:
        assert threshold()[0] == 0.2
        assert threshold()[1].startswith("the highest mean Dice")
        assert np.isnan(threshold("--argmax")[0])
        assert threshold("--threshold", 0.3)[0] == 0.3
        assert not (tmp_path / "out" / "report.html").exists()
        # what predict makes of it is what was measured
        assert predict(case, tmp_path / "p", model) == 0
        n_predicted = int((sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "p" / "P.nii.gz"))) == 1).sum())
        assert threshold()[0] == 0.2
        assert pd.read_csv(tmp_path / "out" / "cases.csv")["volume_predicted_mm3"][0] == n_predicted
        # a pattern that no threshold fits is said before the model is loaded
        Thresholds("1", "dice", {"flair": Threshold(0.2, 3)}).write(calibrated)
        assert measure_subsets(case, references, tmp_path / "out", model, "--patterns", complete) == 2
        assert f"no threshold for {complete}" in capsys.readouterr().err
    finally:
        calibrated.unlink()
    assert measure_subsets(case, references, tmp_path / "out", model, "--threshold", 1.2) == 2


def test_the_page_stands_beside_the_tables(make_model, case, references, tmp_path):
    (references.parent / "manifest.json").write_text(json.dumps({"settings": {"synthetic": True}}))
    model = make_model("TinySeqDropout")
    assert measure_subsets(case, references, tmp_path / "out", model, "--patterns", "flair", "t1ce") == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert str(model) in page
    assert "Synthetic patients" in page
    # another run without a page leaves none of the old one
    assert measure_subsets(case, references, tmp_path / "out", model, "--patterns", "flair", "--no-report") == 0
    assert not (tmp_path / "out" / "report.html").exists()


def with_one_fold(model: Path, target: Path) -> Path:
    """A copy without the folds that other tests have trained."""
    shutil.copytree(
        model, target, ignore=lambda _, names: {n for n in names if n.startswith("fold_") and n != "fold_0"}
    )
    return target


def test_without_f_the_folds_that_are_there_are_an_ensemble(make_model, case, tmp_path):
    one = make_model("TinySeqDropout")
    two = with_one_fold(one, tmp_path / one.name)
    shutil.copytree(one / "fold_0", two / "fold_3")
    checkpoint = torch.load(two / "fold_3" / "checkpoint_final.pth", weights_only=False)
    for weight in checkpoint["network_weights"].values():
        if weight.is_floating_point():
            weight *= 0.9
    torch.save(checkpoint, two / "fold_3" / "checkpoint_final.pth")
    image = {"flair": read_image(case / "P_0003.nii.gz")}
    each = [load_model(two, folds=[fold]) for fold in (0, 3)]
    both = load_model(two)
    assert both.folds == ("0", "3")
    prepared = both.preprocess(image)
    first, second = (model.logits(prepared) for model in each)
    mean = (first + second) / 2
    assert torch.allclose(both.logits(prepared), mean, atol=1e-3)
    assert not torch.allclose(each[0].logits(prepared), mean, atol=1e-3)
    # fold_all is a model by itself
    shutil.copytree(one / "fold_0", two / "fold_all")
    assert load_model(two).folds == ("0", "3")
    shutil.rmtree(two / "fold_0")
    shutil.rmtree(two / "fold_3")
    assert load_model(two).folds == ("all",)


def test_an_ensemble_does_not_take_the_threshold_of_one_fold(make_model, case, tmp_path, caplog):
    two = with_one_fold(make_model("TinySeqDropout"), tmp_path / "two")
    Thresholds("1", "dice", {"+".join(SEQUENCES): Threshold(0.2, 3)}).write(two / "fold_0" / "thresholds.json")
    words = ["predict", "-i", case, "-o", tmp_path / "out", "-m", two, "-device", "cpu", "--disable_tta"]
    assert main([str(word) for word in words]) == 0
    assert json.loads((tmp_path / "out" / "P.json").read_text())["threshold"] == 0.2
    shutil.copytree(two / "fold_0", two / "fold_1")
    assert main([str(word) for word in words]) == 0
    assert json.loads((tmp_path / "out" / "P.json").read_text())["threshold"] is None
    assert "was calibrated for one fold, not for the ensemble" in caplog.text


def test_a_youden_index_in_a_models_fold_is_applied_only_if_it_is_named(make_model, case, tmp_path, caplog, capsys):
    model = with_one_fold(make_model("TinySeqDropout"), tmp_path / "model")
    file = model / "fold_0" / "thresholds.json"
    Thresholds("1", "youden_pooled", {"+".join(SEQUENCES): Threshold(0.2, 3)}).write(file)
    assert predict(case, tmp_path / "out", model) == 0
    assert json.loads((tmp_path / "out" / "P.json").read_text())["threshold"] is None
    assert "was chosen by the Youden index" in caplog.text
    assert "Threshold: none, the most probable label is predicted" in capsys.readouterr().out
    assert predict(case, tmp_path / "out", model, "--threshold-file", file) == 0
    assert json.loads((tmp_path / "out" / "P.json").read_text())["threshold"] == 0.2
    assert f"Threshold: 0.2 for {'+'.join(SEQUENCES)}, youden_pooled of {file}" in capsys.readouterr().out


def test_a_preprocessed_case_is_reused_only_where_that_changes_nothing(make_model, case, monkeypatch):
    model = load_model(make_model("TinySeqDropout"), folds=[0])
    images = {channel: read_image(case / f"P_000{channel}.nii.gz") for channel in range(4)}
    images[1] = images[0] * 2  # masked alike
    complete = model.preprocess({SEQUENCES[channel]: image for channel, image in images.items()})
    reused = []
    for kept in SUBSETS:
        calls: list[int] = []
        original = Model.preprocess
        monkeypatch.setattr(Model, "preprocess", lambda self, i, o=original, c=calls: c.append(1) or o(self, i))
        ours = without(model, complete, images, kept)
        monkeypatch.setattr(Model, "preprocess", original)
        anew = model.preprocess({SEQUENCES[channel]: images[channel] for channel in kept})
        assert torch.equal(ours.data, anew.data)
        assert ours.present == anew.present
        assert ours.properties["bbox_used_for_cropping"] == anew.properties["bbox_used_for_cropping"]
        reused.append(not calls)
    assert [kept for kept, again in zip(SUBSETS, reused, strict=True) if again] == [(0, 2, 3), (1, 2, 3), (0, 1, 2, 3)]


def test_only_the_patterns_named_are_measured(make_model, case, references, tmp_path):
    model = make_model("TinySeqDropout")
    assert measure_subsets(case, references, tmp_path / "out", model, "--patterns", "t1ce+flair", "0+3") == 0
    assert pd.read_csv(tmp_path / "out" / "subsets.csv")["pattern"].unique().tolist() == ["t1_gd+flair", "bravo+flair"]
    assert measure_subsets(case, references, tmp_path / "out", model, "--patterns", "pet") == 2


def test_patterns_of_channels_that_are_aliases_of_each_other_are_told_apart(make_model, case, references, tmp_path):
    (case / "P_0003.nii.gz").unlink()
    model = make_model("TinySeqDropout", sequences=("bravo", "mprage", "flair"))
    assert measure_subsets(case, references, tmp_path / "out", model, "--patterns", "mprage", "bravo+flair", "1+2") == 0
    measured = pd.read_csv(tmp_path / "out" / "cases.csv")
    assert list(measured["pattern"]) == ["bravo+flair", "mprage+flair", "mprage"]


def test_a_model_folder_that_is_incomplete_is_named(make_model):
    folder = make_model("TinySeqDropout")
    with pytest.raises(Fault, match=r"no file .*fold_3"):
        load_model(folder, folds=[3])


def test_from_python_images_go_in_and_arrays_come_out(make_model, case):
    model = load_model(make_model("TinySeqDropout"), folds=[0])
    segmentation = model.predict({"T1ce": read_image(case / "P_0002.nii.gz")})
    assert segmentation.labels.shape == (9, 40, 38)
    assert segmentation.probabilities.shape == (2, 9, 40, 38)
    assert np.allclose(model.probability(segmentation, [0, 1]), 1, atol=1e-5)
    with pytest.raises(Fault, match="no usable sequence"):
        model.predict({})
    with pytest.raises(Fault, match="the model has no label"):
        model.probability(segmentation, [7])
