"""Crystal frames against their definitions, written out with angles."""

from __future__ import annotations

import numpy as np
import pytest

from midas.results.exchange.crystal_frames import (
    cell_vectors,
    frame_change,
    from_frame,
    lattice_vectors,
    orientations_and_cells,
    to_frame,
)

from .sample import CRYSTALS, a_along_x, busing_levy, grains

CELLS = [cell for _, cell in CRYSTALS.values()]


@pytest.mark.parametrize("cell", CELLS, ids=list(CRYSTALS))
def test_ours_is_that_of_busing_and_levy(cell: tuple[float, ...]) -> None:
    np.testing.assert_allclose(cell_vectors(cell), np.linalg.inv(busing_levy(cell)).T, atol=1e-12)
    np.testing.assert_array_equal(frame_change(cell, "a* c"), np.eye(3))


@pytest.mark.parametrize("cell", CELLS, ids=list(CRYSTALS))
def test_frame_with_a_along_x(cell: tuple[float, ...]) -> None:
    turn = frame_change(cell, "a c*")
    np.testing.assert_allclose(turn @ cell_vectors(cell), a_along_x(cell), atol=1e-12)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-14)


def test_only_cells_without_right_angles_are_turned() -> None:
    for cell in ((3.6, 3.6, 3.6, 90, 90, 90), (4, 5, 6, 90, 90, 90)):
        np.testing.assert_allclose(frame_change(cell, "a c*"), np.eye(3), atol=1e-14)
    angle = np.radians(30)
    expected = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    np.testing.assert_allclose(frame_change((3, 3, 5, 90, 90, 120), "a c*"), expected, atol=1e-14)


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_there_and_back(crystal: str) -> None:
    some = grains(crystal)
    there = to_frame(some.orientations, some.cell, "a c*")
    np.testing.assert_allclose(from_frame(there, some.cell, "a c*"), some.orientations, atol=1e-14)
    # The lattice in the sample is the same whatever frame it is told in.
    np.testing.assert_allclose(there @ a_along_x(some.cell), some.orientations @ cell_vectors(some.cell), atol=1e-12)


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_lattices_tell_orientation_and_cell(crystal: str) -> None:
    some = grains(crystal)
    orientations, cells = orientations_and_cells(lattice_vectors(some.orientations, some.cells))
    np.testing.assert_allclose(orientations, some.orientations, atol=1e-12)
    np.testing.assert_allclose(cells, some.cells, atol=1e-9)
