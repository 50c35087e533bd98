"""Pictures show what they are given: the colours of found, missed and false voxels."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from evaluation.colours import FALSE, FOUND, MISSED
from evaluation.overview import overlay, patient_overview


def test_every_kind_of_voxel_has_its_colour():
    figure = Figure()
    ax = figure.subplots()
    reference, predicted = np.array([[1, 1, 0, 0]], bool), np.array([[1, 0, 1, 0]], bool)
    overlay(ax, np.zeros((1, 4)), reference, predicted)
    _, *layers = (image.get_array() for image in ax.images)
    for voxel, (layer, colour) in enumerate(zip(layers, (FOUND, MISSED, FALSE), strict=True)):
        shown = layer[0, :, 3] > 0
        assert shown.tolist() == [i == voxel for i in range(4)]
        assert np.allclose(layer[0, voxel, :3], matplotlib.colors.to_rgb(colour))


def test_the_slices_shown_are_those_with_something_to_see():
    reference, predicted = np.zeros((40, 8, 8), bool), np.zeros((40, 8, 8), bool)
    reference[10, 2:5, 2:5] = predicted[30, 1, 1] = True
    figure = patient_overview("P", np.ones((40, 8, 8)), reference, predicted)
    assert [ax.get_title() for ax in figure.axes if ax.get_title()] == ["slice 10", "slice 30"]


def test_a_patient_without_any_lesion_has_a_picture_too():
    nothing = np.zeros((4, 8, 8), bool)
    assert patient_overview("P", np.zeros((4, 8, 8)), nothing, nothing).axes
