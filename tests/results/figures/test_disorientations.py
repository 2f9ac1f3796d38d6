"""Misorientations without texture: closed forms of Mackenzie and Handscomb, and random orientations."""

from __future__ import annotations

import numpy as np
import pytest
from made_results import MadeResults
from scipy.spatial.transform import Rotation

from midas.experiment.orientation import misorientation, quaternions_from_matrices, symmetry_operators
from midas.results import figures
from midas.results.figures.disorientations import neighbours, random_share

NUMBERS = [2, 70, 139, 166, 194, 225]


def test_cubic_curve_is_the_closed_one():
    """Up to 45 degrees the density is 2 / 15 (1 - cos angle) per degree (Mackenzie 1958); the largest is 62.8."""
    operators = symmetry_operators(225)
    angles = np.linspace(0, 45, 91)
    turn = np.radians(angles)
    np.testing.assert_allclose(random_share(operators, angles), 24 / np.pi * (turn - np.sin(turn)), atol=1e-12)
    fine = np.linspace(0, 70, 1401)
    share = random_share(operators, fine)
    assert fine[np.argmax(np.diff(share))] == pytest.approx(45, abs=0.1)
    assert np.trapezoid(1 - share, fine) == pytest.approx(40.7355, abs=0.01)
    assert random_share(operators, np.array([62.3, 62.8]))[0] < 1
    assert random_share(operators, np.array([62.8]))[0] == pytest.approx(1, abs=1e-4)


def test_triclinic_curve_is_the_closed_one():
    """Without symmetry the angle has the density (1 - cos) / pi and the mean 90 + 360 / pi^2 degrees."""
    angles = np.linspace(0, 180, 1801)
    share = random_share(symmetry_operators(2), angles)
    np.testing.assert_allclose(share, (np.radians(angles) - np.sin(np.radians(angles))) / np.pi, atol=1e-12)
    assert np.trapezoid(1 - share, angles) == pytest.approx(np.degrees(np.pi / 2 + 2 / np.pi), abs=1e-3)


@pytest.mark.parametrize("number", NUMBERS)
def test_random_orientations_follow_the_curve(number: int):
    operators = symmetry_operators(number)
    one, other = (quaternions_from_matrices(Rotation.random(20_000, rng=k).as_matrix()) for k in (1, 2))
    angles = np.sort(misorientation(one, other, operators))
    share = random_share(operators, angles[::50])
    assert np.abs(share - np.arange(len(angles))[::50] / len(angles)).max() < 0.015
    assert random_share(operators, np.array([180.0]))[0] == pytest.approx(1, abs=1e-4)


def test_figure_shows_percent_of_pairs():
    figure = figures.misorientations(MadeResults(60))
    pairs = figure.data[0]
    widths = np.diff(pairs.x)
    assert np.sum(np.array(pairs.y)[:-1] * widths) == pytest.approx(100)
    assert "all 1770 pairs" in figure.layout.title.text
    curve = figure.data[-1]
    assert curve.name == "without texture"
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(100, rel=0.01)


def test_one_grain_has_none():
    figure = figures.misorientations(MadeResults(1))
    assert not figure.data and "One grain alone" in figure.layout.annotations[0].text


def test_neighbours_touch():
    position = np.array([[0.0, 0, 0], [20, 0, 0], [100, 0, 0], [0, 26, 0]])
    radius = np.array([10.0, 10, 10, 10])
    assert neighbours(position, radius).tolist() == [[0, 1]]
    assert neighbours(position, radius, touch=1.31).tolist() == [[0, 1], [0, 3]]
    assert neighbours(position, np.zeros(4)).shape == (0, 2)
