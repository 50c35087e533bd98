"""The page of a study says what its tables say, and what they do not show."""

from dataclasses import replace

import numpy as np
import pytest
from example_evaluation import CASES, averages, example
from example_study_results import NAMES, results, worse
from example_subsets import subsets
from pages import Page

from evaluation.report.study import write_study_page
from evaluation.tables.comparison import compare, compare_with_all
from evaluation.tables.results import Evaluation


def second_seed(name: str) -> Evaluation:
    """Every Dice lower by 0.2, so 0.3 in the mean for 0.5; of P2's lesions none found, so 5 of 10 for 6."""
    cases = CASES.assign(dice=CASES["dice"] - 0.2, n_found=[3, 0, 0, 2])
    return replace(example(f"{name}_seed7", metrics=averages(cases)), cases=cases)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    return Page(write_study_page(tmp_path_factory.mktemp("study"), results()))


@pytest.fixture(scope="module")
def page_of_seeds(tmp_path_factory) -> Page:
    """DropOut with the seeds 0 and 7, the others with one."""
    given = results(second={"DropOut": second_seed("DropOut")})
    return Page(write_study_page(tmp_path_factory.mktemp("study"), given))


def test_differences_are_paired_and_keep_their_sign():
    table = compare_with_all(example("A"), [worse("B", 0.05), worse("C", -0.02)])
    dice = table[table["metric"] == "dice"].set_index("against")
    assert dice.loc["B", "difference"] == pytest.approx(0.05)
    assert dice.loc["C", "difference"] == pytest.approx(-0.02)
    assert dice.loc["B", "ci_low"] == pytest.approx(0.05)
    assert dice.loc["B", "n"] == 3


def test_holm_counts_all_metrics_of_all_models():
    one, other = worse("B", 0.05), worse("C", -0.02)
    table = compare_with_all(example("A"), [one, other])
    alone = compare(example("A"), one)
    raw = table["p_signed_rank"].dropna()
    smallest = raw.min()
    assert table["p_signed_rank_holm"].min() == pytest.approx(min(1, smallest * len(raw)))
    of_one = table[table["against"] == "B"].set_index("metric")
    np.testing.assert_allclose(of_one["p_rank_sum"], alone.set_index("metric")["p_rank_sum"])
    assert (table["p_rank_sum_holm"] >= table["p_rank_sum"] - 1e-12).all()


def test_the_table_of_differences_shows_every_member_of_holms_family(page):
    heads, first = page.tables[4][0], page.tables[4][1]
    assert heads[1:] == [
        "AUC",
        "Dice",
        "Precision",
        "Recall",
        "Lesions found, share",
        "False positives",
        "False positives ≥ 10 mm³",
    ]
    assert all(cell.count("(") == 2 for cell in first[1:])


def test_every_model_stands_there_with_what_it_found_and_what_it_cost(page):
    short, costs = page.tables[0], page.tables[2]
    assert short[1] == ["metastasis, as acquired"]
    assert [row[0] for row in short[2:]] == NAMES
    assert short[2][2:] == ["0.500", "6 of 10", "3.2"]
    assert costs[1][:6] == ["DropOut", "SeqDropoutTrainer", "1", "15.6", "12", "6,000"]
    assert costs[3][5] == "6,000 to 6,012"


def test_a_difference_of_fewer_patients_says_of_how_many(page):
    """Of four, P3 has no lesion and P10 no precision."""
    heads, first = page.tables[4][0], page.tables[4][1]
    cells = [first[heads.index(name)] for name in ("Dice", "Precision", "False positives")]
    assert [cell.rpartition(") ")[2] for cell in cells[:2]] == ["3 patients", "2 patients"]
    assert "patients" not in cells[2]


def test_the_memory_of_the_gpu_stands_there_where_one_was_used(page, tmp_path):
    assert not any("GPU" in head for head in page.tables[2][0])
    costs = Page(write_study_page(tmp_path, results(gpu_mebibytes=[5000.0, 4000.0, 6000.0]))).tables[2]
    assert costs[1][costs[0].index("GPU, MiB: training")] == "5,000"


def test_each_other_model_is_compared_with_the_first(page):
    compared = page.tables[4]
    assert [row[0].split("95")[0].strip() for row in compared[1:]] == ["less DeepLabV3", "less nnU-Net"]
    assert "+0.050" in compared[1][2]
    assert "\N{MINUS SIGN}0.020" in compared[2][2]


def test_the_primary_endpoint_comes_before_all_other_tests(page):
    """Dice: 0.05 above DeepLabV3 in each of three patients, 0.02 below nnU-Net, which is within the margin."""
    primary = page.tables[1]
    assert primary[0][:3] == ["Against", "Difference", "95 % interval"]
    assert [row[0] for row in primary[1:]] == ["DeepLabV3", "nnU-Net"]
    assert primary[1][1].startswith("+0.050")
    assert primary[1][-1] == primary[2][-1] == "3"
    # two comparisons of three patients: signed-rank p 0.25 each, by Holm 0.5
    assert [row[3:5] for row in primary[1:]] == [["0.250", "0.500"]] * 2
    assert "DropOut is not inferior to nnU-Net with the margin of 0.050" in page.text


def test_what_the_papers_threshold_gives_stands_beside(tmp_path):
    """Of each model but the way that its other numbers were taken with."""
    study = results()
    youden = {"method": "youden_pooled", "metrics": averages(CASES)}
    ways = [{"method": "dice", "metrics": averages(CASES)}, youden]
    (question,) = study.questions
    evaluations = [
        replace(e, summary={**e.summary, "protocols": ways, "threshold": {**e.summary["threshold"], "method": "dice"}})
        for e in question.evaluations
    ]
    page = Page(write_study_page(tmp_path, replace(study, questions=[replace(question, evaluations=evaluations)])))
    table = page.table("Threshold by")
    assert [row[:2] for row in table[1:]] == [["Youden index, the paper's", name] for name in NAMES]


def test_the_papers_numbers_stand_apart(page):
    assert page.tables[-1][2] == [
        "DropOut",
        "0.989 ± 0.029",
        "0.795 ± 0.105",
        "0.671 ± 0.262",
        "0.790 ± 0.158",
        "12.3 ± 10.2",
        "3.6 ± 4.1",
    ]
    assert "not to be compared" in page.text


def test_the_page_loads_nothing_from_outside(page):
    assert all(address.startswith(("data:", "evaluations/", "#")) for address in page.addresses)


def test_synthetic_patients_and_unequal_budgets_are_said_on_top(tmp_path):
    page = Page(write_study_page(tmp_path, results(synthetic=True, warnings=["not equally many slices"])))
    assert "Synthetic patients: these numbers show that the machinery works" in page.text
    assert "not equally many slices" in page.text


def test_the_spread_over_seeds_stands_beside_the_mean_over_patients(page_of_seeds):
    """Dice 0.5 and 0.3 in the mean: 0.4, and 0.2/sqrt(2) apart."""
    heads, first, second = page_of_seeds.tables[3][:3]
    dice = heads.index("Dice")
    assert first[dice].startswith("0.400 ± ")
    assert "± 0.141 over 2 seeds" in first[dice]
    assert "over" not in second[dice]
    assert (first[-1], second[-1]) == ("that of each seed", "0.76")


def test_a_mean_of_lesions_found_has_a_decimal_only_if_it_is_not_whole(page_of_seeds):
    short = page_of_seeds.tables[0]
    assert [row[3] for row in short[2:4]] == ["5.5 of 10", "6 of 10"]


def test_every_seed_stands_in_a_table_and_leads_to_its_own_report(page_of_seeds):
    table = page_of_seeds.table("Seed")
    assert [row[:2] for row in table[1:]] == [["DropOut", "0"], ["", "7"]]
    dice = table[0].index("Dice")
    assert [(row[dice], row[-1]) for row in table[1:]] == [("0.500", "0.76"), ("0.300", "0.76")]
    reports = [address for address in page_of_seeds.addresses if address.endswith("report.html")]
    names = ["DeepLabV3", "nnU-Net", "DropOut", "DropOut_seed7"]
    assert reports == [f"evaluations/{name}/report.html" for name in names]


def test_what_it_shows_is_true_for_one_seed_and_for_several(page, page_of_seeds, tmp_path):
    second = {name: second_seed(name) for name in NAMES}
    all_of_several = Page(write_study_page(tmp_path, results(second=second)))
    one_seed, spread, one_draw = "with one seed on the same number", "spread over seeds stands beside", "to one draw"
    says = [[words in shown.text for words in (one_seed, spread, one_draw)] for shown in (page, page_of_seeds)]
    assert says == [[True, False, False], [False, True, True]]
    assert [words in all_of_several.text for words in (one_seed, spread, one_draw)] == [False, True, False]
    assert "with several seeds: DropOut." in page_of_seeds.text
    assert "several seeds" not in page.text
    assert "Seed by seed" not in page.text


def test_subsets_of_several_seeds_say_so(tmp_path):
    given = results(second={"DropOut": second_seed("DropOut")})
    both = {"DropOut": subsets(), "nnU-Net": subsets()}
    for measured, says in (
        ([0, 7], "mean over the seeds 0, 7, each with thresholds of its own"),
        ([7], "Of seed 7 alone."),
    ):
        seeds = {"DropOut": measured, "nnU-Net": [0]}
        shown = Page(write_study_page(tmp_path, replace(given, subsets=both, subset_seeds=seeds)))
        assert shown.text.count(says) == 1
        assert ("over the seeds 0, 7" in shown.text) == (len(measured) == 2)
