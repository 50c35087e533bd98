"""Figures show the numbers of their tables: every patient, every point, every interval."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from example_evaluation import CASES, FROC, ROC, example
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from evaluation.figures.colours import MODELS
from evaluation.figures.evaluation import draw_figures, write_figures
from evaluation.figures.plots import draw_box, draw_froc, draw_roc, draw_sensitivity_by_size
from evaluation.metrics.names import FIGURES
from evaluation.tables.reliability import reliability


@pytest.fixture
def ax():
    return Figure().subplots()


def dots(ax):
    """The patients of each model, as drawn."""
    return [np.sort(collection.get_offsets()[:, 1]).tolist() for collection in ax.collections]


def test_the_mean_roc_passes_through_the_points_of_its_table(ax):
    draw_roc(ax, [example()])
    assert ax.lines[0].get_xydata().tolist() == ROC[["fpr", "tpr_mean"]].to_numpy().tolist()


def test_the_band_of_the_roc_reaches_from_low_to_high(ax):
    draw_roc(ax, [example()])
    outline = {tuple(point) for point in ax.collections[0].get_paths()[0].vertices.tolist()}
    for point in [*ROC[["fpr", "tpr_low"]].to_numpy().tolist(), *ROC[["fpr", "tpr_high"]].to_numpy().tolist()]:
        assert tuple(point) in outline


def test_every_patient_with_a_value_is_a_dot(ax):
    draw_box(ax, [example()], "fp")
    assert dots(ax) == [[0, 1, 2, 10]]


def test_a_patient_without_a_value_is_no_dot_and_not_counted(ax):
    draw_box(ax, [example()], "dice")
    assert dots(ax) == [[0.1, 0.6, 0.8]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["n = 3"]


def test_the_line_in_the_box_is_the_median(ax):
    draw_box(ax, [example()], "dice")
    assert any(np.allclose(line.get_ydata(), 0.6) for line in ax.lines)


def test_equal_values_lie_beside_each_other(ax):
    cases = CASES.assign(fp=3)
    evaluation = example()
    draw_box(ax, [type(evaluation)(cases, evaluation.lesions, ROC, FROC, evaluation.summary)], "fp")
    x = ax.collections[0].get_offsets()[:, 0]
    assert len(np.unique(np.round(x, 3))) == 4
    assert (np.abs(x - 1) < 0.25).all()


def test_two_models_have_a_box_each_in_their_colours_and_a_legend(ax):
    draw_box(ax, [example("A"), example("B")], "fp")
    assert dots(ax) == [[0, 1, 2, 10]] * 2
    assert [to_hex(collection.get_facecolor()[0]) for collection in ax.collections] == list(MODELS[:2])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["A", "B"]


def test_the_froc_marks_the_threshold_used(ax):
    draw_froc(ax, [example()])
    curve, used = ax.lines
    assert curve.get_xydata().tolist() == FROC[["fp_highest", "sensitivity"]].to_numpy().tolist()
    assert curve.get_drawstyle() == "steps-post"
    # 13 false positives in 4 patients, 6 of 10 lesions
    assert used.get_xydata().tolist() == [[3.25, 0.6]]


def test_the_froc_has_its_band_and_ticks_that_double(ax):
    draw_froc(ax, [example()])
    (band,) = ax.collections
    assert band.get_paths()[0].get_extents().get_points().tolist() == [[0.5, 0], [9, 1]]
    ticks = [label.get_text() for label in ax.get_xticklabels()]
    assert ticks == ["0", "1/8", "1/4", "1/2", "1", "2", "4", "8", "16"]


def test_thousands_of_false_positives_at_the_threshold_used_have_every_second_tick(ax):
    many = {"n_patients": 1, "n_lesions": 1, "n_found": 1, "fp": 4000}
    draw_froc(ax, [example(totals=many)])
    ticks = [label.get_text() for label in ax.get_xticklabels()]
    assert ticks == ["0", "1/8", "1/2", "2", "8", "32", "128", "512", "2048", "8192"]


def test_a_curve_beyond_the_range_of_interest_does_not_stretch_the_axis(ax):
    evaluation = example()
    long = FROC.assign(fp_highest=[0.5, 3.25, 5000.0])
    draw_froc(ax, [type(evaluation)(CASES, evaluation.lesions, ROC, long, evaluation.summary)])
    assert ax.get_xlim()[1] < 100


def test_sensitivity_by_size_has_a_point_for_every_size_that_occurs(ax):
    draw_sensitivity_by_size(ax, [example()])
    points = [line.get_ydata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert points == [0.25, 5 / 6]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["< 3\nn = 4", "3 to 6\nn = 6", "≥ 6\nn = 0"]


def test_without_probabilities_there_is_neither_roc_nor_froc():
    assert {"roc", "froc"} <= draw_figures([example()]).keys()
    assert draw_figures([example(probabilities=False)]).keys() == {"sensitivity_by_size", "dice", "fp", "fp_10mm3"}


def test_a_metric_that_no_patient_has_is_an_empty_figure():
    evaluation = example()
    nothing = type(evaluation)(CASES.assign(dice=np.nan), evaluation.lesions, ROC, FROC, evaluation.summary)
    assert dots(draw_figures([nothing])["dice"].axes[0]) == [[]]


def test_every_figure_is_written_as_png_and_pdf(tmp_path):
    written = write_figures(tmp_path, [example()])
    assert written.keys() == draw_figures([example()]).keys()
    for name, file in written.items():
        assert file == tmp_path / "figures" / f"{name}.png"
        assert file.read_bytes().startswith(b"\x89PNG")
        assert file.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


def test_seven_models_are_drawn_in_every_figure():
    """From the fourth on a line is a pattern of dashes and no word."""
    voxels = reliability({"t1_gd": np.tile([[10.0, 5.0, 5.0]], (10, 1)), "flair": np.tile([[10.0, 1.0, 5.0]], (10, 1))})
    objects = pd.DataFrame(
        [("p_max", 0.5, 0.6, 4, 2, 0.5, 0.1, 0.9)],
        columns=["measure", "p_from", "p_to", "n_objects", "n_true", "true_share", "ci_low", "ci_high"],
    )
    models = [replace(example(f"model {i}"), reliability=voxels, confidence=objects) for i in range(7)]
    figures = draw_figures(models)
    assert {*FIGURES} <= {*figures}
    (first, *_) = (line for line in figures["reliability"].axes[0].lines if line.get_marker() == "o")
    # of 20 voxels in each range 6 are lesion
    assert first.get_ydata() == pytest.approx([0.3] * 10)
    assert first.get_xdata() == pytest.approx([0.5] * 10)
