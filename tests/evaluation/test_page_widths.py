"""No page scrolls sideways; tables fit a screen and scroll in their own box on a telephone."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_reports import COMPARISON, prediction, slices, with_lesion_wise
from example_study_results import results as study
from example_subsets import subsets
from pages import CHROMIUM, chromium

from evaluation.report.evaluation import write_report
from evaluation.report.prediction import prediction_page
from evaluation.report.study import write_study_page
from evaluation.report.subsets import write_subset_report


def write_prediction(folder: Path) -> Path:
    (folder / "report.html").write_text(prediction_page(prediction()), encoding="utf-8")
    return folder / "report.html"


WRITERS = {
    "evaluation": lambda folder: write_report(folder, [with_lesion_wise(0.4, 0.3)], mosaics={"P1": slices()}),
    "comparison": lambda folder: write_report(
        folder, [with_lesion_wise(0.4, 0.3, "nnU-Net_DropOut"), with_lesion_wise(0.8, 0.7)], comparison=COMPARISON
    ),
    "prediction": write_prediction,
    "study": lambda folder: write_study_page(folder, study()),
    "subsets": lambda folder: write_subset_report(
        folder, replace(subsets(), cases=subsets().cases.assign(lesion_f1=0.4, lesion_dice=np.nan))
    ),
}
MEASURE = """
<iframe src="report.html" style="border: 0; width: {width}px; height: 900px"></iframe><pre id="seen"></pre>
<script>
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {{
  const page = frame.contentDocument;
  for (const details of page.querySelectorAll("details")) details.open = true;
  const beyond = box => box.scrollWidth - box.clientWidth;
  const tables = [...page.querySelectorAll("table")];
  document.getElementById("seen").textContent = JSON.stringify({{
    page: beyond(page.documentElement), boxes: tables.map(table => table.closest(".scroll")).map(beyond),
  }});
}});
</script>
"""


def beyond(page: Path, width: int) -> dict:
    """How many pixels of the page and of each table's box are out of sight, in a window of that width."""
    frame = page.with_name("frame.html")
    frame.write_text(MEASURE.format(width=width), encoding="utf-8")
    dom, _ = chromium(frame, "--window-size=1600,1200", "--allow-file-access-from-files", "--dump-dom")
    seen = re.search(r'<pre id="seen">(.*?)</pre>', dom)
    assert seen is not None
    return json.loads(seen[1])


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the page was not rendered")
@pytest.mark.parametrize("kind", WRITERS)
def test_tables_fit_a_screen_and_scroll_in_their_box_on_a_telephone(tmp_path, kind):
    page = WRITERS[kind](tmp_path)
    wide, narrow = beyond(page, 1300), beyond(page, 420)
    assert wide["page"] == narrow["page"] == 0
    assert wide["boxes"]
    assert set(wide["boxes"]) == {0}
    assert max(narrow["boxes"]) > 0
