"""The report of a study whose models were never trained: checkpoints, evaluations and subsets written by hand."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from example_evaluation import CASES, example
from example_study import ARMS, DESIGN, cohort, train
from example_subsets import subsets
from pages import Page

from evaluation.figures.evaluation import learning_figure
from evaluation.tables.summaries import averages, strata
from nnunet_seqdropout.study.commands import prepare_study
from nnunet_seqdropout.study.design.endpoint import declare, not_as_declared
from nnunet_seqdropout.study.folder import Study
from nnunet_seqdropout.study.models import arms_table, trained_models
from nnunet_seqdropout.study.report import write_study_report
from nnunet_seqdropout.study.runs import Run
from nnunet_seqdropout.study.state import Record, State
from nnunet_seqdropout.study.steps import Steps


def evaluate(study: Study, run: Run) -> None:
    """With the seed 3 every Dice is lower by 0.2, P4 could not be used, and subsets have two false positives more."""
    further = run.seed == 3
    cases = CASES.assign(dice=CASES["dice"] - (0.2 if further else 0))
    found = example(run.name, metrics=averages(cases), strata=strata(cases))
    if further:
        outcomes = {**found.summary["cases"], "P4": {"status": "failed", "problem": "", "remedy": ""}}
        found = replace(found, summary={**found.summary, "cases": outcomes})
    replace(found, cases=cases).write(study.evaluation(run, "as_acquired", "lesion"))
    if run.arm.drops:
        table = subsets().cases
        replace(subsets(), cases=table.assign(fp=table["fp"] + 2 * further)).write(study.subsets(run, "test"))


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory) -> tuple[Study, Steps]:
    """DropOut and nnU-Net with the seeds 0 and 3, zeros with 0 alone."""
    folder = tmp_path_factory.mktemp("study")
    design = replace(DESIGN, arms=(*ARMS[:2], replace(ARMS[2], seeds=(0,))), seeds=(0, 3))
    study = Study(folder / "out", design, cohort(folder))
    steps = prepare_study(study)
    for run in study.runs:
        train(study, run)
        evaluate(study, run)
        predicted = Record("", seconds=4 + run.seed, mebibytes=10 + run.seed)
        steps.state.write(f"predict/as_acquired/{run.name}/test", predicted)
    return study, steps


@pytest.fixture(scope="module")
def reported(evaluated) -> Path:
    return write_study_report(*evaluated).parent


def test_learning_and_arms_know_the_seed(reported):
    last = pd.read_csv(reported / "learning.csv").query("epoch == 1")
    rows = last[["arm", "seed", "pseudo_dice"]].values.tolist()
    assert rows == [["DropOut", 0, 0], ["DropOut", 3, 0.3], ["nnU-Net", 0, 0], ["nnU-Net", 3, 0.3], ["zeros", 0, 0]]
    arms = pd.read_csv(reported / "arms.csv")
    assert arms["n_models"].tolist() == [2, 2, 1]
    assert arms["seeds"].tolist() == ["0; 3", "0; 3", "0"]
    assert arms["training_minutes"].tolist() == [2, 2, 2]
    assert arms["seconds_per_volume"].tolist() == [2.75, 2.75, 2]  # 4 and 7 seconds for two patients
    assert arms["mebibytes_prediction"].tolist() == [13, 13, 10]


@pytest.mark.parametrize("records", [[], [Record("", seconds=4), Record("", seconds=4, resumed=True)]])
def test_what_no_run_did_from_start_to_end_has_no_time(evaluated, tmp_path, records):
    study, _ = evaluated
    state = State(tmp_path)
    for run, record in zip(study.runs, records, strict=False):
        state.write(f"predict/as_acquired/{run.name}/test", record)
    table = arms_table(study, Steps(state, [], {}), trained_models(study)).set_index("arm")
    assert math.isnan(table.loc["DropOut", "seconds_per_volume"])


def test_the_tables_have_the_mean_over_seeds_and_each_seed(reported):
    table = pd.read_csv(reported / "table.csv").set_index(["arm", "metric"])
    assert table.loc[("DropOut", "dice"), ["mean", "n_seeds"]].tolist() == pytest.approx([0.4, 2])
    assert table.loc[("DropOut", "dice"), "sd_seeds"] == pytest.approx(0.2 / 2**0.5)
    assert table.loc[("zeros", "dice"), "mean"] == pytest.approx(0.5)
    seeds = pd.read_csv(reported / "seeds.csv").set_index(["arm", "seed", "metric"])["mean"]
    assert [seeds[("nnU-Net", seed, "dice")] for seed in (0, 3)] == pytest.approx([0.5, 0.3])
    compared = pd.read_csv(reported / "comparisons.csv").set_index(["against", "metric"])
    assert compared.loc[("zeros", "dice"), "difference"] == pytest.approx(-0.1)


def test_the_page_leads_to_every_report_and_names_the_seeds(reported):
    page = Page(reported / "report.html")
    assert "DropOut: seeds 0, 3; nnU-Net: seeds 0, 3; zeros: seed 0" in page.text
    names = ["zeros", "DropOut", "DropOut_seed3", "nnU-Net", "nnU-Net_seed3"]
    reports = [address for address in page.addresses if address.endswith("report.html")]
    assert reports == [f"evaluations/as_acquired/lesion/{name}/report.html" for name in names]
    assert (reported / "evaluations" / "as_acquired" / "lesion" / "figures" / "dice.png").is_file()


def test_who_was_left_out_is_said_with_the_seed(reported):
    page = Page(reported / "report.html")
    assert "lesion, as acquired, DropOut_seed3: without P4." in page.text
    assert "DropOut: without" not in page.text


def test_an_endpoint_that_was_changed_after_the_start_is_said(reported, tmp_path):
    """The first run writes the endpoint down, and no later one."""
    assert "named is not recorded: there is no endpoint.json" in Page(reported / "report.html").text
    named = DESIGN.endpoint
    declare(named, tmp_path, n_results=0)
    assert list(not_as_declared(named, tmp_path)) == []
    declare(replace(named, metric="dice", margin=0.1), tmp_path, n_results=2)
    assert list(not_as_declared(replace(named, metric="dice", margin=0.1), tmp_path)) == [
        "The primary endpoint was changed after the study had been started: metric lesion_f1, now dice; "
        "margin 0.05, now 0.1."
    ]


def test_an_endpoint_that_was_named_after_results_is_said(tmp_path):
    declare(DESIGN.endpoint, tmp_path, n_results=2)
    (words,) = not_as_declared(DESIGN.endpoint, tmp_path)
    assert words == "The primary endpoint was named when 2 evaluations of this study were already there."


def test_the_table_of_subsets_has_the_means_over_seeds(reported):
    """3 false positives with one seed, 5 with the other."""
    table = Page(reported / "report.html").table("flair")
    column = table[0].index("False positives")
    assert {row[column].split()[0] for row in table[1:]} == {"4.0"}


def test_every_seed_has_a_learning_curve_of_its_own(reported):
    """DropOut and nnU-Net two, zeros one; the legend names each arm once."""
    names = ["DropOut", "nnU-Net", "zeros"]
    (ax,) = learning_figure(pd.read_csv(reported / "learning.csv"), names).axes
    assert [len(np.asarray(line.get_xdata())) for line in ax.lines] == [2] * 5
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == names


@pytest.mark.parametrize("step", ["write_figures", "write_study_page"])
def test_a_report_that_cannot_be_written_whole_leaves_the_last_one(evaluated, reported, monkeypatch, step):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"nnunet_seqdropout.study.report.{step}", fail)
    before = {file: file.stat().st_ino for file in reported.rglob("*") if file.is_file()}
    with pytest.raises(OSError, match=str(reported)):
        write_study_report(*evaluated)
    assert {file: file.stat().st_ino for file in reported.rglob("*") if file.is_file()} == before
