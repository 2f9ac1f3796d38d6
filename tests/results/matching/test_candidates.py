"""Candidates without a table of all pairs, against that table; orientations of strained lattices."""

from __future__ import annotations

import numpy as np
import pytest

from midas.experiment import crystal
from midas.experiment.orientation import matrices_from_quaternions, misorientation, symmetry_operators
from midas.results.exchange.lists import grain_list
from midas.results.matching.candidates import Finder, Snapshot
from midas.results.matching.lattice import lattice_rotations, quaternions_of_vectors, rotation_vectors

from .grain_files import quaternions

CELLS = {225: (4.0, 4.0, 4.0, 90.0, 90.0, 90.0), 194: (2.95, 2.95, 4.68, 90.0, 90.0, 120.0)}


@pytest.mark.parametrize("space_group", [2, 5, 62, 141, 194, 225])
@pytest.mark.parametrize(("angle", "distance"), [(8.0, np.inf), (40.0, np.inf), (30.0, 90.0), (100.0, 200.0)])
def test_same_as_all_pairs(space_group: int, angle: float, distance: float) -> None:
    random = np.random.default_rng(space_group)
    operators = symmetry_operators(space_group)
    one, two = (
        Snapshot(quaternions(count, seed), random.uniform(-150, 150, (count, 3)), np.zeros(count))
        for count, seed in ((60, 1), (70, 2))
    )
    found = Finder(two, operators, angle, distance).candidates(one)
    turned = misorientation(one.quaternions[:, None], two.quaternions[None], operators)
    apart = np.linalg.norm(one.positions[:, None] - two.positions[None], axis=2)
    expected = np.argwhere((turned <= angle) & (apart <= distance))
    np.testing.assert_array_equal(np.column_stack([found.first, found.second]), expected)
    np.testing.assert_allclose(np.linalg.norm(found.rotations, axis=1), turned[tuple(expected.T)], atol=1e-6)
    counts = Finder(two, operators, angle, distance).counts(one)
    assert (counts >= np.bincount(found.first, minlength=60)).all()


def test_vectors_and_quaternions() -> None:
    vectors = np.random.default_rng(0).uniform(-100, 100, (50, 3))
    vectors[0] = 0
    np.testing.assert_allclose(rotation_vectors(quaternions_of_vectors(vectors)), vectors, atol=1e-9)


@pytest.mark.parametrize("space_group", sorted(CELLS))
def test_a_strained_lattice_turns_alike_in_all_settings(space_group: int) -> None:
    """The matrices of equivalent settings differ by the strain, the rotations of their lattices do not."""
    cell = np.array(CELLS[space_group])
    operators = symmetry_operators(space_group, cell)
    random = np.random.default_rng(4)
    reference = np.linalg.inv(crystal.reciprocal_basis(cell)).T
    strained = cell + np.array([0.01, -0.008, 0.012, 0.2, -0.15, 0.1])
    axes = matrices_from_quaternions(quaternions(1, 3))[0] @ np.linalg.inv(crystal.reciprocal_basis(strained)).T
    cells, matrices = [], []
    for operator in matrices_from_quaternions(operators):
        vectors = axes @ np.rint(np.linalg.inv(reference) @ operator @ reference)
        a, b, c = vectors.T
        lengths = np.linalg.norm(vectors, axis=0)
        cosines = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in ((b, c), (a, c), (a, b))]
        cells.append([*lengths, *np.degrees(np.arccos(cosines))])
        matrices.append(vectors @ crystal.reciprocal_basis(cells[-1]).T)
    count = len(cells)
    grains = grain_list(
        "x", np.arange(count), np.array(matrices), random.uniform(-1, 1, (count, 3)), cells=np.array(cells)
    )
    from midas.experiment.orientation import quaternions_from_matrices

    def largest(rotations: np.ndarray) -> float:
        q = quaternions_from_matrices(rotations)
        return float(misorientation(q[:1], q, operators).max())

    assert largest(lattice_rotations(grains, tuple(cell))) < 1e-5
    assert largest(grains.orientations) > 0.02
