"""Two seeds of one model on two patients, averaged by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from example_seeds import NAN, OK, two_seeds
from example_subsets import subsets

from dataset_conversion.plurals import counted
from evaluation.metrics.statistics.proportions import clustered_proportion
from evaluation.tables.results import Evaluation, read_evaluation
from evaluation.tables.seeds import averaged, averaged_subsets, spread
from evaluation.tables.summaries import averages, strata


@pytest.fixture
def one() -> Evaluation:
    return averaged(two_seeds(), name="A")


def test_a_patients_value_is_the_mean_over_the_seeds_in_which_it_is_defined(one):
    assert one.cases["case"].tolist() == ["P1", "P2"]
    assert one.cases["dice"].tolist() == pytest.approx([0.7, 0.2])  # P2: of the second seed alone
    assert one.cases["n_found"].tolist() == [1.5, 1]
    assert one.cases["n_lesions"].tolist() == [2, 4]
    assert one.cases["pattern"].tolist()[1] == "t1_gd"
    assert list(one.cases.columns) == list(two_seeds()[0].cases.columns)


def test_averages_are_over_the_patients_means(one):
    dice = one.summary["metrics"]["dice"]
    assert dice["mean"] == pytest.approx(0.45)  # not 0.6, the mean of the seeds' 0.8 and 0.4
    assert dice["sd"] == pytest.approx(0.5 / np.sqrt(2))
    assert (dice["n"], dice["n_undefined"]) == (2, 0)
    few, many = one.summary["strata"]
    assert (few["metrics"]["dice"]["mean"], many["metrics"]["dice"]["mean"]) == pytest.approx((0.7, 0.2))


def test_the_spread_is_that_of_the_seeds_means_over_patients():
    dice = spread(two_seeds(), "dice")
    assert dice == {"n_seeds": 2, "sd_seeds": pytest.approx(0.4 / np.sqrt(2))}  # of 0.8 and 0.4


def test_one_seed_and_a_metric_of_one_seed_have_no_spread():
    precision, alone = spread(two_seeds(), "precision"), spread(two_seeds()[:1], "dice")
    assert (precision["n_seeds"], alone["n_seeds"]) == (1, 1)
    assert np.isnan(precision["sd_seeds"])
    assert np.isnan(alone["sd_seeds"])


def test_totals_are_means_over_seeds_and_whole_where_they_are(one):
    """Found: 3 and 2 of 6 lesions; false positives: 1 and 3."""
    totals = one.summary["totals"]
    assert totals == {"n_patients": 2, "n_lesions": 6, "n_found": 2.5, "fp": 2}
    assert [counted(totals[name]) for name in ("n_lesions", "n_found", "fp")] == ["6", "2.5", "2"]
    assert type(totals["fp"]) is int


def test_thirds_add_up_to_whole_totals():
    """One seed of three finds a lesion in each of six patients: 2, and not 1.9999999999999998."""
    six = pd.DataFrame({"case": list("ABCDEF"), "pattern": NAN, "dice": NAN, "precision": NAN, "n_lesions": 1, "fp": 0})
    lesions = two_seeds()[0].lesions.iloc[:0]
    seeds = [replace(two_seeds()[0], cases=six.assign(n_found=n), lesions=lesions) for n in (1, 0, 0)]
    n_found = averaged(seeds, name="A").summary["totals"]["n_found"]
    assert (n_found, type(n_found)) == (2, int)


def test_curves_are_means_at_each_rate_and_each_number_of_false_positives(one):
    """Half bands at 0.5: 0.2, and 0.4 below, cut off at 1 above: 0.85 - 0.3, and 1.15 cut off.

    At 1 false positive the first seed has found 0.3, the second nothing; at 8 the second stays at 0.7.
    """
    assert one.roc["tpr_mean"].tolist() == pytest.approx([0.3, 0.85, 1])
    assert one.roc["tpr_low"].tolist() == pytest.approx([0.1, 0.55, 1])
    assert one.roc["tpr_high"].tolist() == pytest.approx([0.5, 1, 1])
    assert one.froc["fp_highest"].tolist() == [1, 2, 4, 8]
    assert one.froc["sensitivity"].tolist() == pytest.approx([0.15, 0.4, 0.5, 0.8])
    assert one.froc["sensitivity_low"].tolist() == pytest.approx([0.05, 0.1, 0.1, 0.1])
    assert one.froc["threshold"].isna().all()
    assert set(one.froc["n_lesions"]) == {6}


def test_label_maps_have_no_curves_in_the_mean_either():
    seeds = [replace(e, roc=e.roc.iloc[:0], froc=e.froc.iloc[:0]) for e in two_seeds()]
    assert averaged(seeds, name="A").roc.empty
    assert averaged(seeds, name="A").froc.empty


def test_sensitivity_by_size_is_the_mean_with_the_interval_of_as_many_lesions(one):
    """Of two small lesions 0 and 1 were found, of four larger ones 3 and 1."""
    small, large, larger, largest = one.summary["sensitivity_by_size"]
    assert (small["n_lesions"], small["n_found"], small["sensitivity"]) == (2, 0.5, 0.25)
    assert (large["n_lesions"], large["n_found"], large["sensitivity"]) == (4, 2, 0.5)
    # of P1's two 2 and 1, of P2's two larger ones 1 and 0
    assert (large["ci_low"], large["ci_high"]) == clustered_proportion([1.5, 0.5], [2, 2])[1:]
    assert (larger["n_lesions"], largest["to_mm"]) == (0, None)
    assert [type(large[name]) for name in ("n_lesions", "n_found")] == [int, int]


def test_a_patient_of_one_seed_counts_once_among_the_lesions():
    """P2, evaluated by the first seed alone, has two small lesions, none found, and not one."""
    small = averaged(two_seeds(cases=("P1",)), name="A").summary["sensitivity_by_size"][0]
    assert (small["n_lesions"], small["n_found"]) == (2, 0)


def test_the_mean_has_the_name_and_no_threshold_of_its_own(one):
    assert one.name == "A"
    assert one.summary["threshold"] == {"method": "youden", "source": "Youden index.", "values": {}}
    assert one.summary["warnings"] == ["P2 is small."]


def test_one_seed_is_what_it_was_but_for_its_name():
    seed = two_seeds()[1]
    alone = averaged([seed], name="A")
    assert (alone.name, seed.name) == ("A", "A_seed1")
    assert alone.cases is seed.cases
    assert {**alone.summary, "name": "A_seed1"} == seed.summary


def test_a_patient_whom_one_seed_could_not_use_has_the_values_of_the_other():
    one = averaged(two_seeds(cases=("P1",)), name="A")
    assert one.cases.set_index("case").loc["P2", "n_found"] == 1
    assert one.summary["cases"] == {"P1": OK, "P2": OK}
    assert averaged(two_seeds(cases=("P1",))[::-1], name="A").summary["cases"]["P2"] == OK


def test_what_was_written_and_read_again_gives_the_same(tmp_path, one):
    """Undefined means are null in JSON."""
    for evaluation in two_seeds():
        cases = evaluation.cases.assign(auc=NAN, recall=NAN)
        summary = {**evaluation.summary, "metrics": averages(cases), "strata": strata(cases)}
        evaluation = replace(evaluation, cases=cases, summary=summary)
        evaluation.write(tmp_path / evaluation.name)
    seeds = [read_evaluation(tmp_path / name) for name in ("A", "A_seed1")]
    again = averaged(seeds, name="A")
    assert again.summary["totals"] == one.summary["totals"]
    assert again.roc["tpr_low"].tolist() == pytest.approx(one.roc["tpr_low"].tolist())
    assert spread(seeds, "precision")["n_seeds"] == 1


def test_subsets_are_averaged_by_patient_and_pattern_and_have_no_threshold():
    """P1 with both sequences: Dice 0.8 and 0.6; P3 has no AUC in either seed."""
    first = subsets()
    second = replace(first, cases=first.cases.assign(dice=first.cases["dice"] - 0.2, fp=4).iloc[::-1])
    one = averaged_subsets([first, second])
    assert one.cases["pattern"].tolist() == first.cases["pattern"].tolist()
    assert one.cases["dice"].tolist() == pytest.approx((first.cases["dice"] - 0.1).tolist())
    table = one.table.set_index(["pattern", "metric"])
    assert table.loc[("t1_gd+flair", "fp"), "mean"] == 3.5
    assert table.loc[("t1_gd+flair", "auc"), "n"] == 2
    assert one.cases["threshold"].isna().all()
    assert averaged_subsets([first]) is first


def test_the_confidence_of_two_seeds_does_not_count_more_objects():
    """Ten objects of .8 in the first seed, six in the second, eight and six of them true."""
    columns = {"measure": "p_max", "p_from": 0.8, "p_to": 0.9}
    tables = [
        pd.DataFrame(
            [{**columns, "n_objects": n, "n_true": true, "true_share": true / n, "ci_low": low, "ci_high": 1.0}]
        )
        for n, true, low in ((10, 8, 0.5), (6, 6, 0.7))
    ]
    seeds = [replace(seed, confidence=table) for seed, table in zip(two_seeds(), tables, strict=True)]
    (row,) = averaged(seeds, name="A").confidence.to_dict("records")
    assert (row["n_objects"], row["n_true"]) == (8, 7)
    assert (row["true_share"], row["ci_low"]) == pytest.approx((7 / 8, 0.6))
    assert averaged([seeds[0], two_seeds()[1]], name="A").confidence.empty
