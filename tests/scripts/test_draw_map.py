"""The script that draws characters where their vectors are."""

import draw_map
import numpy as np
import pytest

from keras_vision.plots import COLOURS

SIDE, SMALL, BORDER = draw_map.SIDE, draw_map.SMALL, draw_map.BORDER
CORNERS = np.array([[0, 0], [0, 10], [10, 0], [10, 10]])
PAPER, INK = np.full((105, 105), 255, "uint8"), np.zeros((105, 105), "uint8")


def test_a_dot_for_each_drawing_in_the_colour_of_its_group():
    found = draw_map.drawn(CORNERS, np.zeros(4, int), np.array([0, 1, 2, 13]), [PAPER] * 4)
    assert found.shape == (SIDE, SIDE, 3)
    assert found.dtype == "uint8"
    ends = BORDER + SMALL // 2, SIDE - BORDER - SMALL // 2
    for (x, y), group in zip(CORNERS // 10, (0, 1, 2, 3), strict=True):
        pale = (1 + np.array(COLOURS[group])) / 2
        assert found[ends[y], ends[x]] == pytest.approx(255 * pale, abs=1)
    assert (found < 255).any(-1).sum() == 4 * 3 * 3


def test_of_each_character_the_drawing_in_its_midst_is_shown():
    places = np.array([[0, 0], [5, 5], [4.9, 5], [10, 10], [5, 5]])
    pictures = [PAPER, PAPER, INK, PAPER, PAPER]
    found = draw_map.drawn(places, np.zeros(5, int), np.zeros(5, int), pictures)
    assert (found < 255).any(-1).sum() == 4 * 3 * 3  # the dots, of which two are in one place
    pictures[1] = INK
    found = draw_map.drawn(places, np.zeros(5, int), np.zeros(5, int), pictures)
    middle = found[SIDE // 2, SIDE // 2]
    assert middle == pytest.approx(255 * 0.6 * np.array(COLOURS[0]), abs=1)
    assert (found < 255).any(-1).sum() == SMALL**2 + 2 * 3 * 3
