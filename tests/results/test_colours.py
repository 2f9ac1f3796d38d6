"""The colours of orientations in the picture of the documentation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from midas.experiment.orientation import matrices_from_quaternions, symmetry_operators
from midas.experiment.setting import setting_of
from midas.results.colours import pole_figure_colours

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def pointing(crystal: tuple[float, float, float]) -> np.ndarray:
    """An orientation whose crystal direction `crystal` points along the sample's z."""
    return Rotation.align_vectors([[0, 0, 1]], [crystal])[0].as_matrix()


@pytest.mark.parametrize(
    ("space_group", "crystal", "colour"),
    [
        (225, (0, 0, 1), RED), (225, (1, 0, 0), RED), (225, (1, 0, -1), GREEN), (225, (-1, 1, 1), BLUE),
        (194, (0, 0, -1), RED), (194, (1, 0, 0), GREEN), (194, (0.5, 3**0.5 / 2, 0), GREEN), (194, (0, 1, 0), BLUE),
        (167, (0, 0, 1), RED), (167, (1, 0, 0), GREEN), (167, (-1, 0, 0), BLUE),
        (123, (0, 0, 1), RED), (123, (0, 1, 0), GREEN), (123, (1, -1, 0), BLUE),
        (47, (0, 0, 1), RED), (47, (-1, 0, 0), GREEN), (47, (0, 1, 0), BLUE),
    ],
)  # fmt: skip
def test_corners_of_the_key(space_group: int, crystal: tuple[float, float, float], colour: tuple[int, ...]) -> None:
    colours = pole_figure_colours([pointing(crystal)], space_group)
    assert colours is not None and tuple(colours[0].tolist()) == colour


@pytest.mark.parametrize("space_group", [47, 123, 150, 167, 194, 225])
def test_equivalent_orientations_have_one_colour(space_group: int) -> None:
    operators = matrices_from_quaternions(symmetry_operators(space_group))
    for u in Rotation.random(20, random_state=np.random.default_rng(3)).as_matrix():
        colours = pole_figure_colours(u @ operators, space_group, (1, 2, 2))
        assert colours is not None
        assert np.ptp(colours.astype(int), axis=0).max() <= 1  # rounding


def test_primitive_trigonal_crystals_have_the_colours_of_hexagonal_ones() -> None:
    u = Rotation.random(20, random_state=np.random.default_rng(3)).as_matrix()
    expected = pole_figure_colours(u, 194, (1, 2, 2))
    assert np.array_equal(pole_figure_colours(u, 164, (1, 2, 2)), expected)
    assert not np.array_equal(pole_figure_colours(u, 167, (1, 2, 2)), expected)


def test_colours_do_not_depend_on_the_axes_of_a_rhombohedral_cell() -> None:
    cell = (5.13, 5.13, 5.13, 55.3, 55.3, 55.3)
    u = Rotation.random(20, random_state=np.random.default_rng(3)).as_matrix()
    other = u @ setting_of(167, cell).to_hexagonal_axes(cell)
    expected, found = pole_figure_colours(u, 167, (1, 2, 2)), pole_figure_colours(other, 167, (1, 2, 2), cell)
    assert expected is not None and found is not None
    assert np.abs(found.astype(int) - expected).max() <= 1  # rounding


@pytest.mark.parametrize("space_group", [1, 15])
def test_low_symmetry_has_no_triangle(space_group: int) -> None:
    assert pole_figure_colours([np.eye(3)], space_group) is None
