"""Everything measured on one patient: counted by hand, on published pairs, and what must not change."""

import json
from math import isnan, nan

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from dataset_conversion.files.images.image_io import read_image
from evaluation.metrics.lesion.froc import froc_counts
from evaluation.metrics.lesion.lesions import Objects, detect
from evaluation.patient import Grid, Rules, evaluate_patient

SHAPE = (3, 4, 5)
BOOLS = arrays(bool, SHAPE)
PROBABILITIES = arrays(np.float32, SHAPE, elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]).map(np.float32))


def example() -> tuple[np.ndarray, np.ndarray]:
    """Two lesions, of 3 voxels and of 1; predicted: two voxels of the first and one more, and a speck far away."""
    reference, probability = np.zeros((4, 5, 6), bool), np.zeros((4, 5, 6), np.float32)
    reference[0, 0, 0:3] = reference[3, 4, 5] = True
    probability[0, 0, 1:4] = 0.9
    probability[2, 3, 0] = 0.7
    probability[3, 4, 5] = 0.2
    return reference, probability


def test_every_column_counted_by_hand():
    reference, probability = example()
    grid = Grid(spacing_mm=(1, 2, 2.5))  # 5 mm3 a voxel
    result = evaluate_patient(reference, probability=probability, grid=grid, rules=Rules(0.5, (5, 10)))
    # 4 lesion voxels (0, .9, .9, .2) against 116 others, of which one has .9, one .7, 114 have 0
    auc = (114 / 2 + 2 * (115 + 0.5) + 114) / (4 * 116)
    assert result.measures == {
        "auc": pytest.approx(auc, abs=1e-15),
        "dice": 2 * 2 / (4 + 4),
        "precision": 2 / 4,
        "recall": 2 / 4,
        "n_lesions": 2,
        "n_found": 1,
        "sensitivity": 0.5,
        "n_objects": 2,
        "fp": 1,
        "fp_5mm3": 1,
        "fp_10mm3": 0,
        "found_5mm3": 1,
        "found_10mm3": 1,
        "volume_reference_mm3": 20,
        "volume_predicted_mm3": 20,
        "voxel_mm3": 5,
        "iou": 2 / 6,
        # the two specks are (5, 2, 2.5) mm apart: the two longest of eight distances, 0, 0, 0, 0, 1 and 1 the others
        "hd95_mm": (25 + 4 + 6.25) ** 0.5,
        "nsd": 3 / 4,
        # at .9 two of three voxels and half of the lesions, at .2 three of five, at 0 four of 120
        "auprc": 2 / 3 * 2 / 4 + 3 / 5 * 1 / 4 + 4 / 120 * 1 / 4,
        "brier": pytest.approx((1 + 2 * 0.1**2 + 0.8**2 + 0.9**2 + 0.7**2) / 120, abs=1e-8),
        # one match, of Dice 2/3, a missed lesion and a false object; both lesions lie below 20 mm3
        "lesion_f1": 2 / 4,
        "lesion_dice": pytest.approx(nan, nan_ok=True),
        "lesion_hd95_mm": pytest.approx(nan, nan_ok=True),
        "lesion_nsd": pytest.approx(nan, nan_ok=True),
        "lesion_f1_small": 2 / 4,
    }
    assert result.n_one_to_one == 1


def test_the_table_of_lesions_says_where_each_lies_and_what_became_of_it():
    reference, probability = example()
    grid = Grid((1, 2, 2.5), (10, 20, 30), (-1, 0, 0, 0, 1, 0, 0, 0, 1))
    table = evaluate_patient(reference, probability=probability, grid=grid).lesions
    assert table[["side", "object", "volume_mm3", "status", "matches"]].to_numpy().tolist() == [
        ["reference", 1, 15, "found", "1"],
        ["reference", 2, 5, "missed", ""],
        ["predicted", 1, 15, "true", "1"],
        ["predicted", 2, 5, "false", ""],
    ]
    # the first lesion's middle voxel is x 1, y 0, z 0, and x runs backwards; the second is x 5, y 4, z 3
    assert table[["x_mm", "y_mm", "z_mm"]].to_numpy()[:2].tolist() == [[9, 20, 30], [5, 28, 37.5]]
    assert table["p_max"].tolist() == pytest.approx([0.9, 0.2, 0.9, 0.7])
    assert table["p_mean"].tolist() == pytest.approx([0.6, 0.2, 0.9, 0.7])
    # two of three voxels in common
    assert table["dice"].tolist() == pytest.approx([2 / 3, 0, 2 / 3, 0])
    assert table["iou"].tolist() == pytest.approx([2 / 4, 0, 2 / 4, 0])
    # a sphere of 15 mm3
    assert table["diameter_mm"][0] == pytest.approx(2 * (15 * 3 / 4 / np.pi) ** (1 / 3))


def test_a_voxel_counts_from_the_threshold_on_compared_in_double_precision():
    reference = np.ones((1, 1, 2), bool)
    single = np.full((1, 1, 2), 0.7, np.float32)  # a little less than 0.7
    assert evaluate_patient(reference, probability=single, rules=Rules(0.7)).measures["recall"] == 0
    assert evaluate_patient(reference, probability=single, rules=Rules(float(np.float32(0.7)))).measures["recall"] == 1


def test_a_threshold_of_zero_predicts_every_voxel():
    reference, probability = example()
    measures = evaluate_patient(reference, probability=probability, rules=Rules(0.0)).measures
    assert (measures["recall"], measures["precision"], measures["n_objects"]) == (1, 4 / 120, 1)


def test_nothing_outside_the_mask_counts():
    reference, probability = example()
    mask = np.zeros_like(reference)
    mask[0] = True
    measures = evaluate_patient(reference, probability=probability, mask=mask).measures
    alone = evaluate_patient(reference[:1], probability=probability[:1]).measures
    assert measures == pytest.approx(alone, abs=1e-15, nan_ok=True)


def test_without_lesions_sensitivity_and_area_are_undefined():
    reference, probability = np.zeros(SHAPE, bool), np.zeros(SHAPE)
    measures = evaluate_patient(reference, probability=probability).measures
    undefined = ("auc", "auprc", "dice", "iou", "precision", "recall", "sensitivity", "hd95_mm", "nsd")
    assert all(isnan(measures[name]) for name in undefined)
    assert all(isnan(measures[name]) for name in measures if name.startswith("lesion_"))
    assert measures["brier"] == 0
    assert (measures["n_lesions"], measures["n_objects"], measures["fp"]) == (0, 0, 0)


def test_a_label_map_has_no_area():
    reference, probability = example()
    result = evaluate_patient(reference, predicted=probability >= 0.5)
    assert all(isnan(result.measures[name]) for name in ("auc", "auprc", "brier"))
    assert result.roc is None
    assert result.lesions["p_max"].isna().all()


def test_a_mask_beside_probabilities_tells_the_objects_and_they_the_curves():
    """As a model's most probable label does: at the threshold the objects would be others."""
    reference, probability = example()
    predicted = probability >= 0.8
    both = evaluate_patient(reference, probability=probability, predicted=predicted, rules=Rules(0.1)).measures
    at_mask = evaluate_patient(reference, predicted=predicted).measures
    curves = {"auc", "auprc", "brier"}
    of_probability = evaluate_patient(reference, probability=probability).measures
    assert {name: both[name] for name in curves} == {name: of_probability[name] for name in curves}
    assert {n: str(v) for n, v in both.items() if n not in curves} == {
        n: str(v) for n, v in at_mask.items() if n not in curves
    }


def test_no_prediction_or_another_shape_is_refused():
    reference, _ = example()
    with pytest.raises(ValueError, match="Give the probabilities, the predicted mask, or both"):
        evaluate_patient(reference)
    with pytest.raises(ValueError, match=r"shape \(4, 5, 6\), the other volume \(1, 5, 6\)"):
        evaluate_patient(reference, predicted=reference[:1])


@given(BOOLS, PROBABILITIES, BOOLS, st.sampled_from([0.25, 0.5, 0.75]))
def test_it_agrees_with_its_parts_and_flipping_all_changes_nothing(reference, probability, mask, threshold):
    rules = Rules(threshold, (2.0,))
    result = evaluate_patient(reference, probability=probability, mask=mask, rules=rules)
    flipped = [np.flip(volume, (0, 2)) for volume in (reference, probability, mask)]
    again = evaluate_patient(flipped[0], probability=flipped[1], mask=flipped[2], rules=rules)
    # of several equally good matchings of lesions any may be taken
    flips = {name: value for name, value in again.measures.items() if not name.startswith("lesion_")}
    assert {name: result.measures[name] for name in flips} == pytest.approx(flips, nan_ok=True)
    inside = reference[mask]
    if inside.any() and not inside.all():
        assert result.measures["auc"] == pytest.approx(roc_auc_score(inside, probability[mask]), abs=1e-12)
    if inside.any():
        expected = average_precision_score(inside, probability[mask])
        assert result.measures["auprc"] == pytest.approx(expected, abs=1e-12)
    if mask.any():
        assert result.measures["brier"] == pytest.approx(
            brier_score_loss(inside, probability[mask].astype(float)), abs=1e-12
        )
    counts = froc_counts(reference & mask, np.where(mask, probability, 0), (threshold,))
    assert counts.tolist() == [[result.measures["n_found"], result.measures["fp"]]]
    status = result.lesions.groupby(["side", "status"]).size()
    assert status.get(("reference", "found"), 0) == result.measures["n_found"]
    assert status.get(("predicted", "false"), 0) == result.measures["fp"]


@given(BOOLS)
def test_a_prediction_that_is_the_reference_is_perfect(reference):
    measures = evaluate_patient(reference, predicted=reference).measures
    expected = 1 if reference.any() else nan
    perfect = ("dice", "iou", "precision", "recall", "sensitivity", "nsd", "lesion_f1")
    assert [measures[n] for n in perfect] == pytest.approx([expected] * len(perfect), nan_ok=True)
    assert measures["hd95_mm"] == pytest.approx(0 if reference.any() else nan, nan_ok=True)
    assert (measures["n_found"], measures["fp"]) == (measures["n_lesions"], 0)


@given(BOOLS, BOOLS)
def test_exchanging_reference_and_prediction_exchanges_missed_and_false(first, second):
    one = evaluate_patient(first, predicted=second).measures
    other = evaluate_patient(second, predicted=first).measures
    assert one["fp"] == other["n_lesions"] - other["n_found"]
    assert (one["precision"], one["dice"]) == pytest.approx((other["recall"], other["dice"]), nan_ok=True)
    symmetric = ("iou", "hd95_mm", "nsd")
    assert [one[name] for name in symmetric] == pytest.approx([other[name] for name in symmetric], nan_ok=True)


REGIONS = {"ET": (3,), "TC": (1, 3), "WT": (1, 2, 3)}


@pytest.mark.parametrize("case", ["00630-001", "01325-000"])
@pytest.mark.parametrize("region", REGIONS)
def test_published_brats_metastases_are_counted_as_published(real_data, case, region):
    folder = real_data / "lesion_metric_pairs" / "brats_mets"
    expected = json.loads((folder / "expected.json").read_text())["cases"][case]
    images = [read_image(next((folder / side).glob(f"*{case}*"))) for side in ("ref", "pred")]
    reference, predicted = (np.isin(sitk.GetArrayViewFromImage(image), REGIONS[region]) for image in images)
    measures = evaluate_patient(reference, predicted=predicted).measures
    assert (measures["n_lesions"], measures["n_objects"]) == (expected["n_ref"][region], expected["n_pred"][region])
    assert measures["dice"] == pytest.approx(expected["global_dice"][region], abs=5e-7)
    if region in expected["tp_fp_fn"]:
        found, false, missed = expected["tp_fp_fn"][region]
        assert (measures["n_found"], measures["fp"]) == (found, false)
        assert measures["n_lesions"] - measures["n_found"] == missed
    # the package takes the spacings x, y, z for the axes z, y, x of its arrays; here it is told so
    as_published = Grid(images[0].GetSpacing()[::-1])
    measures = evaluate_patient(reference, predicted=predicted, grid=as_published).measures
    published = {k: v for k, v in expected["lesion_wise"][region].items() if k.startswith("lesion_")}
    published = {name: nan if value is None else value for name, value in published.items()}
    assert {name: measures[name] for name in published} == pytest.approx(published, abs=1e-6, nan_ok=True)


# by hand, of the ten maps: lesions, found, objects, false positives under our rule; then the owners' published counts,
# true positives, false positives, false negatives
PICAI = [
    ((0, 0, 0, 0), (0, 0, 0)),
    ((1, 0, 0, 0), (0, 0, 1)),
    ((0, 0, 1, 1), (0, 1, 0)),
    ((1, 0, 1, 1), (0, 1, 1)),
    ((1, 1, 1, 0), (1, 0, 0)),
    ((1, 1, 2, 0), (1, 1, 0)),  # the second candidate overlaps by too little for them
    ((1, 1, 2, 0), (1, 0, 0)),
    ((2, 2, 1, 0), (1, 0, 1)),  # one candidate over two lesions finds both, by our rule
    ((2, 2, 1, 0), (1, 0, 1)),
    # described with two candidates and without counts; the file has one, which overlaps by an IoU of 1/49
    ((1, 1, 1, 0), (0, 1, 1)),
]


@pytest.mark.parametrize("number", range(10))
def test_picai_maps_are_counted_by_our_rule_and_their_objects_by_theirs(real_data, number):
    ours, published = PICAI[number]
    folder = real_data / "lesion_metric_pairs" / "picai"
    images = [read_image(folder / f"case-{number}_{kind}.nii.gz") for kind in ("label", "detection_map")]
    label, detection_map = (sitk.GetArrayViewFromImage(image) > 0 for image in images)
    result = evaluate_patient(label, predicted=detection_map)
    assert [result.measures[name] for name in ("n_lesions", "n_found", "n_objects", "fp")] == list(ours)
    assert _picai_counts(result.reference, result.predicted) == published


def _picai_counts(lesions: Objects, candidates: Objects) -> tuple[int, int, int]:
    """PI-CAI's rule: a hit is an IoU of at least 0.1; a lesion has one hit; further candidates on it are ignored."""
    shared = {(lesion, candidate): n for lesion, candidate, n in detect(lesions, candidates).pairs.tolist()}
    iou = {(i, j): n / (lesions.n_voxels[i - 1] + candidates.n_voxels[j - 1] - n) for (i, j), n in shared.items()}
    hits = {pair for pair, value in iou.items() if value >= 0.1}
    taken: set[int] = set()
    for lesion in range(1, lesions.count + 1):
        free = [candidate for i, candidate in hits if i == lesion and candidate not in taken]
        taken |= {max(free, key=lambda candidate: iou[lesion, candidate])} if free else set()
    false = candidates.count - len({candidate for _, candidate in hits})
    return len(taken), false, lesions.count - len(taken)
