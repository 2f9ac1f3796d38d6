"""Settings of lattices that nearly have a higher symmetry (docs/theory/resolving.md#nearly-symmetric-lattices)."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_grains import reciprocal_basis

from midas.experiment.crystal import cell_of, metric_of
from midas.experiment.orientation import matrices_from_quaternions
from midas.formats.refined import ORIENT_POS_FIT, RefinedSeeds
from midas.parameters import Parameters
from midas.stages.grains.resolve.near_symmetry import NearSymmetry

ORTHORHOMBIC = (4.0, 4.02, 5.2, 90.0, 90.0, 90.0)


def symmetry(space_group: int, cell: tuple[float, ...], margin: float = 4.8) -> NearSymmetry:
    text = (
        f"SpaceGroup {space_group}\nLatticeParameter {' '.join(map(str, cell))}\nMargABC {margin}\nMargABG {margin}\n"
    )
    parameters = Parameters.parse(text)
    return NearSymmetry.of(parameters.for_stage("grains"), parameters.for_stage("refinement"))


def axes(orientation: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Cell vectors in the sample, as columns."""
    return orientation.reshape(3, 3) @ np.linalg.inv(reciprocal_basis(np.asarray(cell, float))).T


def solutions(orientations: np.ndarray, cell: np.ndarray) -> RefinedSeeds:
    n = len(orientations)
    records = np.zeros(n, ORIENT_POS_FIT)
    records["orientation"], records["cell"] = orientations.reshape(n, 9), cell
    return RefinedSeeds(np.ones((n, 2), np.int32), records, np.zeros(n + 1, np.int64), np.zeros(0, np.int32))


@pytest.mark.parametrize(
    ("space_group", "cell", "settings"),
    [
        (225, (4.0, 4.0, 4.0, 90, 90, 90), 1),
        (194, (2.95, 2.95, 4.68, 90, 90, 120), 1),
        (167, (4.7592, 4.7592, 12.9927, 90, 90, 120), 1),  # turned by 60 degrees it would have other reflections
        (123, (4.0, 4.0, 4.04, 90, 90, 90), 3),
        (139, (4.0, 4.0, 4.04, 90, 90, 90), 3),
        (123, (4.0, 4.0, 4.4, 90, 90, 90), 1),
        (47, ORTHORHOMBIC, 2),
        (10, (3.5, 4.3, 5.1, 90, 90.2, 90), 2),
        (166, (3.95, 3.95, 3.95, 90.3, 90.3, 90.3), 4),
    ],
)
def test_only_nearly_symmetric_lattices_have_other_settings(
    space_group: int, cell: tuple[float, ...], settings: int
) -> None:
    assert len(symmetry(space_group, cell).settings) == settings


def test_margins_say_what_is_near() -> None:
    assert len(symmetry(47, ORTHORHOMBIC, 0.3).settings) == 1


def test_the_least_strained_setting_is_chosen() -> None:
    q = np.random.default_rng(3).standard_normal((4, 4))
    u = matrices_from_quaternions(q / np.linalg.norm(q, axis=1, keepdims=True))
    right = np.array([4.001, 4.018, 5.197, 90.03, 89.96, 90.02])
    turned = right[[1, 0, 2, 4, 3, 5]]
    turned[3] = 180 - turned[3]
    given = solutions(u, turned)
    given.orient_pos_fit["cell"][0] = right
    found = symmetry(47, ORTHORHOMBIC).least_strained(given, np.arange(3))
    kept, moved, left = (found.orient_pos_fit[row] for row in (0, 1, 3))
    assert kept == given.orient_pos_fit[0]
    assert left == given.orient_pos_fit[3]  # not asked for
    assert np.abs(moved["cell"][:3] - right[:3]).max() < 1e-12
    # The lattice is the same, its axes have changed places.
    change = np.linalg.solve(
        axes(given.orient_pos_fit["orientation"][1], turned), axes(moved["orientation"], moved["cell"])
    )
    assert np.abs(change - np.rint(change)).max() < 1e-9
    assert np.linalg.det(change) == pytest.approx(1.0)
    assert np.abs(moved["orientation"].reshape(3, 3) @ moved["orientation"].reshape(3, 3).T - np.eye(3)).max() < 1e-12


def test_cells_and_metrics_are_inverse() -> None:
    cell = np.array([[3.6, 4.4, 5.1, 82.0, 97.0, 104.0]])
    assert np.abs(cell_of(metric_of(cell)) - cell).max() < 1e-12
