"""The report is one file that says what the tables say, to anyone, without a network."""

import base64
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT
from example_evaluation import CASES, averages, example
from example_reports import COMPARISON, slices, with_lesion_wise
from pages import CHROMIUM, Page, chromium
from PIL import Image

from evaluation.metrics.names import false_positives, printed_p
from evaluation.report.evaluation import write_report


def report(folder, *evaluations, **more) -> Page:
    return Page(write_report(folder, evaluations or [example()], **more))


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    """The report of the example alone."""
    return report(tmp_path_factory.mktemp("report"))


def test_the_headline_says_lesions_found_false_alarms_and_dice(page):
    text = page.text
    # 13 false positives in 4 patients; Dice (0.8 + 0.6 + 0.1) / 3
    for said in ("6 of 10", "60 % of all lesions; 4 missed", "3.2 ± 4.6", "1.2 of at least 10 mm³", "0.50 ± 0.36"):
        assert said in text


def test_the_results_are_laid_out_as_in_the_papers_table_3(page):
    heads, row = page.table("AUC")[:2]
    assert heads[1:] == ["AUC", "Dice", "Recall", "Precision", "False positives", "False positives ≥ 10 mm³"]
    assert [cell.split("±")[0].strip() for cell in row] == ["model", "0.950", "0.500", "0.400", "0.600", "3.2", "1.2"]


def test_undefined_values_are_counted_and_called_na(page):
    precision = page.table("AUC")[1][4]
    assert precision.endswith("2 n/a")
    third = next(row for row in page.table("Patient")[1:] if row[0] == "P3")
    # pattern, lesions, found, both false positives, Dice, recall, precision, AUC, volumes
    assert third == ["P3", "t1_gd, flair", "0", "0", "1", "0", "n/a", "n/a", "n/a", "n/a", "0", "5"]


def test_every_patient_has_a_row(page):
    assert [row[0] for row in page.table("Patient")[1:]] == ["P1", "P2", "P3", "P10"]


def test_strata_and_the_threshold_are_named(page):
    assert [row[:2] for row in page.table("Patients with")[1:]] == [
        ["at most 3 lesions", "3"],
        ["more than 3 lesions", "1"],
    ]
    assert (
        "p ≥ 0.76 (10 validation patients, Youden index 0.900): Youden index on the validation patients." in page.text
    )


def test_the_title_of_a_figure_ends_with_one_mark(tmp_path):
    trust = pd.DataFrame(
        {"pattern": "t1_gd", "p_from": [0.0], "p_to": 0.1, "p_mean": 0.05, "n_voxels": 9, "lesion_share": 0}
    )
    text = report(tmp_path, replace(example(), reliability=trust)).text
    assert "Are the probabilities of voxels calibrated? Of the voxels" in text
    assert "Sensitivity by size. Lesions of all" in text


def test_an_average_over_nobody_is_na(tmp_path):
    nobody = {"stratum": "more than 3 lesions", "n_patients": 0, "metrics": averages(CASES.iloc[:0])}
    assert (
        report(tmp_path, example(strata=[nobody])).table("Patients with")[1]
        == ["more than 3 lesions", "0"] + ["n/a"] * 6
    )


def test_what_was_left_out_is_said_with_its_remedy(tmp_path):
    cases = {"P9": {"status": "failed", "problem": "P9.nii.gz: truncated", "remedy": "Copy it again."}}
    page = report(tmp_path, example(cases=cases, warnings=["The labels differ in grid."]))
    assert page.table("Problem")[1] == ["P9", "failed", "P9.nii.gz: truncated", "Copy it again."]
    assert "4 evaluated, 1 failed" in page.text
    assert "The labels differ in grid." in page.text


@pytest.mark.parametrize("synthetic", [True, False])
def test_synthetic_patients_are_called_synthetic(tmp_path, synthetic):
    banner = "Synthetic patients: these numbers show that the machinery works, not that the method does."
    assert (banner in report(tmp_path, example(synthetic=synthetic)).text) == synthetic


def test_label_maps_have_no_curves_and_the_report_says_why(tmp_path, page):
    binary = report(tmp_path, example(probabilities=False))
    assert binary.tags.count("img") == page.tags.count("img") - 2
    assert "label maps without probabilities" in binary.text
    assert "label maps without probabilities" not in page.text


def test_two_models_stand_side_by_side_with_both_tests(tmp_path):
    page = report(tmp_path, example("without"), example("with"), comparison=COMPARISON)
    rows = {row[0]: row[1:] for row in page.table("AUC")[1:]}
    assert {"without", "with"} < rows.keys()
    assert rows["p, rank sum test (the paper's)"] == ["0.620", "0.017", "", "", "< 0.001", ""]
    assert rows["p, signed-rank test (paired)"][:2] == ["0.500", "0.010"]
    assert rows["the same, corrected by Holm"][:2] == ["0.510", "0.020"]
    assert rows["Effect size, \N{MINUS SIGN}1 to 1"][:2] == ["-0.250", "0.500"]
    assert rows["Patients compared"][:2] == ["3", "3"]
    first = next(row for row in page.table("Patient")[1:] if row[0] == "P1")
    # lesions; then found, both false positives, Dice and AUC of A and B
    assert first[2:] == ["3", "3", "3", "0", "0", "0", "0", "0.80", "0.80", "0.90", "0.90"]


def test_every_ambiguity_of_the_paper_is_on_its_page_which_the_report_names(page):
    readings = (PROJECT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    assert "docs/evaluation.md" in page.text
    for said in (
        "no voxel on the reference",
        "could not exceed 0.731 (DropOut) and 0.677 (DeepLabV3)",
        "the paired signed-rank test",
        "Validation (10) and test (55).",
        "Those of the table",
        "at most and more than 3 metastases",
        "drawn on BRAVO at Hospital A",
    ):
        assert said in readings
        assert said not in page.text


def test_measures_are_defined_in_plain_words(page):
    for said in (
        "A predicted object that touches no lesion of the reference",
        "an object of exactly 10 mm³ does",
        "as soon as one predicted voxel lies on it",
        "at most three and with more than three lesions",
    ):
        assert said in page.text
    assert "Lesion-wise" not in page.text
    assert "rank sum" not in page.text


def test_the_report_is_for_research_only(page):
    assert "Research use only. Not a medical device." in page.text


def test_pictures_of_patients_are_called_patient_data(tmp_path, page):
    """Synthetic patients are nobody, and a page without pictures shows nobody."""
    words, pictures = "Treat this file as patient data.", {"P1": slices()}
    assert words in report(tmp_path, mosaics=pictures).text
    assert words not in page.text
    assert words not in report(tmp_path, example(synthetic=True), mosaics=pictures).text


def test_target_and_background_have_their_names(tmp_path):
    named = example(settings={**example().summary["settings"], "target_name": "metastasis"})
    of_flair = [replace(each, sequence="flair") for each in slices()]
    of_t1_gd = [replace(each, sequence="t1_gd") for each in slices()]
    text = report(tmp_path, named, mosaics={"P1": of_t1_gd, "P2": of_flair}).text
    assert text.startswith("Evaluation of model: metastasis")
    assert "target: metastasis (label 1)." in text
    assert "Axial slices over t1_gd (1 patient), flair (1 patient), seen from the feet" in text
    assert "In each row: flair , probability of metastasis, lesions and voxels." in text.replace("flair,", "flair ,")
    assert "class or region" not in text


def test_an_evaluation_of_an_earlier_version_has_a_numbered_target(page):
    assert "target: label 1." in page.text


def test_fates_and_voxels_have_a_legend_each(tmp_path):
    text = report(tmp_path, mosaics={"P1": slices()}).text
    assert "Lesions (label 1): line and arrow found missed false alarm: touches no lesion Voxels: colour" in text
    for said in ("true positive: reference and", "false negative: reference alone", "false positive: prediction alone"):
        assert said in text


def test_a_fate_is_drawn_as_outline_and_arrow_and_has_no_colour_of_voxels(tmp_path):
    """Each of the two slices shows one missed lesion; the legend has three fates."""
    report(tmp_path, mosaics={"P1": slices()})
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert source.count('<g class="fate missed">') == 2 * 2 + 1
    assert source.count('<g class="fate found">') == source.count('<g class="fate false">') == 1
    rules = "".join(line for line in source.splitlines() if line.lstrip().startswith(".fate"))
    assert "stroke-dasharray" in rules
    assert "--tp" not in rules


def test_lesion_wise_measures_come_first_and_a_flood_is_told(tmp_path):
    page = report(tmp_path, with_lesion_wise(0.004, 0.002))
    heads, row = page.table("AUC")[:2]
    assert heads[1:4] == ["Lesion-wise F1", "Lesion-wise Dice", "AUC"]
    assert [cell.split()[0] for cell in row[1:3]] == ["0.004", "0.002"]
    # the one lesion of the table is found
    assert "model finds 100 % of the lesions by touching them, but only 0 % with a Dice of at least 0.1" in page.text


def test_a_comparison_with_an_earlier_version_shows_what_both_measured(tmp_path):
    page = report(tmp_path, with_lesion_wise(0.6, 0.5, "new"), example("old"))
    assert page.table("AUC")[0][1] == "AUC"
    assert "by touching" not in page.text


def test_names_are_text_and_never_markup(tmp_path, page):
    evil = "<script>alert('x')</script> & <b>co</b>"
    changed = CASES.assign(case=[evil, *CASES["case"][1:]])
    evaluation = example(evil, warnings=[evil])
    marked = report(
        tmp_path, type(evaluation)(changed, evaluation.lesions, evaluation.roc, evaluation.froc, evaluation.summary)
    )
    assert marked.tags.count("script") == page.tags.count("script") == 1
    assert evil in marked.text


def test_nothing_is_loaded_from_outside(tmp_path):
    page = report(tmp_path, mosaics={"P1": slices()})
    assert page.addresses
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(", source)
    for address in page.addresses:
        if address.startswith("data:image/svg"):
            figure = base64.b64decode(address.split(",")[1]).decode()
            assert not re.search(r'(?:href|src)="(?!#|data:)', figure)


def test_the_same_tables_give_the_same_file(tmp_path):
    first, second = (write_report(tmp_path / name, [example()]) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_every_slice_of_a_patient_is_in_the_report(tmp_path):
    page = report(tmp_path, mosaics={"P1": slices(), "P2": slices(probability=False)})
    pictures = [address for address in page.addresses if address.startswith("data:image/webp")]
    assert len(pictures) == 2 * 3 + 2 * 2
    assert page.tags.count("details") == 2
    assert "P1 3 of 3 lesions found, 0 false alarms, Dice 0.80" in page.text
    assert "#patient-1" in page.addresses


SORT_TWICE = """
<pre id="seen"></pre>
<script>
const column = [...document.querySelectorAll("table.sortable th button")].find(b => b.textContent === "Dice");
const order = () => [...document.querySelectorAll("table.sortable tbody th")].map(th => th.textContent).join();
const seen = [order()];
column.click();
seen.push(order(), column.parentElement.ariaSort);
column.click();
seen.push(order(), column.parentElement.ariaSort);
const patient = document.querySelector("details.patient");
const slices = [...patient.querySelectorAll(".slices > figure")];
const shown = () => slices.findIndex(slice => getComputedStyle(slice).display !== "none");
patient.open = true;
seen.push(shown());
patient.querySelector("summary").dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
seen.push(shown());
patient.querySelector("input").value = 1;
patient.querySelector("input").dispatchEvent(new Event("input"));
seen.push(shown(), patient.querySelector("output").value);
document.getElementById("seen").textContent = seen.join("|");
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the report was not rendered")
def test_the_report_works_in_a_browser_and_on_paper(tmp_path):
    file = write_report(tmp_path, [example()], mosaics={"P1": slices(), "P2": slices(probability=False)})

    page = tmp_path / "clicked.html"
    page.write_text(file.read_text(encoding="utf-8").replace("</body>", SORT_TWICE + "</body>"), encoding="utf-8")
    dom, log = chromium(page, "--dump-dom")
    assert "CONSOLE" not in log
    seen = re.search(r'<pre id="seen">(.*?)</pre>', dom)
    assert seen is not None
    by_name, rising, up, falling, down, *viewer = seen[1].split("|")
    assert by_name == "P1,P2,P3,P10"
    assert (rising, up) == ("P10,P2,P1,P3", "ascending")
    assert (falling, down) == ("P1,P2,P10,P3", "descending")
    assert viewer == ["0", "1", "0", "1 of 2"]

    for width in (1300, 420):
        picture = tmp_path / f"{width}.png"
        chromium(file, f"--window-size={width},2000", f"--screenshot={picture}")
        pixels = np.asarray(Image.open(picture).convert("L"))
        assert pixels.shape == (2000, width)
        # text and figures, but no text cut at the right border
        assert (pixels < 128).mean() > 0.005
        assert (pixels[:, -4:] > 200).all()

    paper = tmp_path / "report.pdf"
    chromium(file, f"--print-to-pdf={paper}")
    assert paper.read_bytes().startswith(b"%PDF")


def test_a_p_value_below_a_thousandth_is_printed_as_such():
    assert [printed_p(p) for p in (0.00099, 0.001, 0.0312, np.nan)] == ["< 0.001", "0.001", "0.031", "n/a"]


def test_false_positives_stand_in_order_of_their_limits():
    metrics = ["dice", "fp_10mm3", "found_5mm3", "fp_2.5mm3", "fp"]
    assert false_positives(metrics) == ["fp", "fp_2.5mm3", "fp_10mm3"]
