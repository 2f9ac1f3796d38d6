"""Settings of space groups, and the symmetry of their lattices (docs/theory/hkls.md#setting)."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import gemmi
import numpy as np
import pytest

from midas.experiment.crystal import reciprocal_basis, space_group
from midas.experiment.orientation import (
    matrices_from_quaternions,
    misorientation,
    quaternion_product,
    quaternions_from_matrices,
    rotation_range,
    symmetry_operators,
)
from midas.experiment.setting import axes_vary, setting_of
from midas.runtime.errors import ParameterError

ORTHOGONAL = (5.1, 6.2, 7.3, 90.0, 90.0, 90.0)
RHOMBOHEDRAL = (5.1, 5.1, 5.1, 67.0, 67.0, 67.0)
RHOMBOHEDRAL_GROUPS = (146, 148, 155, 160, 161, 166, 167)
#: last space group of each system, and a cell that has its symmetry and no more
CELLS = {
    2: (5.1, 6.2, 7.3, 83.0, 97.0, 101.0),
    15: (5.1, 6.2, 7.3, 90.0, 103.0, 90.0),
    74: ORTHOGONAL,
    142: (5.1, 5.1, 7.3, 90.0, 90.0, 90.0),
    194: (5.1, 5.1, 7.3, 90.0, 90.0, 120.0),
    230: (5.1, 5.1, 5.1, 90.0, 90.0, 90.0),
}
#: rotations of the lattice, those of rhombohedral ones apart: 6
ORDERS = {2: 1, 15: 2, 74: 4, 142: 8, 194: 12, 230: 24}


def cell_of(group: gemmi.SpaceGroup) -> tuple[float, ...]:
    """A cell of a group in its setting."""
    if group.ext == "R":
        return RHOMBOHEDRAL
    cell = list(next(cell for last, cell in CELLS.items() if group.number <= last))
    if 3 <= group.number <= 15:
        cell[3:] = [90.0] * 3
        cell[3 + "abc".index(group.qualifier.lstrip("-")[0])] = 103.0
    return tuple(cell)


def axes_of(cell: tuple[float, ...]) -> np.ndarray:
    """Cell vectors in the crystal frame, as columns."""
    return np.linalg.inv(reciprocal_basis(cell)).T


@lru_cache
def lattice_rotations(cell: tuple[float, ...], centrings: tuple[tuple[float, ...], ...]) -> np.ndarray:
    """All rotations that carry a lattice to itself, by trying all lattice vectors as images of the cell vectors."""
    axes = axes_of(cell)
    box = np.array(list(product((-2, -1, 0, 1, 2), repeat=3)), float)
    points = np.unique(np.concatenate([box + c for c in centrings]).round(9), axis=0)
    metric = axes.T @ axes
    lengths = np.einsum("ni,ij,nj->n", points, metric, points)
    images = [points[np.isclose(lengths, metric[i, i], rtol=1e-7)] for i in range(3)]
    found = []
    for columns in product(*images):
        candidate = np.array(columns).T
        if not np.allclose(candidate.T @ metric @ candidate, metric, atol=1e-6) or np.linalg.det(candidate) < 0:
            continue
        moved = np.array(centrings) @ candidate.T
        away = moved[:, None] - np.array(centrings)
        if (np.abs(away - away.round()) < 1e-6).all(axis=2).any(axis=1).all():
            found.append(axes @ candidate @ np.linalg.inv(axes))
    return np.array(found)


@pytest.mark.parametrize("number", range(1, 231))
def test_operators_are_the_rotations_of_the_lattice(number: int) -> None:
    """In every setting that the tables know; the cell tells how the axes lie, and so does the name."""
    order = 6 if number in RHOMBOHEDRAL_GROUPS else next(n for last, n in ORDERS.items() if number <= last)
    for group in (g for g in gemmi.spacegroup_table() if g.number == number):
        cell = cell_of(group)
        centrings = tuple(tuple(x / 24 for x in c) for c in group.operations().cen_ops)
        rotations = lattice_rotations(cell, centrings)
        operators = symmetry_operators(number, cell)
        assert len(operators) == len(rotations) == order
        matrices = matrices_from_quaternions(operators)
        assert np.abs(matrices[:, None] - rotations).max(axis=(2, 3)).min(axis=1).max() < 1e-7
        products = quaternion_product(operators[:, None], operators[None]).reshape(-1, 4)
        assert np.abs(products @ operators.T).max(axis=1) == pytest.approx(1, abs=1e-14)
        assert np.array_equal(symmetry_operators(number, cell, group.xhm().replace(" ", "")), operators)


def test_the_legacy_operators_are_those_of_the_system() -> None:
    for number in (146, 150, 164):
        assert np.array_equal(symmetry_operators(number, legacy=True), symmetry_operators(166))
    for number in (1, 14, 62, 139, 194, 225):
        assert np.array_equal(symmetry_operators(number, legacy=True), symmetry_operators(number))


@pytest.mark.parametrize(
    ("number", "cell", "word", "symbol"),
    [
        (14, None, "", "P 1 21/c 1"),
        (14, (5.1, 6.2, 7.3, 90, 103, 90), "", "P 1 21/c 1"),
        (14, ORTHOGONAL, "", "P 1 21/c 1"),
        (14, (5.1, 6.2, 7.3, 90, 90, 88.9), "", "P 1 1 21/a"),
        (14, (5.1, 6.2, 7.3, 91.2, 90, 90), "", "P 21/b 1 1"),
        (3, (5.1, 6.2, 7.3, 90, 90, 91), "", "P 1 1 2"),
        (5, (5.1, 6.2, 7.3, 91, 90, 90), "", "B 2 1 1"),
        (14, (5.1, 6.2, 7.3, 90, 90, 88.9), "b", "P 1 21/c 1"),  # the word wins
        (14, None, "P21/n", "P 1 21/n 1"),
        (14, None, "b2", "P 1 21/n 1"),
        (15, None, "-a3", "I 2/b 1 1"),
        (62, ORTHOGONAL, "", "P n m a"),
        (62, ORTHOGONAL, "Pbnm", "P b n m"),
        (62, ORTHOGONAL, "cab", "P b n m"),
        (227, None, "2", "F d -3 m:2"),
        (167, (4.76, 4.76, 12.99, 90, 90, 120), "", "R -3 c:H"),
        (167, (5.13, 5.13, 5.13, 55.3, 55.3, 55.3), "", "R -3 c:R"),
        (167, (5.13, 5.13, 5.13, 55.3, 55.3, 55.3), "H", "R -3 c:H"),
        (167, (5.13, 5.13, 5.13, 90, 90, 90), "", "R -3 c:H"),
        (164, (5.13, 5.13, 5.13, 55.3, 55.3, 55.3), "", "P -3 m 1"),  # a primitive lattice has no such axes
    ],
)
def test_what_tells_the_setting(number: int, cell: tuple[float, ...] | None, word: str, symbol: str) -> None:
    assert setting_of(number, cell, word).symbol == symbol
    assert space_group(number, cell, word).setting.symbol == symbol


def test_what_is_no_setting() -> None:
    with pytest.raises(ValueError, match="setting of space group 62: Pnma, Pmnb, Pbnm, Pcmn, Pmcn, Pnam"):
        setting_of(62, None, "P21/c")
    with pytest.raises(ValueError, match="1 to 230"):
        setting_of(231)
    with pytest.raises(ParameterError, match="SpaceGroupSetting: R: must be a setting of space group 164"):
        symmetry_operators(164, None, "R")
    with pytest.raises(ParameterError, match="needs the cell"):
        symmetry_operators(166, None, "R")


def test_which_axes_vary() -> None:
    assert [n for n in range(1, 231) if axes_vary(n)] == [*range(3, 16), *RHOMBOHEDRAL_GROUPS]


@pytest.mark.parametrize("angle", [33.6, 55.3, 67.0, 98.0, 115.0])
def test_hexagonal_axes_of_a_rhombohedral_cell(angle: float) -> None:
    """One lattice in both descriptions: the vectors coincide, and so do misorientations."""
    cell = (5.13, 5.13, 5.13, angle, angle, angle)
    half, cosine = np.radians(angle) / 2, np.cos(np.radians(angle))
    edge = 2 * 5.13 * np.sin(half)
    hexagonal = (edge, edge, 5.13 * np.sqrt(3 + 6 * cosine), 90.0, 90.0, 120.0)
    turn = setting_of(167, cell).to_hexagonal_axes(cell)
    obverse = axes_of(cell) @ [[1, 0, 1], [-1, 1, 1], [0, -1, 1]]
    assert turn @ obverse == pytest.approx(axes_of(hexagonal), abs=1e-10)
    q = np.random.default_rng(4).normal(size=(2, 6, 4))
    q /= np.linalg.norm(q, axis=2, keepdims=True)
    p = quaternions_from_matrices(matrices_from_quaternions(q) @ turn)  # the same crystals along the other axes
    expected = misorientation(*q, symmetry_operators(167))
    assert misorientation(*p, symmetry_operators(167, cell)) == pytest.approx(expected, abs=1e-9)


def test_spots_repeat_about_the_triad() -> None:
    square = (90.0, 90.0, 90.0)
    for hkl, degrees in (((1, 1, 1), 120), ((-2, -2, -2), 120), ((0, 0, 1), 360), ((1, -1, 0), 360), ((1, 1, -1), 360)):
        assert rotation_range(167, hkl, square, rhombohedral_axes=True) == degrees
