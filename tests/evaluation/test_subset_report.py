"""The tables and the page about every subset of the sequences, counted by hand from three patients."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from example_subsets import DICE, NAMES, OK, subsets
from pages import CHROMIUM, Page, chromium
from PIL import Image

from dataset_conversion.faults import Fault
from evaluation.figures.heat_map import heat_map, write_heat_map
from evaluation.report.evaluation import page_templates
from evaluation.report.subsets import subset_values, write_subset_report
from evaluation.tables.subsets import joined, read_subset_results

EVIL = "<script>alert('x')</script>"


def page(folder, *arguments, **summary) -> Page:
    return Page(write_subset_report(folder, subsets(*arguments, **summary)))


def test_the_table_has_a_row_per_subset_and_metric_with_interval_and_n():
    table = subsets().table
    assert list(table.columns) == ["pattern", "n_present", "metric", "mean", "ci_low", "ci_high", "n"]
    assert len(table) == 3 * 5
    row = table[(table["pattern"] == "t1_gd") & (table["metric"] == "dice")].iloc[0]
    assert row["mean"] == pytest.approx(0.6)
    # the interval ends at the range of a Dice
    assert 0 <= row["ci_low"] < 0.6 < row["ci_high"] <= 1
    auc = table[(table["pattern"] == "flair") & (table["metric"] == "auc")].iloc[0]
    assert (auc["mean"], auc["n"]) == (pytest.approx(0.25), 2)


def test_importance_is_paired_by_patient():
    importance = subsets(drop_rows=[("P3", "t1_gd")]).importance().set_index("without")
    # without flair: P1 0.1, P2 0; P3 was not measured. Without t1_gd: 0.6, 0.3, 0.6
    assert importance.loc["flair", "mean"] == pytest.approx(0.05)
    assert importance.loc["flair", "n"] == 2
    assert importance.loc["t1_gd", "mean"] == pytest.approx(0.5)


def test_a_channel_of_the_model_that_no_pattern_has_is_no_part_of_the_complete_set():
    importance = subsets(channel_names=["bravo", *NAMES]).importance()
    assert importance["without"].tolist() == NAMES
    pd.testing.assert_frame_equal(importance, subsets().importance())


def test_patients_measured_apart_are_joined_as_if_measured_together():
    whole = subsets()
    first = subsets(drop_rows=[(case, pattern) for case in ("P2", "P3") for pattern in DICE], cases={"P1": OK})
    # the second part lacks all sequences together
    rest = [("P1", pattern) for pattern in DICE] + [("P2", "t1_gd+flair"), ("P3", "t1_gd+flair")]
    parts = [subsets(drop_rows=rest, cases={"P2": OK, "P3": OK}), first]
    complete = joined(parts).cases
    assert list(complete["pattern"].unique()) == list(whole.cases["pattern"].unique())
    assert set(joined(parts).outcomes) == {"P1", "P2", "P3"}
    assert list(joined(parts).importance()["n"]) == [1, 1]
    second = subsets(drop_rows=[("P1", pattern) for pattern in DICE], cases={"P2": OK, "P3": OK})
    pd.testing.assert_frame_equal(joined([first, second]).table, whole.table)


def test_a_brier_score_is_averaged_for_each_pattern_where_it_was_measured():
    results = subsets()
    assert "brier" not in results.metrics
    # lower is better: with both sequences .001, with t1_gd .002, with flair .006
    of_pattern = results.cases["pattern"].map({"t1_gd+flair": 0.001, "t1_gd": 0.002, "flair": 0.006})
    measured = replace(results, cases=results.cases.assign(brier=of_pattern))
    assert measured.wide()["brier"].tolist() == pytest.approx([0.001, 0.002, 0.006])
    _, right = heat_map(measured.wide(), NAMES).axes
    shades = np.asarray(right.images[0].get_array())[:, -1]
    assert shades.tolist() == pytest.approx([1, 0.8, 0])
    assert [text.get_text() for text in right.texts][-1] == "0.00600"


def test_what_is_written_is_read_again(tmp_path):
    written = subsets()
    written.write(tmp_path)
    write_heat_map(tmp_path, written.wide(), written.channel_names)
    read = read_subset_results(tmp_path)
    pd.testing.assert_frame_equal(read.table, written.table)
    assert read.summary == written.summary
    assert {file.name for file in tmp_path.iterdir()} == {
        "subsets.csv",
        "importance.csv",
        "cases.csv",
        "summary.json",
        "heat_map.png",
        "heat_map.pdf",
    }
    # the time, by which the same figure would be another file
    assert b"/CreationDate" not in (tmp_path / "heat_map.pdf").read_bytes()
    (tmp_path / "summary.json").write_text('{"command": "evaluate"}')
    with pytest.raises(Fault, match="is from the command evaluate"):
        read_subset_results(tmp_path)


def test_the_page_says_the_table(tmp_path):
    heads, *rows = page(tmp_path).table("Dice")
    assert heads == [*NAMES, "Dice", "AUC", "Lesions found, share", *heads[5:7], "Patients"]
    assert heads[5:7] == ["False positives", "False positives ≥ 10 mm³"]
    assert [row[2].split()[0] for row in rows] == ["0.700", "0.600", "0.200"]
    assert re.fullmatch(r"0\.600 0\.\d{3} to 0\.\d{3}", rows[1][2])
    assert rows[0][3].endswith("1 n/a")
    assert [row[-1] for row in rows] == ["3", "3", "3"]
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    dots = re.findall(r'aria-label="(present|absent)"', source)
    assert dots == ["present", "present", "present", "absent", "absent", "present"]


def test_the_page_says_where_it_comes_from_and_what_it_does_not_show(tmp_path):
    text = page(tmp_path).text
    for said in (
        "3 patients, 3 subsets of t1_gd, flair",
        "None: the most probable label.",
        "results/model",
        "raw/labelsTs",
        "nnunetv2 2.8.1",
        "Most is lost without t1_gd : 0.500 of the Dice",
        "These patients had the sequences that were left out.",
        "not corrected for being many",
    ):
        assert said in text
    assert "Synthetic patients" not in text
    assert "Synthetic patients" in page(tmp_path, synthetic=True).text


def test_thresholds_stand_in_the_table_and_say_who_lent_them(tmp_path):
    values = {
        "t1_gd+flair": {"value": 0.4, "of": "t1_gd+flair"},
        "t1_gd": {"value": 0.4, "of": "t1_gd+flair"},
        "flair": {"value": 0.123456, "of": "flair"},
    }
    rows = page(tmp_path, threshold={"method": "youden_pooled", "source": "Youden.", "values": values}).table("Dice")
    assert [row[-1] for row in rows] == ["Threshold", "0.4", "0.4 of t1_gd, flair", "0.123"]


def test_patterns_that_training_never_drew_are_said(tmp_path):
    note = "Training never showed the model these subsets"
    page(tmp_path, never_trained=["t1_gd", "flair"])
    said = " ".join((tmp_path / "report.html").read_text().split())
    assert f"{note}, so that its results on them may be anything: t1_gd; flair." in said
    page(tmp_path, never_trained=[])
    assert note not in (tmp_path / "report.html").read_text()
    page(tmp_path)  # of version 0.1.0, which did not look
    assert note not in (tmp_path / "report.html").read_text()


def test_failed_cases_and_rows_of_other_patients_are_said(tmp_path):
    failed = {"P4": {"status": "failed", "problem": "no usable sequence", "remedy": "Give one."}}
    shown = Page(write_subset_report(tmp_path, subsets(drop_rows=[("P1", "flair")], cases=failed)))
    assert ["P4", "no usable sequence", "Give one."] in shown.table("Problem")
    assert "The rows are not of the same patients" in shown.text
    assert "The rows are not of the same patients" not in page(tmp_path).text


def test_without_the_complete_row_there_is_no_importance_and_the_page_says_so(tmp_path):
    without = subsets(drop_rows=[(case, "t1_gd+flair") for case in ("P1", "P2", "P3")])
    shown = Page(write_subset_report(tmp_path, without))
    assert shown.tags.count("img") == 1
    assert "they were not measured" in shown.text
    assert page(tmp_path).tags.count("img") == 2


def test_one_patient_has_no_intervals(tmp_path):
    one = subsets(drop_rows=[(case, pattern) for case in ("P2", "P3") for pattern in DICE])
    rows = Page(write_subset_report(tmp_path, one)).table("Dice")[1:]
    assert [row[2] for row in rows] == ["0.800", "0.700", "0.200"]


def test_nothing_is_loaded_from_outside_and_names_are_text(tmp_path):
    shown = page(tmp_path, name=EVIL)
    assert all(address.startswith("data:") for address in shown.addresses)
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(", source)
    assert "script" not in shown.tags
    assert EVIL in shown.text


def test_the_same_tables_give_the_same_page(tmp_path):
    first, second = (write_subset_report(tmp_path / name, subsets()) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_another_page_can_show_the_same_table_and_figures():
    macros = '{% from "subsets.html.jinja" import subset_figures, subset_table %}'
    theirs = page_templates().from_string(f"{macros}{{{{ subset_table(s) }}}}{{{{ subset_figures(s) }}}}")
    html = theirs.render(s=subset_values(subsets()))
    assert "0.600" in html
    assert html.count("<img") == 2


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the page was not rendered")
def test_the_page_fits_a_screen_and_a_telephone(tmp_path):
    file = write_subset_report(tmp_path, subsets(synthetic=True))
    for width in (1300, 420):
        picture = tmp_path / f"{width}.png"
        _, log = chromium(file, f"--window-size={width},2000", f"--screenshot={picture}")
        assert "CONSOLE" not in log
        pixels = np.asarray(Image.open(picture).convert("L"))
        assert (pixels < 128).mean() > 0.005
        assert (pixels[:, -4:] > 200).all()
